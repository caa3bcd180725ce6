//! Sharpening.

use crate::args::{Access, Group, OptionDef};
use crate::vips::{self, Image, calls};

use super::{Effect, PipelineOptions};

/// `sharpen`.
pub static SHARPEN: OptionDef<PipelineOptions> = OptionDef {
    name: "sharpen",
    aliases: &["sh"],
    usage: "sharpen:%sigma",
    example: "sharpen:0.7",
    group: Group::Effects,
    summary: "Sharpen the image",
    docs: "Sharpens the result. `sigma` is the width of the sharpening mask in pixels of the result, a number of at \
least 0; `dpr` does not multiply it. 0.5 suits a photograph that was made smaller. Default: 0, no sharpening.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.sharpen = args.single("sharpen")?.float_from_zero()?;
        Ok(())
    },
};

/// The table row.
pub const EFFECT: Effect = Effect {
    is_on: |options| options.sharpen > 0.0,
    premultiplied: true,
    apply,
};

/// libvips 8.15 and later take no larger value.
const LARGEST_SIGMA: f64 = 10.0;
/// libvips takes no smaller value.
const SMALLEST_SIGMA: f64 = 0.000_001;

fn apply(options: &PipelineOptions, image: &Image) -> Result<Image, vips::Error> {
    calls::sharpen(image, options.sharpen.clamp(SMALLEST_SIGMA, LARGEST_SIGMA))
}
