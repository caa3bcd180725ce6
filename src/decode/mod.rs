//! Decoders: one file per input format, and the table of them.
//!
//! A loader is chosen by the sniffed format and called by name; libvips' own detection is never used.

pub mod gif;
pub mod heif;
pub mod jpeg;
pub mod jxl;
pub mod png;
pub mod svg;
pub mod tiff;
pub mod webp;

use bytes::Bytes;

use crate::format::ImageFormat;
use crate::vips::{self, Image};

/// How to open a source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadOptions {
    /// Shrink factor asked of the decoder; 1 is the full size.
    pub shrink: f64,
    /// Number of pages to stack, starting with the first; at least 1.
    pub pages: i32,
    /// Take the embedded thumbnail where the container has one.
    pub thumbnail: bool,
    /// `IMGPROXY_PNG_UNLIMITED`.
    pub png_unlimited: bool,
    /// `IMGPROXY_SVG_UNLIMITED`.
    pub svg_unlimited: bool,
}

/// One row of the table of loaders.
#[derive(Debug)]
pub struct Loader {
    /// The format it reads.
    pub format: ImageFormat,
    /// libvips operation that does the work.
    pub operation: &'static str,
    /// Opens the source; decoding happens when pixels are asked for.
    pub load: fn(&Bytes, &LoadOptions) -> Result<Image, vips::Error>,
}

/// Every loader.
pub const LOADERS: &[Loader] = &[
    jpeg::LOADER,
    jxl::LOADER,
    png::LOADER,
    webp::LOADER,
    gif::LOADER,
    svg::LOADER,
    heif::HEIC,
    heif::AVIF,
    tiff::LOADER,
];

/// Operations that libvips must leave unblocked for [`LOADERS`].
pub const OPERATIONS: &[&str] = &[
    jpeg::OPERATION,
    jxl::OPERATION,
    png::OPERATION,
    webp::OPERATION,
    gif::OPERATION,
    svg::OPERATION,
    heif::OPERATION,
    tiff::OPERATION,
];

/// The loader of a format, if this libvips has it.
pub fn loader(format: ImageFormat) -> Option<&'static Loader> {
    LOADERS
        .iter()
        .find(|l| l.format == format && vips::has_operation(l.operation))
}
