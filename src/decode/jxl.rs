//! JPEG XL. libvips before 8.16 reads only the first frame.

use bytes::Bytes;

use super::{Decoder, LoadOptions, Loader};
use crate::format::ImageFormat;
use crate::vips::{self, Access, Image, Source, calls};

/// The table row.
pub const LOADER: Loader = Loader {
    format: ImageFormat::Jxl,
    decoder: Decoder::Vips {
        operation: OPERATION,
        load,
    },
};

/// The libvips operation.
pub const OPERATION: &str = "jxlload_source";

fn load(bytes: &Bytes, options: &LoadOptions) -> Result<Image, vips::Error> {
    calls::loader(
        OPERATION,
        &Source::from_bytes(bytes.clone()),
        Access::Sequential,
    )?
    .set_if_supported("page", 0)?
    .set_if_supported("n", options.pages)?
    .run()?
    .image("out")
}
