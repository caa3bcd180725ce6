//! BMP: 24 bits, or 32 with alpha, uncompressed, upper row first. Grey becomes RGB.
//!
//! Encoded here because libvips has no saver for it; the `image` crate writes lower rows first.
//! Rule: `spec/formats.md` section 5.5, without its grey bitmaps, which imgproxy never writes.

use bytes::Bytes;

use super::{SaveOptions, Saver, to_rgb};
use crate::format::ImageFormat;
use crate::vips::{self, Image};

/// The table row.
pub const SAVER: Saver = Saver {
    format: ImageFormat::Bmp,
    operation: None,
    probe: None,
    save,
};

fn save(image: &Image, _options: &SaveOptions<'_>) -> Result<Bytes, vips::Error> {
    let image = to_rgb(image)?;
    let (width, height) = (image.width(), image.height());
    let alpha = image.bands() == 4;
    let pixels = image.to_pixels()?;
    drop(image);
    Ok(encode(pixels, width, height, alpha).into())
}

/// A file of RGB or RGBA pixels, rows from top to bottom.
fn encode(mut pixels: Vec<u8>, width: i32, height: i32, alpha: bool) -> Vec<u8> {
    let bands = if alpha { 4 } else { 3 };
    if alpha {
        for [red, _, blue, _] in pixels.as_chunks_mut().0 {
            std::mem::swap(red, blue);
        }
    } else {
        for [red, _, blue] in pixels.as_chunks_mut().0 {
            std::mem::swap(red, blue);
        }
    }
    let row = usize::try_from(width).unwrap_or(0) * bands;
    let stride = row.next_multiple_of(4);
    let size = stride * usize::try_from(height).unwrap_or(0);
    let mut file = Vec::with_capacity(HEADERS + size);
    write_headers(&mut file, width, height, alpha, size);
    let padding = [0_u8; 3];
    for row in pixels.chunks_exact(row.max(1)) {
        file.extend_from_slice(row);
        file.extend(padding.iter().take(stride - row.len()));
    }
    file
}

/// The file header and an info header of version 5; resolution and colour counts stay zero.
fn write_headers(file: &mut Vec<u8>, width: i32, height: i32, alpha: bool, size: usize) {
    // Readers go by the sides, so a size beyond 4 GiB is only a number that does not fit.
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    file.extend(b"BM");
    file.extend(number(HEADERS + size));
    file.extend([0; 4]);
    file.extend(number(HEADERS));

    file.extend(number(INFO_HEADER));
    file.extend(width.to_le_bytes());
    file.extend(height.wrapping_neg().to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(if alpha { 32_u16 } else { 24 }.to_le_bytes());
    file.extend([0; 4]);
    file.extend(number(size));
    file.extend([0; 16]);
    for mask in [0x00ff_0000_u32, 0x0000_ff00, 0x0000_00ff, 0xff00_0000] {
        file.extend(mask.to_le_bytes());
    }
    file.extend(b"BGRs");
    file.extend([0; 48]);
    file.extend(INTENT_IMAGES.to_le_bytes());
    file.extend([0; 12]);
}

/// Length of the info header.
const INFO_HEADER: usize = 124;
/// Length of both headers.
const HEADERS: usize = 14 + INFO_HEADER;
/// Rendering intent "perceptual".
const INTENT_IMAGES: u32 = 4;
