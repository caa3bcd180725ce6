//! JPEG. Chroma is subsampled below quality 90, Huffman tables are optimised.

use bytes::Bytes;

use super::{SaveOptions, Saver};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value, calls};

/// The table row.
pub const SAVER: Saver = Saver {
    format: ImageFormat::Jpeg,
    operation: Some(OPERATION),
    probe: None,
    save,
};

/// The libvips operation.
const OPERATION: &str = "jpegsave_target";

fn save(image: &Image, options: &SaveOptions<'_>) -> Result<Bytes, vips::Error> {
    calls::save(
        image,
        OPERATION,
        &[
            ("Q", Value::Int(options.quality.into())),
            ("optimize_coding", Value::Bool(true)),
            ("interlace", Value::Bool(options.config.jpeg_progressive)),
        ],
    )
}
