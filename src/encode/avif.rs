//! AVIF. 12 bits per channel for 16-bit images, 8 otherwise; chroma is subsampled below quality 90.

use bytes::Bytes;

use super::{SaveOptions, Saver};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value, calls};

/// The table row.
pub const SAVER: Saver = Saver {
    format: ImageFormat::Avif,
    operation: Some(OPERATION),
    probe: Some(&[
        ("compression", Value::Str("av1")),
        ("effort", Value::Int(0)),
    ]),
    save,
};

/// The libvips operation.
const OPERATION: &str = "heifsave_target";

fn save(image: &Image, options: &SaveOptions<'_>) -> Result<Bytes, vips::Error> {
    calls::save(
        image,
        OPERATION,
        &[
            ("Q", Value::Int(options.quality.into())),
            ("compression", Value::Str("av1")),
            (
                "effort",
                Value::Int(i32::from(9_u8.saturating_sub(options.config.avif_speed))),
            ),
        ],
    )
}
