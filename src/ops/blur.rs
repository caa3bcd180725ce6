//! Gaussian blur.

use crate::args::{Access, Group, OptionDef};

use super::PipelineOptions;

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
