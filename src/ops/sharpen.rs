//! Sharpening.

use crate::args::{Access, Group, OptionDef};

use super::PipelineOptions;

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
