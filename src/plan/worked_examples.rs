//! The eighty worked examples of `spec/pipeline.md` section 16, walked by a simulator of the executor and of libvips' sizes.

use crate::format::ImageFormat;
use crate::geometry::{Angle, GravityKind, Size, float, round_to_even, trunc};
use crate::ops::PipelineOptions;
use crate::ops::gravity::GravityOption;
use crate::ops::resize::ResizingType;

use super::{Canvas, Crop, ImageInfo, Plan, PlanError, Settings, clamped, load, output};

#[test]
fn every_row_of_the_specification() {
    let rows: Vec<&str> = ROWS.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 80);
    for row in rows {
        let columns: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [number, source, options, expected @ ..] = &columns[..] else {
            panic!("{row}");
        };
        let case = Case::parse(source, options);
        assert_eq!(
            case.walk().columns(),
            expected,
            "row {number}: {source} {options}"
        );
    }
}

/// One request, as the examples write it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) info: ImageInfo,
    pub(super) options: PipelineOptions,
    pub(super) settings: Settings,
    pub(super) result: Option<ImageFormat>,
}

/// What happened on the way; everything but the sizes as text.
#[derive(Debug, Default)]
pub(super) struct Walk {
    load: Option<String>,
    crop: Option<String>,
    scale: Option<(f64, f64)>,
    pub(super) rotated: Size,
    result_crop: Option<String>,
    canvases: Vec<String>,
    dpr: f64,
    pub(super) result: Size,
}

impl Walk {
    fn columns(&self) -> Vec<String> {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or("–".into());
        let canvases = (!self.canvases.is_empty()).then(|| self.canvases.join(" "));
        let (x, y) = self.scale.unwrap_or((1.0, 1.0));
        vec![
            or_dash(&self.load),
            or_dash(&self.crop),
            if x == y {
                short(x)
            } else {
                format!("{} × {}", short(x), short(y))
            },
            self.rotated.to_string(),
            or_dash(&self.result_crop),
            or_dash(&canvases),
            short(self.dpr),
            format!("**{}**", self.result),
        ]
    }
}

impl Case {
    fn parse(source: &str, text: &str) -> Self {
        let mut words = source.split(' ');
        let format = ImageFormat::from_name(words.next().unwrap()).unwrap();
        let (width, height) = words.next().unwrap().split_once('x').unwrap();
        let (text, result) = match text.split_once('@') {
            Some((text, name)) => (text, ImageFormat::from_name(name)),
            None => (text, None),
        };
        let mut case = Self {
            info: ImageInfo {
                size: Size::new(int(width), int(height)),
                orientation: words
                    .next()
                    .map_or(1, |o| o.strip_prefix('o').unwrap().parse().unwrap()),
                format: Some(format),
                frames: 1,
            },
            options: PipelineOptions::default(),
            settings: Settings {
                auto_rotate: true,
                disable_shrink_on_load: false,
                max_result_dimension: 0,
                max_result_pixels: 0,
            },
            result,
        };
        for option in text.split('/').filter(|o| !o.is_empty() && *o != "(none)") {
            let (name, args) = option.split_once(':').unwrap();
            case.apply(name, &args.split(':').collect::<Vec<_>>());
        }
        case
    }

    fn apply(&mut self, name: &str, args: &[&str]) {
        let o = &mut self.options;
        match (name, args) {
            ("rs", [kind, rest @ ..]) => {
                o.resize.kind = match *kind {
                    "fit" => ResizingType::Fit,
                    "fill" => ResizingType::Fill,
                    "fill-down" => ResizingType::FillDown,
                    "force" => ResizingType::Force,
                    "auto" => ResizingType::Auto,
                    _ => panic!("{kind}"),
                };
                for (name, arg) in ["w", "h", "el", "ex"].into_iter().zip(rest) {
                    self.apply(name, &[arg]);
                }
            }
            ("w", [v]) => o.resize.width = int(v),
            ("h", [v]) => o.resize.height = int(v),
            ("mw", [v]) => o.resize.min_width = int(v),
            ("mh", [v]) => o.resize.min_height = int(v),
            ("el", [v]) => o.resize.enlarge = *v == "1",
            ("dpr", [v]) => o.resize.dpr = real(v),
            ("z", [x, rest @ ..]) => {
                o.resize.zoom_x = real(x);
                o.resize.zoom_y = real(rest.first().unwrap_or(x));
            }
            ("ex", [on, rest @ ..]) => {
                o.extend.enabled = *on == "1";
                o.extend.gravity = gravity(rest);
            }
            ("exar", [on, rest @ ..]) => {
                o.extend_aspect_ratio.enabled = *on == "1";
                o.extend_aspect_ratio.gravity = gravity(rest);
            }
            ("g", args) => o.gravity = gravity(args),
            ("c", [width, height, rest @ ..]) => {
                o.crop.width = real(width);
                o.crop.height = real(height);
                o.crop.gravity = gravity(rest);
            }
            ("pd", [top, rest @ ..]) => {
                let right = rest.first().unwrap_or(top);
                o.padding.top = Some(int(top));
                o.padding.right = Some(int(right));
                o.padding.bottom = Some(int(rest.get(1).unwrap_or(top)));
                o.padding.left = Some(int(rest.get(2).unwrap_or(right)));
            }
            ("rot", [v]) => o.rotate = Angle::from_degrees(int(v)).unwrap(),
            ("fl", ["1"]) => o.flip.horizontal = true,
            ("ar", ["0"]) => o.auto_rotate = Some(false),
            ("mrd", [v]) => self.settings.max_result_dimension = int(v),
            _ => panic!("{name} {args:?}"),
        }
    }

    pub(super) fn walk(&self) -> Walk {
        self.try_walk().unwrap()
    }

    /// The steps of section 6 in their order, on sizes alone.
    pub(super) fn try_walk(&self) -> Result<Walk, PlanError> {
        let mut walk = Walk::default();
        let natural = ImageInfo {
            size: clamped(self.info.size),
            ..self.info
        };
        let mut info = natural;
        let mut base = 1.0;
        if let Some(guard) = load::vector_guard(&info, 50_000_000) {
            base = guard;
            info.size = decoded(&natural, base);
            walk.load = Some(format!("{} → {}", short(base), info.size));
        }
        let mut plan = Plan::resolve(&self.options, &info, &self.settings)?;
        if let Some(shrink) = plan.preshrink(base) {
            let loaded = ImageInfo {
                size: decoded(&natural, shrink),
                ..info
            };
            if plan.rebase(&loaded) {
                info = loaded;
                walk.load = Some(format!("{} → {}", short(shrink), info.size));
            }
        }
        let mut size = info.size;

        let crop = plan.crop(size);
        walk.crop = described(&crop);
        size = cropped(&crop, size);

        walk.scale = plan.scale();
        if let Some((x, y)) = walk.scale {
            size = resized(size, x, y);
        }

        size = size.swapped_if(plan.rotation().swaps_axes());
        walk.rotated = size;

        let crop = plan.crop_to_result(size);
        walk.result_crop = described(&crop);
        size = cropped(&crop, size);

        for canvas in [Plan::extend, Plan::extend_aspect_ratio] {
            if let Some(c) = canvas(&plan, size) {
                size = Size::new(c.width, c.height);
                walk.canvases.push(format!("{},{} → {size}", c.left, c.top));
            }
        }
        if let Some(Canvas {
            left,
            top,
            width,
            height,
        }) = plan.padding(size)
        {
            let (right, bottom) = (width - size.width - left, height - size.height - top);
            walk.canvases
                .push(format!("pad T{top} R{right} B{bottom} L{left}"));
            size = Size::new(width, height);
        }

        if let Some(s) = self
            .result
            .and_then(|format| output::fix_size(format, size))
        {
            size = resized(size, s, s);
        }
        walk.dpr = plan.dpr_scale();
        walk.result = size;
        Ok(walk)
    }
}

/// What the loaders answer, from sections 4.1, 4.4 and 4.6 of `spec/formats.md`.
pub(super) fn decoded(info: &ImageInfo, shrink: f64) -> Size {
    let side = |side: i64| {
        match info.format.unwrap() {
            ImageFormat::Jpeg => trunc((float(side) / shrink).floor()),
            ImageFormat::Webp => round_to_even(float(side) * (1.0 / shrink)),
            ImageFormat::Svg => trunc((float(side) * (1.0 / shrink) + 0.5).floor()),
            _ => side,
        }
        .max(1)
    };
    Size::new(side(info.size.width), side(info.size.height))
}

/// libvips' own output size, from section 1.
pub(super) fn resized(size: Size, x: f64, y: f64) -> Size {
    let side = |side: i64, s: f64| {
        let n = float(side);
        let s = s.max(1.0 / n);
        if s < 1.0 {
            trunc((n / (1.0 / s) + 0.5).floor())
        } else if s > 1.0 {
            trunc((n * s + 0.5).floor())
        } else {
            side
        }
    };
    Size::new(side(size.width, x), side(size.height, y))
}

fn cropped(crop: &Crop, size: Size) -> Size {
    match crop {
        Crop::None => size,
        Crop::At(r) => Size::new(r.width, r.height),
        Crop::Smart(size) => *size,
    }
}

fn described(crop: &Crop) -> Option<String> {
    match crop {
        Crop::None => None,
        Crop::At(r) => Some(format!("{},{} {}x{}", r.left, r.top, r.width, r.height)),
        Crop::Smart(size) => Some(format!("sm,sm {size}")),
    }
}

fn gravity(args: &[&str]) -> GravityOption {
    let offset = |n: usize| args.get(n).map_or(0.0, |v| real(v));
    GravityOption {
        kind: args.first().map(|name| {
            use GravityKind::*;
            [
                Center, North, East, South, West, NorthWest, NorthEast, SouthWest, SouthEast,
                Smart, FocusPoint,
            ]
            .into_iter()
            .find(|kind| kind.name() == *name)
            .unwrap()
        }),
        x: offset(1),
        y: offset(2),
    }
}

/// Six significant digits without trailing zeros.
fn short(v: f64) -> String {
    let mut decimals = 6_usize;
    let mut size = v.abs();
    while size >= 1.0 {
        size /= 10.0;
        decimals = decimals.saturating_sub(1);
    }
    while size > 0.0 && size < 0.1 {
        size *= 10.0;
        decimals += 1;
    }
    let text = format!("{v:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn int(text: &str) -> i64 {
    text.parse().unwrap()
}

fn real(text: &str) -> f64 {
    text.parse().unwrap()
}

/// Number, source, options; then load shrink and size, first crop in stored axes, scale in stored axes, size after
/// rotation, second crop, canvases, effective DPR, result.
const ROWS: &str = "
| 1 | png 800x600 | rs:fit:400:400 | – | – | 0.5 | 400x300 | – | – | 1 | **400x300** |
| 2 | png 800x600 | rs:fit:401:401 | – | – | 0.50125 | 401x301 | – | – | 1 | **401x301** |
| 3 | png 800x600 | rs:fill:400:400 | – | – | 0.666667 | 533x400 | 67,0 400x400 | – | 1 | **400x400** |
| 4 | png 800x600 | rs:fill:401:300 | – | – | 0.50125 | 401x301 | 0,1 401x300 | – | 1 | **401x300** |
| 5 | png 801x601 | rs:fill:300:300/g:ce | – | – | 0.499168 | 400x300 | 50,0 300x300 | – | 1 | **300x300** |
| 6 | png 800x600 | rs:force:400:100 | – | – | 0.5 × 0.166667 | 400x100 | – | – | 1 | **400x100** |
| 7 | png 800x600 | rs:force:400:0 | – | – | 0.5 × 1 | 400x600 | – | – | 1 | **400x600** |
| 8 | png 800x600 | rs:auto:400:200 | – | – | 0.5 | 400x300 | 0,50 400x200 | – | 1 | **400x200** |
| 9 | png 800x600 | rs:auto:200:400 | – | – | 0.25 | 200x150 | – | – | 1 | **200x150** |
| 10 | png 600x600 | rs:auto:300:300 | – | – | 0.5 | 300x300 | – | – | 1 | **300x300** |
| 11 | png 800x600 | rs:fit:1600:1600 | – | – | 1 | 800x600 | – | – | 1 | **800x600** |
| 12 | png 800x600 | rs:fit:1600:1600:1 | – | – | 2 | 1600x1200 | – | – | 1 | **1600x1200** |
| 13 | png 800x600 | rs:fill:1600:1600 | – | – | 1 | 800x600 | – | – | 1 | **800x600** |
| 14 | png 800x600 | rs:fill:1600:400 | – | – | 1 | 800x600 | 0,100 800x400 | – | 1 | **800x400** |
| 15 | png 800x600 | rs:fill-down:1600:1600 | – | – | 1 | 800x600 | 100,0 600x600 | – | 1 | **600x600** |
| 16 | png 800x600 | rs:fill-down:1600:400 | – | – | 1 | 800x600 | 0,200 800x200 | – | 1 | **800x200** |
| 17 | png 800x600 | rs:fill-down:1600:1600:0:1 | – | – | 1 | 800x600 | 100,0 600x600 | 500,500 → 1600x1600 | 1 | **1600x1600** |
| 18 | png 800x600 | w:400 | – | – | 0.5 | 400x300 | – | – | 1 | **400x300** |
| 19 | png 800x600 | h:100 | – | – | 0.166667 | 133x100 | – | – | 1 | **133x100** |
| 20 | png 3x1000 | w:1/h:100/rs:fit | – | – | 0.333333 × 0.1 | 1x100 | – | – | 1 | **1x100** |
| 21 | png 1000x3 | w:100 | – | – | 0.1 × 0.333333 | 100x1 | – | – | 1 | **100x1** |
| 22 | png 1000x3 | w:10 | – | – | 0.01 × 0.333333 | 10x1 | – | – | 1 | **10x1** |
| 23 | png 800x600 | w:200/dpr:2 | – | – | 0.5 | 400x300 | – | – | 2 | **400x300** |
| 24 | png 800x600 | w:500/dpr:2 | – | – | 1 | 800x600 | – | – | 1.6 | **800x600** |
| 25 | png 800x600 | w:1000/dpr:2 | – | – | 1 | 800x600 | – | – | 1 | **800x600** |
| 26 | png 800x600 | w:1000/dpr:2/el:1 | – | – | 2.5 | 2000x1500 | – | – | 2 | **2000x1500** |
| 27 | png 200x100 | w:400/dpr:0.5 | – | – | 1 | 200x100 | – | – | 1 | **200x100** |
| 28 | png 200x100 | w:400/h:400/dpr:0.5/ex:1 | – | – | 0.5 | 100x50 | – | 50,76 → 200x200 | 0.5 | **200x200** |
| 29 | png 800x600 | dpr:2/pd:10 | – | – | 1 | 800x600 | – | pad T10 R10 B10 L10 | 1 | **820x620** |
| 30 | png 800x600 | w:400/dpr:1.5/pd:5:7 | – | – | 0.75 | 600x450 | – | pad T8 R10 B8 L10 | 1.5 | **620x466** |
| 31 | png 800x600 | w:400/z:1.5 | – | – | 0.75 | 600x450 | – | – | 1 | **600x450** |
| 32 | png 800x600 | z:0.5:0.25 | – | – | 0.5 × 0.25 | 400x150 | – | – | 1 | **400x150** |
| 33 | png 800x600 | z:2 | – | – | 1 | 800x600 | – | – | 1 | **800x600** |
| 34 | png 800x600 | z:2/el:1 | – | – | 2 | 1600x1200 | – | – | 1 | **1600x1200** |
| 35 | png 800x600 | w:100/mw:200 | – | – | 0.25 | 200x150 | 50,0 100x150 | – | 1 | **100x150** |
| 36 | png 800x600 | rs:fit:100:100/mh:200 | – | – | 0.333333 | 267x200 | 84,50 100x100 | – | 1 | **100x100** |
| 37 | png 800x600 | mw:1000 | – | – | 1.25 | 1000x750 | – | – | 1 | **1000x750** |
| 38 | png 800x600 | rs:fill:200:300/g:noea | – | – | 0.5 | 400x300 | 200,0 200x300 | – | 1 | **200x300** |
| 39 | png 800x600 | rs:fill:200:300/g:we:10:0 | – | – | 0.5 | 400x300 | 10,0 200x300 | – | 1 | **200x300** |
| 40 | png 800x600 | rs:fill:200:300/g:ea:0.1:0 | – | – | 0.5 | 400x300 | 160,0 200x300 | – | 1 | **200x300** |
| 41 | png 800x600 | rs:fill:200:300/g:ce:-1000:0 | – | – | 0.5 | 400x300 | 0,0 200x300 | – | 1 | **200x300** |
| 42 | png 800x600 | rs:fill:200:300/g:fp:0.25:0.5 | – | – | 0.5 | 400x300 | 0,0 200x300 | – | 1 | **200x300** |
| 43 | png 800x600 | rs:fill:200:300/g:fp:0:0 | – | – | 0.5 | 400x300 | 0,0 200x300 | – | 1 | **200x300** |
| 44 | png 800x600 | rs:fill:201:300/g:ce/dpr:0.5 | – | – | 0.25 | 200x150 | 50,0 101x150 | – | 0.5 | **101x150** |
| 45 | png 800x600 | rs:fill:200:300/g:no:5:5/dpr:2 | – | – | 1 | 800x600 | 210,0 400x600 | – | 2 | **400x600** |
| 46 | png 800x600 | c:300:200 | – | 250,200 300x200 | 1 | 300x200 | – | – | 1 | **300x200** |
| 47 | png 800x600 | c:0.5:0.5:nowe:10:20 | – | 10,20 400x300 | 1 | 400x300 | – | – | 1 | **400x300** |
| 48 | png 800x600 | c:300:0:soea:5:5/w:100 | – | 495,0 300x600 | 0.333333 | 100x200 | – | – | 1 | **100x200** |
| 49 | png 800x600 | c:333:222:fp:0.3:0.7/rs:fill:100:100/g:sm | – | 74,309 333x222 | 0.45045 | 150x100 | sm,sm 100x100 | – | 1 | **100x100** |
| 50 | png 800x600 | c:1.5:0.001 | – | 400,300 1x1 | 1 | 1x1 | – | – | 1 | **1x1** |
| 51 | jpeg 4000x3000 | rs:fit:400:400 | 8 → 500x375 | – | 0.8 | 400x300 | – | – | 1 | **400x300** |
| 52 | jpeg 4001x3001 | rs:fit:500:500 | 8 → 500x375 | – | 1 | 500x375 | – | – | 1 | **500x375** |
| 53 | jpeg 4000x3000 | w:1500 | 2 → 2000x1500 | – | 0.75 | 1500x1125 | – | – | 1 | **1500x1125** |
| 54 | jpeg 4000x3000 | w:2500 | – | – | 0.625 | 2500x1875 | – | – | 1 | **2500x1875** |
| 55 | jpeg 4000x3000 | c:1000:1001:ce:11:-7/w:250 | 4 → 1000x750 | 379,248 250x250 | 1 | 250x250 | – | – | 1 | **250x250** |
| 56 | jpeg 4000x3000 | rs:force:100:3000 | – | – | 0.025 × 1 | 100x3000 | – | – | 1 | **100x3000** |
| 57 | jpeg 4000x3000 o6 | rs:fill:300:200/g:no:0:7 | 8 → 500x375 | – | 0.8 | 300x400 | 0,7 300x200 | – | 1 | **300x200** |
| 58 | jpeg 4000x3000 o6 | c:1000:500:nowe:100:200/w:500 | 2 → 2000x1500 | 100,950 250x500 | 1 | 500x250 | – | – | 1 | **500x250** |
| 59 | jpeg 4000x3000 | c:1000:500:nowe:100:200/w:500/rot:90 | 2 → 2000x1500 | 100,950 250x500 | 1 | 500x250 | – | – | 1 | **500x250** |
| 60 | jpeg 4000x3000 o8 | c:1000:500:fp:0.2:0.3/fl:1 | – | 2550,1900 500x1000 | 1 | 1000x500 | – | – | 1 | **1000x500** |
| 61 | jpeg 4000x3000 o6 | w:500/ar:0 | 8 → 500x375 | – | 1 | 500x375 | – | – | 1 | **500x375** |
| 62 | webp 4000x3000 | rs:fit:401:401 | 9.96678 → 401x301 | – | 1 | 401x301 | – | – | 1 | **401x301** |
| 63 | webp 4000x3000 | rs:fill:300:300 | 10 → 400x300 | – | 1 | 400x300 | 50,0 300x300 | – | 1 | **300x300** |
| 64 | webp 333x251 | w:100/h:100 | 3.33 → 100x75 | – | 1 | 100x75 | – | – | 1 | **100x75** |
| 65 | svg 100x50 | w:333 | 0.299401 → 334x167 | – | 0.997006 × 1 | 333x167 | – | – | 1 | **333x167** |
| 66 | svg 100x50 | rs:fill:300:300 | 0.166667 → 600x300 | – | 1 | 600x300 | 150,0 300x300 | – | 1 | **300x300** |
| 67 | svg 100x50 | (none)@png | – | – | 1 | 100x50 | – | – | 1 | **100x50** |
| 68 | svg 20000x10000 | w:500 | 40 → 500x250 | – | 1 | 500x250 | – | – | 1 | **500x250** |
| 69 | svg 20000x10000 | (none)@png | 2 → 10000x5000 | – | 1 | 10000x5000 | – | – | 1 | **10000x5000** |
| 70 | png 200x100 | rs:fit:300:300/exar:1 | – | – | 1 | 200x100 | – | 0,50 → 200x200 | 1 | **200x200** |
| 71 | png 200x100 | rs:fit:300:300:0:1/ex:1:nowe:10:20 | – | – | 1 | 200x100 | – | 10,20 → 300x300 | 1 | **300x300** |
| 72 | png 200x100 | rs:fit:150:300/ex:1:so:0:0.1 | – | – | 0.75 | 150x75 | – | 0,195 → 150x300 | 1 | **150x300** |
| 73 | png 200x100 | h:300/ex:1 | – | – | 1 | 200x100 | – | 0,100 → 200x300 | 1 | **200x300** |
| 74 | png 200x100 | rs:fit:100:100/pd:100:200:300:400/mrd:200 | – | – | 0.142857 | 29x14 | – | pad T29 R57 B86 L114 | 0.285714 | **200x129** |
| 75 | png 200x100 | rs:fill:1000:50/mrd:50 | – | – | 0.25 | 50x25 | 0,6 50x13 | – | 0.25 | **50x13** |
| 76 | png 800x600 | rot:90/w:300 | – | – | 0.5 | 300x400 | – | – | 1 | **300x400** |
| 77 | png 800x600 | rot:270/rs:fill:200:200/g:no | – | – | 0.333333 | 200x267 | 0,0 200x200 | – | 1 | **200x200** |
| 78 | png 20000x2000 | @webp | – | – | 1 | 20000x2000 | – | – | 1 | **16383x1638** |
| 79 | png 500x300 | @ico | – | – | 1 | 500x300 | – | – | 1 | **256x154** |
| 80 | png 20000x2001 | @avif | – | – | 1 | 20000x2001 | – | – | 1 | **16384x1639** |
";
