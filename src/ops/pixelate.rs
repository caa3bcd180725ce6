//! Mosaic.

use crate::args::{Access, Group, OptionDef};

use super::PipelineOptions;

/// `pixelate`.
pub static PIXELATE: OptionDef<PipelineOptions> = OptionDef {
    name: "pixelate",
    aliases: &["pix"],
    usage: "pixelate:%size",
    example: "pixelate:8",
    group: Group::Effects,
    summary: "Replace the image by coarse squares",
    docs: "Replaces squares of `size` × `size` pixels of the result by their mean colour. `size` is an integer of at \
least 0; `dpr` does not multiply it. Default: 1; 0 and 1 do nothing.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.pixelate = args.single("pixelate")?.int_from_zero()?;
        Ok(())
    },
};
