//! BMP, decoded here: libvips has no loader, and ImageMagick and the `image` crate give other pixels than imgproxy (the
//! fourth byte of old 32-bit files, the levels of 5 and 6-bit channels).
//!
//! [`Header`] reads everything but the pixels, so that limits are checked before memory is taken for them. The decoder
//! makes all pixels at once and knows no limit itself. Icons hold the same bitmaps. Rule: `spec/formats.md` section 4.8.

mod header;
mod pixels;
mod rle;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::{DecodeError, Decoder, LoadOptions, Loader};
use crate::format::ImageFormat;
use crate::geometry::Size;
use crate::vips::{Image, Interpretation};

pub use header::Header;

/// The table row.
pub const LOADER: Loader = Loader {
    format: ImageFormat::Bmp,
    decoder: Decoder::Own { size, load },
};

/// Why a bitmap cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BmpError {
    /// The data end before the header or the pixels do.
    #[error("the data end too early")]
    Truncated,
    /// The header is of a version that is not read, or too short to be one.
    #[error("a header of {0} bytes")]
    HeaderVersion(u32),
    /// A side is zero, or the width is negative.
    #[error("a picture of {0}x{1}")]
    Sides(i32, i32),
    /// Planes other than 1, bits per pixel that no bitmap has, or a compression that does not go with them.
    #[error("{planes} planes of {bits} bits with compression {compression}")]
    Layout {
        /// Number of planes.
        planes: u16,
        /// Bits per pixel.
        bits: u16,
        /// Compression by its number in the header.
        compression: u32,
    },
    /// Bit fields in an order or of a size that is not read.
    #[error("bit fields {0:08x}, {1:08x}, {2:08x}, {3:08x}")]
    Masks(u32, u32, u32, u32),
    /// More palette entries than an index can name.
    #[error("a palette of {0} colours")]
    Palette(u32),
    /// The pixels would begin inside the header.
    #[error("pixels inside the header")]
    Offset,
    /// No memory for so many pixels, or more of them than libvips takes on one side.
    #[error("too many pixels")]
    TooLarge,
}

/// A decoded bitmap: 8-bit sRGB, rows from top to bottom, bands interleaved, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Horizontal pixels.
    pub width: u32,
    /// Vertical pixels.
    pub height: u32,
    /// 3, or 4 with alpha.
    pub bands: u8,
    /// width · height · bands bytes.
    pub pixels: Vec<u8>,
}

impl Header<'_> {
    /// Decodes the pixels. Takes memory for all of them: check [`Header::size`] first.
    ///
    /// # Errors
    ///
    /// The pixel data end too early, or there is no memory.
    pub fn decode(&self) -> Result<Raster, BmpError> {
        Ok(Raster {
            width: self.width,
            height: self.height,
            bands: self.layout.bands(),
            pixels: pixels::decode(self)?,
        })
    }

    /// Decodes into an image, which takes over the pixels.
    pub(super) fn image(&self) -> Result<Image, DecodeError> {
        let raster = self.decode()?;
        let side = |n| i32::try_from(n).map_err(|_| BmpError::TooLarge);
        Ok(Image::from_pixels(
            Bytes::from(raster.pixels),
            side(raster.width)?,
            side(raster.height)?,
            raster.bands.into(),
            Interpretation::Srgb,
        )?)
    }
}

fn size(bytes: &Bytes) -> Result<Size, DecodeError> {
    Ok(Header::of_file(bytes)?.size())
}

/// Savers of palettes ask how deep the source's was.
fn load(bytes: &Bytes, _options: &LoadOptions) -> Result<Image, DecodeError> {
    let header = Header::of_file(bytes)?;
    let image = header.image()?;
    match header.palette_depth() {
        None => Ok(image),
        Some(depth) => Ok(image.edit(|metadata| metadata.set_int("palette-bit-depth", depth))?),
    }
}
