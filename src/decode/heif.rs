//! HEIC and AVIF. libheif applies rotation and mirroring; 10 and 12 bits come as 16.

use bytes::Bytes;

use super::{Decoder, LoadOptions, Loader, open};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value};

/// The table row of HEIC.
pub const HEIC: Loader = Loader {
    format: ImageFormat::Heic,
    decoder: Decoder::Vips {
        operation: OPERATION,
        load,
    },
};

/// The table row of AVIF.
pub const AVIF: Loader = Loader {
    format: ImageFormat::Avif,
    decoder: Decoder::Vips {
        operation: OPERATION,
        load,
    },
};

/// The libvips operation.
pub const OPERATION: &str = "heifload_source";

fn load(bytes: &Bytes, options: &LoadOptions) -> Result<Image, vips::Error> {
    let thumbnail = Value::Bool(options.thumbnail);
    open(OPERATION, bytes, &[("thumbnail", thumbnail)])
}
