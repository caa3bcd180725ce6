//! Gaussian blur.

use crate::args::{Access, Group, OptionDef};
use crate::vips::{self, Image, calls};

use super::{Effect, PipelineOptions};

/// `blur`.
pub static BLUR: OptionDef<PipelineOptions> = OptionDef {
    name: "blur",
    aliases: &["bl"],
    usage: "blur:%sigma",
    example: "blur:5",
    group: Group::Effects,
    summary: "Blur the image",
    docs: "Applies a Gaussian blur to the result. `sigma` is its standard deviation in pixels of the result, a number \
of at least 0; `dpr` does not multiply it. Default: 0, no blur.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.blur = args.single("blur")?.float_from_zero()?;
        Ok(())
    },
};

/// The table row.
pub const EFFECT: Effect = Effect {
    is_on: |options| options.blur > 0.0,
    premultiplied: true,
    apply,
};

/// libvips refuses larger values.
const LARGEST_SIGMA: f64 = 1000.0;

fn apply(options: &PipelineOptions, image: &Image) -> Result<Image, vips::Error> {
    calls::gaussblur(image, options.blur.min(LARGEST_SIGMA))
}
