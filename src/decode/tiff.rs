//! TIFF. The first page only.

use bytes::Bytes;

use super::{Decoder, LoadOptions, Loader, open};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value};

/// The table row.
pub const LOADER: Loader = Loader {
    format: ImageFormat::Tiff,
    decoder: Decoder::Vips {
        operation: OPERATION,
        load,
    },
};

/// The libvips operation.
pub const OPERATION: &str = "tiffload_source";

fn load(bytes: &Bytes, options: &LoadOptions) -> Result<Image, vips::Error> {
    let mut arguments = vec![("page", Value::Int(0)), ("n", Value::Int(options.pages))];
    if options.tiff_unlimited && vips::operation_has_argument(OPERATION, UNLIMITED) {
        arguments.push((UNLIMITED, Value::Bool(true)));
    }
    open(OPERATION, bytes, &arguments)
}

/// Since libvips 8.17.
const UNLIMITED: &str = "unlimited";
