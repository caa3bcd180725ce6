//! GIF. The palette is as deep as the source's was, 8 bits where it had none.

use bytes::Bytes;

use super::{SaveOptions, Saver, palette_depth};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value, calls};

/// The table row.
pub const SAVER: Saver = Saver {
    format: ImageFormat::Gif,
    operation: Some(OPERATION),
    probe: None,
    save,
};

/// The libvips operation.
const OPERATION: &str = "gifsave_target";

fn save(image: &Image, _options: &SaveOptions<'_>) -> Result<Bytes, vips::Error> {
    let depth = match palette_depth(image) {
        depth @ 1..=8 => depth,
        _ => 8,
    };
    calls::save(image, OPERATION, &[("bitdepth", Value::Int(depth))])
}
