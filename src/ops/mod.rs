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
