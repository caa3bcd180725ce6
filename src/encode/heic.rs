//! HEIC, 8 bits per channel.

use bytes::Bytes;

use super::{SaveOptions, Saver};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value, calls};

/// The table row.
pub const SAVER: Saver = Saver {
    format: ImageFormat::Heic,
    operation: Some(OPERATION),
    probe: Some(&[
        ("compression", Value::Str("hevc")),
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
            ("compression", Value::Str("hevc")),
            ("bitdepth", Value::Int(8)),
        ],
    )
}
