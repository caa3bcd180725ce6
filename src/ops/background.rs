//! The colour behind transparent pixels.

use crate::args::{Access, Group, OptionDef};
use crate::color::Rgb;

use super::PipelineOptions;

/// `background`.
pub static BACKGROUND: OptionDef<PipelineOptions> = OptionDef {
    name: "background",
    aliases: &["bg"],
    usage: "background:%r:%g:%b",
    example: "background:255:255:255",
    group: Group::Effects,
    summary: "Fill transparent areas with a colour",
    docs: "Fills transparent areas, including the space added by `extend` and `padding`, with a colour. It is written \
as three integers from 0 to 255 (`background:255:128:0`) or as three or six hex digits without `#` \
(`background:f80`, `background:ff8000`).\n\
\n\
Without this option transparency is kept where the format can store it, and becomes white elsewhere. `background:` with an empty argument takes \
back a colour that a preset has set.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.background = match args.values() {
            [""] => None,
            [_] => Some(args.at(0, "background").color()?),
            [_, _, _] => Some(Rgb {
                r: args.at(0, "background.R").channel()?,
                g: args.at(1, "background.G").channel()?,
                b: args.at(2, "background.B").channel()?,
            }),
            _ => return Err(args.error("background")),
        };
        Ok(())
    },
};
