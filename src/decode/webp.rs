//! WebP. The decoder scales by any factor, unless a frame of an animation does not cover the canvas.

use bytes::Bytes;

use super::{Decoder, LoadOptions, Loader, open};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value};

/// The table row.
pub const LOADER: Loader = Loader {
    format: ImageFormat::Webp,
    decoder: Decoder::Vips {
        operation: OPERATION,
        load,
    },
};

/// The libvips operation.
pub const OPERATION: &str = "webpload_source";

fn load(bytes: &Bytes, options: &LoadOptions) -> Result<Image, vips::Error> {
    open(
        OPERATION,
        bytes,
        &[
            ("scale", Value::Double(1.0 / options.shrink)),
            ("page", Value::Int(0)),
            ("n", Value::Int(options.pages)),
        ],
    )
}
