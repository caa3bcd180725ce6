//! The operations of one pipeline: one file per operation with its typed value, its URL option and its execution.

pub mod background;
pub mod blur;
pub mod crop;
pub mod extend;
pub mod flip;
pub mod gravity;
pub mod padding;
pub mod pixelate;
pub mod resize;
pub mod rotate;
pub mod sharpen;
pub mod trim;
pub mod watermark;

use crate::args::{Canonical, Float, OptionDef};
use crate::color::Rgb;
use crate::geometry::Angle;
use crate::vips::{self, Cancel, Image, Interpretation, calls};

/// Everything a URL can say about one pipeline. Unset is the type's default; server defaults apply later.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineOptions {
    /// Resizing type, sizes, zoom, DPR, enlarge.
    pub resize: resize::Resize,
    /// `extend`.
    pub extend: extend::Extend,
    /// `extend_aspect_ratio`.
    pub extend_aspect_ratio: extend::Extend,
    /// `gravity`.
    pub gravity: gravity::GravityOption,
    /// `crop`.
    pub crop: crop::Crop,
    /// `trim`; `None` is off.
    pub trim: trim::Trim,
    /// `padding`.
    pub padding: padding::Padding,
    /// `auto_rotate`.
    pub auto_rotate: Option<bool>,
    /// `rotate`.
    pub rotate: Angle,
    /// `flip`.
    pub flip: flip::Flip,
    /// `background`.
    pub background: Option<Rgb>,
    /// `blur`: standard deviation in pixels of the result; 0 is off.
    pub blur: f64,
    /// `sharpen`: width of the mask in pixels of the result; 0 is off.
    pub sharpen: f64,
    /// `pixelate`: side of the squares in pixels of the result; 0 and 1 are off.
    pub pixelate: i64,
    /// `watermark`.
    pub watermark: watermark::Watermark,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            resize: resize::Resize::default(),
            extend: extend::Extend::default(),
            extend_aspect_ratio: extend::Extend::default(),
            gravity: gravity::GravityOption::default(),
            crop: crop::Crop::default(),
            trim: trim::Trim::default(),
            padding: padding::Padding::default(),
            auto_rotate: None,
            rotate: Angle::default(),
            flip: flip::Flip::default(),
            background: None,
            blur: 0.0,
            sharpen: 0.0,
            pixelate: 1,
            watermark: watermark::Watermark::default(),
        }
    }
}

impl PipelineOptions {
    /// Writes what differs from the defaults, in one fixed order and without what has no effect.
    pub fn canonical(&self, out: &mut Canonical) {
        self.trim.canonical(out);
        self.crop.canonical(out);
        self.resize.canonical(out);
        self.extend.canonical(extend::EXTEND.name, out);
        self.extend_aspect_ratio
            .canonical(extend::EXTEND_ASPECT_RATIO.name, out);
        if self.gravity.resolved() != gravity::GravityOption::default().resolved() {
            self.gravity.canonical(gravity::GRAVITY.name, "", out);
        }
        out.switch(rotate::AUTO_ROTATE.name, self.auto_rotate);
        if self.rotate != Angle::D0 {
            out.option(rotate::ROTATE.name, &[&self.rotate.degrees()]);
        }
        self.flip.canonical(out);
        self.padding.canonical(out);
        if let Some(color) = self.background {
            out.option(background::BACKGROUND.name, &[&color]);
        }
        if self.blur > 0.0 {
            out.option(blur::BLUR.name, &[&Float(self.blur)]);
        }
        if self.sharpen > 0.0 {
            out.option(sharpen::SHARPEN.name, &[&Float(self.sharpen)]);
        }
        if self.pixelate > 1 {
            out.option(pixelate::PIXELATE.name, &[&self.pixelate]);
        }
        self.watermark.canonical(out);
    }
}

/// Every option that acts on one pipeline, in the order of the documentation.
pub static PIPELINE_OPTIONS: &[&OptionDef<PipelineOptions>] = &[
    &resize::RESIZE,
    &resize::SIZE,
    &resize::RESIZING_TYPE,
    &resize::WIDTH,
    &resize::HEIGHT,
    &resize::MIN_WIDTH,
    &resize::MIN_HEIGHT,
    &resize::ZOOM,
    &resize::DPR,
    &resize::ENLARGE,
    &extend::EXTEND,
    &extend::EXTEND_ASPECT_RATIO,
    &gravity::GRAVITY,
    &crop::CROP,
    &trim::TRIM,
    &padding::PADDING,
    &rotate::AUTO_ROTATE,
    &rotate::ROTATE,
    &flip::FLIP,
    &background::BACKGROUND,
    &blur::BLUR,
    &sharpen::SHARPEN,
    &pixelate::PIXELATE,
    &watermark::WATERMARK,
];

/// A filter over the pixels of the result. Filters run on 8-bit sRGB.
#[derive(Debug)]
pub struct Effect {
    /// Whether the options ask for it.
    pub is_on: fn(&PipelineOptions) -> bool,
    /// Whether it mixes neighbouring pixels, so that colours have to be weighted by alpha.
    pub premultiplied: bool,
    /// Applies it.
    pub apply: fn(&PipelineOptions, &Image) -> Result<Image, vips::Error>,
}

/// Every filter, in the order in which they run.
pub const EFFECTS: &[Effect] = &[blur::EFFECT, sharpen::EFFECT, pixelate::EFFECT];

/// Whether any effect is on.
pub fn has_effects(options: &PipelineOptions) -> bool {
    EFFECTS.iter().any(|effect| (effect.is_on)(options))
}

/// Runs the filters that are on; `None` where none is.
///
/// The image comes back in memory, in the interpretation and format of the conversion. Rule: `spec/pipeline.md` 6.9.
/// All work of the filters is done in here, so `cancel` gets to know the images that it can be stopped by.
///
/// # Errors
/// Whatever libvips says.
pub fn apply_effects(
    options: &PipelineOptions,
    image: &Image,
    cancel: &Cancel,
) -> Result<Option<Image>, vips::Error> {
    if !has_effects(options) {
        return Ok(None);
    }
    let mut active = EFFECTS.iter().filter(|effect| (effect.is_on)(options));
    let mixes = EFFECTS
        .iter()
        .any(|effect| effect.premultiplied && (effect.is_on)(options));
    let mut image = image.copy_memory()?;
    if image.interpretation() != Interpretation::Srgb {
        image = calls::colourspace(&image, Interpretation::Srgb, None)?;
    }
    let (interpretation, format) = (image.interpretation(), image.format());
    let run = |image: &Image| {
        active.try_fold(image.clone(), |image, effect| {
            (effect.apply)(options, &image)
        })
    };
    let mut done = if mixes {
        resize::with_premultiplied(&image, run)?
    } else {
        let mut run = run;
        run(&image)?
    };
    if done.interpretation() != interpretation {
        done = calls::colourspace(&done, interpretation, None)?;
    }
    if done.format() != format {
        done = calls::cast(&done, format)?;
    }
    cancel.watch(&done);
    done.copy_memory().map(Some)
}

/// A coordinate as libvips takes it; planning has bounded it already.
fn int(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}
