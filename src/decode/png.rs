//! PNG. 16 bits per channel stay; palettes are expanded and their depth is remembered as metadata.

use bytes::Bytes;

use super::{Decoder, LoadOptions, Loader, open};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value};

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
    open(OPERATION, bytes, &[("unlimited", unlimited)])
}
