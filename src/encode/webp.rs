//! WebP, lossy.

use bytes::Bytes;

use super::{SaveOptions, Saver};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value, calls};

/// The table row.
pub const SAVER: Saver = Saver {
    format: ImageFormat::Webp,
    operation: "webpsave_target",
    save,
};

fn save(image: &Image, options: &SaveOptions<'_>) -> Result<Bytes, vips::Error> {
    calls::save(
        image,
        SAVER.operation,
        &[
            ("Q", Value::Int(options.quality.into())),
            ("effort", Value::Int(options.config.webp_effort.into())),
            ("preset", Value::Str(options.config.webp_preset)),
        ],
    )
}
