//! The watermark: opacity, position, size.

use crate::args::{Access, Canonical, Float, Group, OptionDef};
use crate::geometry::GravityKind;
use crate::vips::{self, Image, Interpretation, calls};

use super::{PipelineOptions, int};

/// `watermark`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Watermark {
    /// 0–1; 0 is off. Multiplied by `IMGPROXY_WATERMARK_OPACITY`.
    pub opacity: f64,
    /// The anchor, or [`GravityKind::Replicate`].
    pub position: GravityKind,
    /// Horizontal offset: pixels before DPR where |x| ≥ 1, else a fraction of the result's width. Gap when replicated.
    pub x: f64,
    /// Vertical offset, likewise.
    pub y: f64,
    /// Size relative to the result; 0 leaves the watermark as it is.
    pub scale: f64,
}

impl Watermark {
    pub(super) fn canonical(self, out: &mut Canonical) {
        if self.opacity > 0.0 {
            let (opacity, x, y) = (Float(self.opacity), Float(self.x), Float(self.y));
            let (position, scale) = (self.position.name(), Float(self.scale));
            out.option(WATERMARK.name, &[&opacity, &position, &x, &y, &scale]);
        }
    }
}

const POSITIONS: &[GravityKind] = &[
    GravityKind::Replicate,
    GravityKind::Center,
    GravityKind::North,
    GravityKind::East,
    GravityKind::South,
    GravityKind::West,
    GravityKind::NorthWest,
    GravityKind::NorthEast,
    GravityKind::SouthWest,
    GravityKind::SouthEast,
];

/// `watermark`.
pub static WATERMARK: OptionDef<PipelineOptions> = OptionDef {
    name: "watermark",
    aliases: &["wm"],
    usage: "watermark:%opacity:%position:%x_offset:%y_offset:%scale",
    example: "watermark:0.5:soea:10:10:0.2",
    group: Group::Effects,
    summary: "Put the configured watermark on the result",
    docs: "Puts the server's watermark (`IMGPROXY_WATERMARK_DATA`, `IMGPROXY_WATERMARK_PATH` or \
`IMGPROXY_WATERMARK_URL`) on the result. Without such a watermark the option does nothing.\n\
\n\
* `opacity` – 0 to 1, multiplied by `IMGPROXY_WATERMARK_OPACITY`. Default: 0, no watermark.\n\
* `position` – `ce` (default), `no`, `ea`, `so`, `we`, `nowe`, `noea`, `sowe`, `soea`, or `re` to cover the whole \
image with copies.\n\
* `x_offset`, `y_offset` – move the watermark: inwards from an edge, right and down from the middle; with `re` the gaps \
between the copies. From a magnitude of 1 on in pixels that are multiplied by `dpr`, below 1 a fraction of the \
result's side. Default: 0.\n\
* `scale` – size relative to the result, above 0; 0 (default) leaves the watermark in its own size.\n\
\n\
Empty arguments keep the values set earlier.",
    access: Access::Open,
    apply: |pipeline, args| {
        // imgproxy lets two more arguments pass and ignores them.
        args.at_most(7, "watermark")?;
        let watermark = &mut pipeline.watermark;
        watermark.opacity = args.at(0, "watermark.opacity").fraction()?;
        if let Some(position) = args.given(1, "watermark.position") {
            watermark.position = position.choice(POSITIONS, GravityKind::name)?;
        }
        if let Some(x) = args.given(2, "watermark.x_offset") {
            watermark.x = x.float()?;
        }
        if let Some(y) = args.given(3, "watermark.y_offset") {
            watermark.y = y.float()?;
        }
        if let Some(scale) = args.given(4, "watermark.scale") {
            watermark.scale = scale
                .float_from_zero()
                .map_err(|_| scale.error("positive number"))?;
        }
        Ok(())
    },
};

/// Blends an overlay over an image at every given place (left, top), which may lie partly outside.
///
/// # Errors
/// Whatever libvips says.
pub fn blend(
    image: &Image,
    overlay: &Image,
    opacity: f64,
    places: &[(i64, i64)],
) -> Result<Image, vips::Error> {
    let mut overlay = calls::add_alpha(overlay)?;
    if opacity < 1.0 {
        let colours = overlay.bands() - 1;
        let alpha = calls::linear(
            &calls::extract_band(&overlay, colours, 1)?,
            &[opacity],
            &[0.0],
        )?;
        overlay = calls::bandjoin(&[calls::extract_band(&overlay, 0, colours)?, alpha])?;
    }
    let overlay_is_grey = matches!(
        overlay.guess_interpretation(),
        Interpretation::Bw | Interpretation::Grey16
    );
    let space = match image.guess_interpretation() {
        Interpretation::Bw if !overlay_is_grey => Interpretation::Srgb,
        Interpretation::Grey16 if !overlay_is_grey => Interpretation::Rgb16,
        space => space,
    };
    if !image.has_alpha() && image.interpretation() == space {
        return blend_parts(image, &overlay, space, places);
    }
    blend_all(image, &overlay, space, places)
}

/// Blends an overlay that has alpha.
fn blend_all(
    image: &Image,
    overlay: &Image,
    space: Interpretation,
    places: &[(i64, i64)],
) -> Result<Image, vips::Error> {
    let mut blended = image.clone();
    for (left, top) in places {
        blended = calls::composite2(&blended, overlay, int(*left), int(*top), Some(space))?;
    }
    let blended = calls::cast(&blended, image.format())?;
    if image.has_alpha() {
        return Ok(blended);
    }
    calls::extract_band(&blended, 0, blended.bands() - 1)
}

/// The same for an opaque image in the space of the blending, whose other pixels would come out as they went in: only
/// what lies under the overlays is computed.
fn blend_parts(
    image: &Image,
    overlay: &Image,
    space: Interpretation,
    places: &[(i64, i64)],
) -> Result<Image, vips::Error> {
    let mut blended = image.clone();
    for (left, top) in places {
        let (x, width) = covered(*left, overlay.width(), image.width());
        let (y, height) = covered(*top, overlay.height(), image.height());
        if width < 1 || height < 1 {
            continue;
        }
        let part = calls::extract_area(&blended, int(x), int(y), int(width), int(height))?;
        let part = calls::composite2(&part, overlay, int(left - x), int(top - y), Some(space))?;
        let part = calls::extract_band(&part, 0, image.bands())?;
        let part = calls::cast(&part, image.format())?;
        blended = calls::insert(&blended, &part, int(x), int(y))?;
    }
    Ok(blended)
}

/// Where something of a length begins and how long it is, as far as it lies on a canvas.
fn covered(start: i64, length: i32, canvas: i32) -> (i64, i64) {
    let first = start.max(0);
    (
        first,
        (start + i64::from(length)).min(canvas.into()) - first,
    )
}

/// Repeats an image in both directions.
///
/// # Errors
/// Whatever libvips says.
pub fn replicate(image: &Image, across: i64, down: i64) -> Result<Image, vips::Error> {
    calls::replicate(image, int(across), int(down))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Pixels that differ from their neighbours in every band.
    fn noise(width: i32, height: i32, bands: i32, space: Interpretation) -> Image {
        let pixels: Vec<u8> = (0..width * height * bands)
            .map(|n| u8::try_from(n.wrapping_mul(7919) >> 3 & 0xff).unwrap())
            .collect();
        Image::from_pixels(Bytes::from(pixels), width, height, bands, space).unwrap()
    }

    #[test]
    fn parts_and_the_whole_are_blended_alike() {
        vips::ready();
        for (bands, space) in [(3, Interpretation::Srgb), (1, Interpretation::Bw)] {
            let image = noise(61, 43, bands, space);
            let overlay = noise(20, 15, bands + 1, space);
            for places in [
                &[(0, 0)][..],
                &[(30, 20)],
                &[(-7, -4)],
                &[(50, 35)],
                &[(-20, 0), (61, 5), (3, 43)],
                &[(5, 2), (5, 22)],
                &[(5, 2), (12, 9)],
            ] {
                let parts = blend_parts(&image, &overlay, space, places).unwrap();
                let whole = blend_all(&image, &overlay, space, places).unwrap();
                assert_eq!(parts.bands(), whole.bands(), "{places:?}");
                assert_eq!(
                    parts.to_pixels().unwrap(),
                    whole.to_pixels().unwrap(),
                    "{space:?} {places:?}"
                );
            }
        }
    }
}
