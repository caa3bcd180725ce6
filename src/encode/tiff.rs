//! TIFF, uncompressed: quality has no effect on it.

use bytes::Bytes;

use super::{SaveOptions, Saver};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value, calls};

/// The table row.
pub const SAVER: Saver = Saver {
    format: ImageFormat::Tiff,
    operation: Some(OPERATION),
    probe: None,
    save,
};

/// The libvips operation.
const OPERATION: &str = "tiffsave_target";

fn save(image: &Image, options: &SaveOptions<'_>) -> Result<Bytes, vips::Error> {
    calls::save(
        image,
        OPERATION,
        &[("Q", Value::Int(options.quality.into()))],
    )
}
