//! Decoders: one file per input format, and the table of them.
//!
//! A loader is chosen by the sniffed format; libvips' loaders are called by name, its own detection is never used. What
//! libvips has no loader for is decoded here.

pub mod bmp;
pub mod gif;
pub mod heif;
pub mod ico;
pub mod jpeg;
pub mod jxl;
pub mod png;
pub mod svg;
pub mod tiff;
pub mod webp;

use bytes::Bytes;

use crate::error::{Error, Kind};
use crate::format::ImageFormat;
use crate::geometry::Size;
use crate::vips::{self, Access, Image, Source, Value, calls};

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
    /// `IMGPROXY_TIFF_UNLIMITED`.
    pub tiff_unlimited: bool,
}

/// The first page in full, with the decoders' own limits.
impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            shrink: 1.0,
            pages: 1,
            thumbnail: false,
            png_unlimited: false,
            svg_unlimited: false,
            tiff_unlimited: false,
        }
    }
}

/// One row of the table of loaders.
#[derive(Debug)]
pub struct Loader {
    /// The format it reads.
    pub format: ImageFormat,
    /// Who does the work.
    pub decoder: Decoder,
}

/// Who decodes a format.
#[derive(Debug)]
pub enum Decoder {
    /// libvips, a row at a time.
    Vips {
        /// Nickname of the operation.
        operation: &'static str,
        /// Opens the source; decoding happens when pixels are asked for.
        load: fn(&Bytes, &LoadOptions) -> Result<Image, vips::Error>,
    },
    /// This folder, all pixels at once.
    Own {
        /// Reads the size without taking memory for pixels.
        size: fn(&Bytes) -> Result<Size, DecodeError>,
        /// Decodes the source. The size must have been checked before.
        load: fn(&Bytes, &LoadOptions) -> Result<Image, DecodeError>,
    },
}

impl Loader {
    /// The size of a source that [`Loader::load`] decodes at once: whoever limits it has to ask before. `None` where
    /// decoding waits until pixels are asked for.
    ///
    /// # Errors
    ///
    /// The header is broken, or of a kind that is not read.
    pub fn size_before_decoding(&self, bytes: &Bytes) -> Result<Option<Size>, DecodeError> {
        match self.decoder {
            Decoder::Vips { .. } => Ok(None),
            Decoder::Own { size, .. } => size(bytes).map(Some),
        }
    }

    /// Opens the source.
    ///
    /// # Errors
    ///
    /// The source is broken, or of a kind that is not read.
    pub fn load(&self, bytes: &Bytes, options: &LoadOptions) -> Result<Image, DecodeError> {
        match self.decoder {
            Decoder::Vips { load, .. } => Ok(load(bytes, options)?),
            Decoder::Own { load, .. } => load(bytes, options),
        }
    }

    fn is_available(&self) -> bool {
        match self.decoder {
            Decoder::Vips { operation, .. } => vips::has_operation(operation),
            Decoder::Own { .. } => true,
        }
    }
}

/// Opens the source with a libvips loader, to be read once from top to bottom.
fn open(
    operation: &str,
    bytes: &Bytes,
    arguments: &[(&str, Value<'_>)],
) -> Result<Image, vips::Error> {
    let source = Source::from_bytes(bytes.clone());
    calls::load(operation, &source, Access::Sequential, arguments)
}

/// Why a source cannot be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DecodeError {
    /// libvips says why.
    #[error(transparent)]
    Vips(#[from] vips::Error),
    /// A broken or unknown bitmap, on its own or in an icon.
    #[error("bitmap: {0}")]
    Bmp(#[from] bmp::BmpError),
    /// A broken icon.
    #[error("icon: {0}")]
    Ico(#[from] ico::IcoError),
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Vips(error) => error.into(),
            other => Self::new(Kind::BrokenImage, other.to_string()),
        }
    }
}

/// Every loader.
pub const LOADERS: &[Loader] = &[
    jpeg::LOADER,
    jxl::LOADER,
    png::LOADER,
    webp::LOADER,
    gif::LOADER,
    ico::LOADER,
    svg::LOADER,
    heif::HEIC,
    heif::AVIF,
    bmp::LOADER,
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

/// The loader of a format, if this build has it.
pub fn loader(format: ImageFormat) -> Option<&'static Loader> {
    LOADERS
        .iter()
        .find(|l| l.format == format && l.is_available())
}
