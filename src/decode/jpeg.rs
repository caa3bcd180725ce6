//! JPEG. The decoder shrinks by 2, 4 or 8 while it decodes; the size is floor(side / shrink).

use bytes::Bytes;

use super::{Decoder, LoadOptions, Loader, open};
use crate::format::ImageFormat;
use crate::geometry;
use crate::vips::{self, Image, Value};

/// The table row.
pub const LOADER: Loader = Loader {
    format: ImageFormat::Jpeg,
    decoder: Decoder::Vips {
        operation: OPERATION,
        load,
    },
};

/// The libvips operation.
pub const OPERATION: &str = "jpegload_source";

fn load(bytes: &Bytes, options: &LoadOptions) -> Result<Image, vips::Error> {
    let shrink = geometry::int32(options.shrink);
    open(OPERATION, bytes, &[("shrink", Value::Int(shrink))])
}
