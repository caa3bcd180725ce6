//! Resizing type, target size, zoom, DPR and enlarge.

use crate::args::{Access, ArgError, Args, Canonical, Float, Group, OptionDef, number};
use crate::vips::{self, Image, Interpretation, calls};

use super::{PipelineOptions, extend};

/// How the source is fitted into the requested size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResizingType {
    /// Keep the aspect ratio, inside the size.
    #[default]
    Fit,
    /// Keep the aspect ratio, cover the size, crop the rest.
    Fill,
    /// As fill, but a smaller source gives a smaller result of the requested aspect ratio.
    FillDown,
    /// Exactly the size, aspect ratio ignored.
    Force,
    /// Fill where source and size have the same orientation, else fit.
    Auto,
}

impl ResizingType {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::Fit,
        Self::Fill,
        Self::FillDown,
        Self::Force,
        Self::Auto,
    ];

    /// The name in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Fill => "fill",
            Self::FillDown => "fill-down",
            Self::Force => "force",
            Self::Auto => "auto",
        }
    }
}

/// The resize family of options.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// `resizing_type`.
    pub kind: ResizingType,
    /// `width` in pixels before DPR; 0 derives it from the other side.
    pub width: i64,
    /// `height` in pixels before DPR; 0 derives it from the other side.
    pub height: i64,
    /// `min-width`; 0 is off.
    pub min_width: i64,
    /// `min-height`; 0 is off.
    pub min_height: i64,
    /// Horizontal `zoom`, above 0.
    pub zoom_x: f64,
    /// Vertical `zoom`, above 0.
    pub zoom_y: f64,
    /// `dpr`, above 0.
    pub dpr: f64,
    /// `enlarge`.
    pub enlarge: bool,
}

impl Default for Resize {
    fn default() -> Self {
        Self {
            kind: ResizingType::Fit,
            width: 0,
            height: 0,
            min_width: 0,
            min_height: 0,
            zoom_x: 1.0,
            zoom_y: 1.0,
            dpr: 1.0,
            enlarge: false,
        }
    }
}

impl Resize {
    pub(super) fn canonical(&self, out: &mut Canonical) {
        if self.kind != ResizingType::Fit {
            out.option(RESIZING_TYPE.name, &[&self.kind.name()]);
        }
        for (name, side) in [
            (WIDTH.name, self.width),
            (HEIGHT.name, self.height),
            (MIN_WIDTH.name, self.min_width),
            (MIN_HEIGHT.name, self.min_height),
        ] {
            if side != 0 {
                out.option(name, &[&side]);
            }
        }
        if (self.zoom_x, self.zoom_y) != (1.0, 1.0) {
            out.option(ZOOM.name, &[&Float(self.zoom_x), &Float(self.zoom_y)]);
        }
        if self.dpr != 1.0 {
            out.option(DPR.name, &[&Float(self.dpr)]);
        }
        if self.enlarge {
            out.option(ENLARGE.name, &[&1]);
        }
    }
}

fn apply_resize(pipeline: &mut PipelineOptions, args: &Args<'_>) -> Result<(), ArgError> {
    args.at_most(8, "resize")?;
    if let Some(kind) = args.given(0, "resizing_type") {
        pipeline.resize.kind = kind.choice(&ResizingType::ALL, ResizingType::name)?;
    }
    apply_size(pipeline, &args.tail(1))
}

fn apply_size(pipeline: &mut PipelineOptions, args: &Args<'_>) -> Result<(), ArgError> {
    args.at_most(7, "size")?;
    if let Some(width) = args.given(0, "width") {
        pipeline.resize.width = width.int_from_zero()?;
    }
    if let Some(height) = args.given(1, "height") {
        pipeline.resize.height = height.int_from_zero()?;
    }
    if let Some(enlarge) = args.given(2, "enlarge") {
        pipeline.resize.enlarge = enlarge.bool();
    }
    // Without the switch, imgproxy ignores the gravity behind it.
    if args.given(3, "extend.enabled").is_some() {
        extend::apply_extend(pipeline, &args.tail(3))?;
    }
    Ok(())
}

fn apply_zoom(pipeline: &mut PipelineOptions, args: &Args<'_>) -> Result<(), ArgError> {
    args.at_most(2, "zoom")?;
    let resize = &mut pipeline.resize;
    resize.zoom_x = args.at(0, "zoom_width").float_above_zero()?;
    resize.zoom_y = if args.len() > 1 {
        args.at(1, "zoom_height").float_above_zero()?
    } else {
        resize.zoom_x
    };
    Ok(())
}

/// imgproxy answers `dpr:Inf` with the largest picture that the source can give, so infinity is no error here.
fn apply_dpr(pipeline: &mut PipelineOptions, args: &Args<'_>) -> Result<(), ArgError> {
    let arg = args.single("dpr")?;
    pipeline.resize.dpr = match number::float(arg.text()) {
        Some(f64::INFINITY) => UNBOUNDED_DPR,
        _ => arg.float_above_zero()?,
    };
    Ok(())
}

/// More than any source can give, and small enough that products with sizes stay finite.
const UNBOUNDED_DPR: f64 = 1e9;

const RESIZING_TYPES: &str = "* `fit` (default) – keep the aspect ratio, fit inside the size.\n\
* `fill` – keep the aspect ratio, cover the size, cut off what sticks out (see [`gravity`](#gravity)).\n\
* `fill-down` – as `fill`; a source that is too small gives a smaller result of the requested aspect ratio.\n\
* `force` – exactly the size, the aspect ratio is ignored.\n\
* `auto` – `fill` where source and size are both landscape or both portrait, else `fit`.";

/// `resize`.
pub static RESIZE: OptionDef<PipelineOptions> = OptionDef {
    name: "resize",
    aliases: &["rs"],
    usage: "resize:%resizing_type:%width:%height:%enlarge:%extend:%gravity",
    example: "resize:fill:300:200:0:1:so",
    group: Group::Geometry,
    summary: "Resizing type, size, enlarge and extend in one option",
    docs: "Sets [`resizing_type`](#resizing_type), [`width`](#width), [`height`](#height), [`enlarge`](#enlarge) and \
[`extend`](#extend) with its gravity at once. Every argument may be left empty or out, and then keeps its value. A \
gravity without `extend` is ignored. Default: those of the options that it sets.",
    access: Access::Open,
    apply: apply_resize,
};

/// `size`.
pub static SIZE: OptionDef<PipelineOptions> = OptionDef {
    name: "size",
    aliases: &["s"],
    usage: "size:%width:%height:%enlarge:%extend:%gravity",
    example: "size:300:200",
    group: Group::Geometry,
    summary: "Size, enlarge and extend in one option",
    docs: "As [`resize`](#resize) without the resizing type. Every argument may be left empty or out, and then keeps \
its value. Default: those of the options that it sets.",
    access: Access::Open,
    apply: apply_size,
};

/// `resizing_type`.
pub static RESIZING_TYPE: OptionDef<PipelineOptions> = OptionDef {
    name: "resizing_type",
    aliases: &["rt"],
    usage: "resizing_type:%resizing_type",
    example: "resizing_type:fill",
    group: Group::Geometry,
    summary: "How the source is fitted into the requested size",
    docs: RESIZING_TYPES,
    access: Access::Open,
    apply: |pipeline, args| {
        let arg = args.single("resizing_type")?;
        pipeline.resize.kind = arg.choice(&ResizingType::ALL, ResizingType::name)?;
        Ok(())
    },
};

/// `width`.
pub static WIDTH: OptionDef<PipelineOptions> = OptionDef {
    name: "width",
    aliases: &["w"],
    usage: "width:%width",
    example: "width:300",
    group: Group::Geometry,
    summary: "Width of the result",
    docs: "The requested width in pixels, an integer of at least 0, multiplied by `dpr` and `zoom`. 0 (default) derives \
it from the height; with the resizing type `force` the source's width is kept. A client hint gives the default where \
`IMGPROXY_ENABLE_CLIENT_HINTS` is on.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.resize.width = args.single("width")?.int_from_zero()?;
        Ok(())
    },
};

/// `height`.
pub static HEIGHT: OptionDef<PipelineOptions> = OptionDef {
    name: "height",
    aliases: &["h"],
    usage: "height:%height",
    example: "height:200",
    group: Group::Geometry,
    summary: "Height of the result",
    docs: "The requested height in pixels, an integer of at least 0, multiplied by `dpr` and `zoom`. 0 (default) \
derives it from the width; with the resizing type `force` the source's height is kept.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.resize.height = args.single("height")?.int_from_zero()?;
        Ok(())
    },
};

/// `min-width`.
pub static MIN_WIDTH: OptionDef<PipelineOptions> = OptionDef {
    name: "min-width",
    aliases: &["mw"],
    usage: "min-width:%width",
    example: "min-width:300",
    group: Group::Geometry,
    summary: "Smallest width of the scaled image",
    docs: "An integer of at least 0 in pixels that are multiplied by `dpr`. The image is scaled so that it is at least \
this wide, even if that enlarges it; what then sticks out of `width` × `height` is cut off. Default: 0, off.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.resize.min_width = args.single("min-width")?.int_from_zero()?;
        Ok(())
    },
};

/// `min-height`.
pub static MIN_HEIGHT: OptionDef<PipelineOptions> = OptionDef {
    name: "min-height",
    aliases: &["mh"],
    usage: "min-height:%height",
    example: "min-height:200",
    group: Group::Geometry,
    summary: "Smallest height of the scaled image",
    docs: "An integer of at least 0 in pixels that are multiplied by `dpr`. The image is scaled so that it is at least \
this high, even if that enlarges it; what then sticks out of `width` × `height` is cut off. Default: 0, off.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.resize.min_height = args.single("min-height")?.int_from_zero()?;
        Ok(())
    },
};

/// `zoom`.
pub static ZOOM: OptionDef<PipelineOptions> = OptionDef {
    name: "zoom",
    aliases: &["z"],
    usage: "zoom:%zoom_x:%zoom_y",
    example: "zoom:1.5",
    group: Group::Geometry,
    summary: "Multiply the size",
    docs: "Multiplies the size that the other options give, without being a device pixel ratio: paddings, offsets and \
watermarks stay as they are. Numbers above 0, default 1; one number counts for both axes.",
    access: Access::Open,
    apply: apply_zoom,
};

/// `dpr`.
pub static DPR: OptionDef<PipelineOptions> = OptionDef {
    name: "dpr",
    aliases: &[],
    usage: "dpr:%dpr",
    example: "dpr:2",
    group: Group::Geometry,
    summary: "Device pixel ratio",
    docs: "Multiplies sizes, paddings and offsets for screens of high density. A number above 0, default 1. Where \
`enlarge` is off it is limited to what the source can give. A client hint gives the default where \
`IMGPROXY_ENABLE_CLIENT_HINTS` is on.",
    access: Access::Open,
    apply: apply_dpr,
};

/// `enlarge`.
pub static ENLARGE: OptionDef<PipelineOptions> = OptionDef {
    name: "enlarge",
    aliases: &["el"],
    usage: "enlarge:%enlarge",
    example: "enlarge:1",
    group: Group::Geometry,
    summary: "Whether a small source is enlarged to the requested size",
    docs: "A boolean, default false: a source that is smaller than requested keeps its size.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.resize.enlarge = args.single("enlarge")?.bool();
        Ok(())
    },
};

/// Resizes by the factors of both axes; colours are weighted by alpha while they are mixed.
///
/// # Errors
/// Whatever libvips says.
pub fn apply(image: &Image, horizontal: f64, vertical: f64) -> Result<Image, vips::Error> {
    with_premultiplied(image, |image| {
        calls::resize(image, horizontal, vertical, None)
    })
}

/// Resizes in linear light and comes back to the given interpretation.
///
/// Before libvips 8.16.1 conversions of alpha lose precision, so it goes its own way.
///
/// # Errors
/// Whatever libvips says.
pub fn apply_linear(
    image: &Image,
    interpretation: Interpretation,
    horizontal: f64,
    vertical: f64,
) -> Result<Image, vips::Error> {
    let format = image.format();
    let linear = calls::colourspace(image, Interpretation::Scrgb, None)?;
    let resized = apply(&linear, horizontal, vertical)?;
    let back = calls::colourspace(&resized, interpretation, None)?;
    if back.format() == format {
        Ok(back)
    } else {
        calls::cast(&back, format)
    }
}

/// Runs an operation on pixels whose colours are multiplied by their alpha.
///
/// The cast back to the input's format before the operation rounds to whole levels; the reference does it, and equal
/// pixels need it.
///
/// # Errors
/// Whatever libvips or the operation says.
pub fn with_premultiplied(
    image: &Image,
    operation: impl FnOnce(&Image) -> Result<Image, vips::Error>,
) -> Result<Image, vips::Error> {
    if !image.has_alpha() {
        return operation(image);
    }
    let format = image.format();
    let premultiplied = calls::cast(&calls::premultiply(image)?, format)?;
    let done = operation(&premultiplied)?;
    calls::cast(&calls::unpremultiply(&done)?, format)
}
