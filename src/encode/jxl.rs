//! JPEG XL, lossy.

use bytes::Bytes;

use super::{SaveOptions, Saver};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value, calls};

/// The table row.
pub const SAVER: Saver = Saver {
    format: ImageFormat::Jxl,
    operation: Some(OPERATION),
    probe: Some(&[("effort", Value::Int(3))]),
    save,
};

/// The libvips operation.
const OPERATION: &str = "jxlsave_target";

/// libvips before 8.15.1 takes no smaller effort.
const SMALLEST_OLD_EFFORT: u8 = 3;

fn save(image: &Image, options: &SaveOptions<'_>) -> Result<Bytes, vips::Error> {
    let effort = options.config.jxl_effort;
    let effort = if vips::version() < (8, 15, 1) {
        effort.max(SMALLEST_OLD_EFFORT)
    } else {
        effort
    };
    calls::save(
        image,
        OPERATION,
        &[
            ("Q", Value::Int(options.quality.into())),
            ("effort", Value::Int(effort.into())),
        ],
    )
}
