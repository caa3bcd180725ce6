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
    open(
        OPERATION,
        bytes,
        &[
            ("page", Value::Int(0)),
            ("n", Value::Int(options.pages)),
            ("unlimited", Value::Bool(options.tiff_unlimited)),
        ],
    )
}
