//! WebP, lossy.

use bytes::Bytes;

use super::{SaveOptions, Saver};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value, calls};

/// The table row.
pub const SAVER: Saver = Saver {
    format: ImageFormat::Webp,
    operation: Some(OPERATION),
    probe: None,
    save,
};

/// The libvips operation.
const OPERATION: &str = "webpsave_target";

fn save(image: &Image, options: &SaveOptions<'_>) -> Result<Bytes, vips::Error> {
    calls::save(
        image,
        OPERATION,
        &[
            ("Q", Value::Int(options.quality.into())),
            ("effort", Value::Int(options.config.webp_effort.into())),
            ("preset", Value::Str(options.config.webp_preset)),
        ],
    )
}
