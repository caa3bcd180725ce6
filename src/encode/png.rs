//! PNG: with a palette where the source had one or quantisation is configured, true colour otherwise.

use bytes::Bytes;

use super::{SaveOptions, Saver, palette_depth};
use crate::config::ProcessingConfig;
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value, calls};

/// The table row.
pub const SAVER: Saver = Saver {
    format: ImageFormat::Png,
    operation: Some(OPERATION),
    probe: None,
    save,
};

/// The libvips operation.
const OPERATION: &str = "pngsave_target";

fn save(image: &Image, options: &SaveOptions<'_>) -> Result<Bytes, vips::Error> {
    let interlace = ("interlace", Value::Bool(options.config.png_interlaced));
    match palette_bits(palette_depth(image), options.config) {
        None => calls::save(
            image,
            OPERATION,
            &[("filter", Value::Str("all")), interlace],
        ),
        Some(bits) => calls::save(
            image,
            OPERATION,
            &[
                ("filter", Value::Str("none")),
                interlace,
                ("palette", Value::Bool(true)),
                ("bitdepth", Value::Int(bits)),
            ],
        ),
    }
}

/// Whether the result has a palette, for which all pixels are looked at first.
pub fn has_palette(image: &Image, config: &ProcessingConfig) -> bool {
    palette_bits(palette_depth(image), config).is_some()
}

/// Bits per pixel of the palette, or `None` for true colour. Rule: `spec/formats.md` section 5.2.
fn palette_bits(source_depth: i32, config: &ProcessingConfig) -> Option<i32> {
    if config.png_quantize {
        return Some(match config.png_quantization_colors {
            ..=2 => 1,
            3..=4 => 2,
            5..=16 => 4,
            _ => 8,
        });
    }
    match source_depth {
        1 => Some(1),
        2 => Some(2),
        3 | 4 => Some(4),
        5..=8 => Some(8),
        _ => None,
    }
}
