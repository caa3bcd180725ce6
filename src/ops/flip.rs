//! Mirroring.

use crate::args::{Access, Canonical, Group, OptionDef};
use crate::vips::{self, Direction, Image, calls};

use super::PipelineOptions;

/// `flip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flip {
    /// Left to right.
    pub horizontal: bool,
    /// Top to bottom.
    pub vertical: bool,
}

impl Flip {
    pub(super) fn canonical(self, out: &mut Canonical) {
        if self != Self::default() {
            let (horizontal, vertical) = (u8::from(self.horizontal), u8::from(self.vertical));
            out.option(FLIP.name, &[&horizontal, &vertical]);
        }
    }
}

/// `flip`.
pub static FLIP: OptionDef<PipelineOptions> = OptionDef {
    name: "flip",
    aliases: &["fl"],
    usage: "flip:%horizontal:%vertical",
    example: "flip:1:0",
    group: Group::Geometry,
    summary: "Mirror the image",
    docs: "Mirrors the image left to right (`horizontal`), top to bottom (`vertical`), or both. Both are booleans, \
default false; an empty one keeps the value set earlier. The mirroring happens after `rotate`.",
    access: Access::Open,
    apply: |pipeline, args| {
        args.at_most(2, "flip")?;
        if let Some(horizontal) = args.given(0, "flip.horizontal") {
            pipeline.flip.horizontal = horizontal.bool();
        }
        if let Some(vertical) = args.given(1, "flip.vertical") {
            pipeline.flip.vertical = vertical.bool();
        }
        Ok(())
    },
};

/// Mirrors left to right, then top to bottom.
///
/// # Errors
/// Whatever libvips says.
pub fn apply(image: &Image, horizontal: bool, vertical: bool) -> Result<Image, vips::Error> {
    let mut image = image.clone();
    if horizontal {
        image = calls::flip(&image, Direction::Horizontal)?;
    }
    if vertical {
        image = calls::flip(&image, Direction::Vertical)?;
    }
    Ok(image)
}
