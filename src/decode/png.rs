//! PNG. 16 bits per channel stay; palettes are expanded and their depth is remembered as metadata.

use bytes::Bytes;

use super::{Decoder, LoadOptions, Loader};
use crate::format::ImageFormat;
use crate::vips::{self, Access, Image, Source, Value, calls};

/// The table row.
pub const LOADER: Loader = Loader {
    format: ImageFormat::Png,
    decoder: Decoder::Vips {
        operation: OPERATION,
        load,
    },
};

/// The libvips operation.
pub const OPERATION: &str = "pngload_source";

pub(super) fn load(bytes: &Bytes, options: &LoadOptions) -> Result<Image, vips::Error> {
    let unlimited = Value::Bool(options.png_unlimited);
    calls::load(
        OPERATION,
        &Source::from_bytes(bytes.clone()),
        Access::Sequential,
        &[("unlimited", unlimited)],
    )
}
