//! Mosaic.

use crate::args::{Access, Group, OptionDef};
use crate::vips::{self, Image, calls};

use super::{Effect, PipelineOptions};

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

/// The table row.
pub const EFFECT: Effect = Effect {
    is_on: |options| options.pixelate > 1,
    premultiplied: false,
    apply,
};

/// Mirrors the image up to a whole number of blocks, averages each block, and cuts back to the size.
fn apply(options: &PipelineOptions, image: &Image) -> Result<Image, vips::Error> {
    let (width, height) = (image.width(), image.height());
    let block = i32::try_from(options.pixelate)
        .unwrap_or(i32::MAX)
        .min(width.max(height));
    if block <= 1 {
        return Ok(image.clone());
    }
    let (across, down) = (
        width.div_euclid(block) + i32::from(width % block != 0),
        height.div_euclid(block) + i32::from(height % block != 0),
    );
    let (full_width, full_height) = (across.saturating_mul(block), down.saturating_mul(block));
    let mut blocks = image.clone();
    if full_width > width || full_height > height {
        let canvas = calls::Canvas {
            left: 0,
            top: 0,
            width: full_width,
            height: full_height,
            extend: vips::Extend::Mirror,
            background: None,
        };
        blocks = calls::embed(&blocks, canvas)?;
    }
    let blocks = calls::shrink(&blocks, f64::from(block), f64::from(block))?;
    calls::extract_area(&calls::zoom(&blocks, block, block)?, 0, 0, width, height)
}
