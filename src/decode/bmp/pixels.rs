//! The pixels of a bitmap, row by row, as red, green, blue and alpha.

use super::header::Layout;
use super::{BmpError, Header, rle};

/// All pixels, from the upper row to the lower.
pub(super) fn decode(header: &Header<'_>) -> Result<Vec<u8>, BmpError> {
    if header.width.max(header.height) > LONGEST_SIDE {
        return Err(BmpError::TooLarge);
    }
    let sides = (
        usize::try_from(header.width),
        usize::try_from(header.height),
    );
    let (Ok(width), Ok(height)) = sides else {
        return Err(BmpError::TooLarge);
    };
    let row = width * usize::from(header.layout.bands());
    let total = row.checked_mul(height).ok_or(BmpError::TooLarge)?;
    let bits = usize::from(header.layout.bits());
    let stride = (width * bits).div_ceil(32) * 4;
    let runs = matches!(header.layout, Layout::Runs(_));
    // Nothing is allocated for rows that are not there. The last one may lack its padding.
    let wanted = stride
        .checked_mul(height - 1)
        .and_then(|rows| rows.checked_add((width * bits).div_ceil(8)))
        .ok_or(BmpError::TooLarge)?;
    if !runs && header.data.len() < wanted {
        return Err(BmpError::Truncated);
    }
    let mut pixels = Vec::new();
    pixels
        .try_reserve_exact(total)
        .map_err(|_| BmpError::TooLarge)?;
    pixels.resize(total, 0);
    if runs {
        rle::decode(header, row, &mut pixels)?;
        return Ok(pixels);
    }
    let encoded = header.data.chunks(stride).take(height);
    if header.top_down {
        for (source, target) in encoded.zip(pixels.chunks_exact_mut(row)) {
            decode_row(header, source, target);
        }
    } else {
        for (source, target) in encoded.zip(pixels.chunks_exact_mut(row).rev()) {
            decode_row(header, source, target);
        }
    }
    Ok(pixels)
}

/// Decodes one row; padding behind the last pixel of the source is left over.
fn decode_row(header: &Header<'_>, source: &[u8], target: &mut [u8]) {
    match header.layout {
        Layout::Bgra => {
            for (pixel, [b, g, r, a]) in pairs(target, source) {
                *pixel = [*r, *g, *b, *a];
            }
        }
        Layout::Bgrx => {
            for (pixel, [b, g, r, _]) in pairs(target, source) {
                *pixel = [*r, *g, *b];
            }
        }
        Layout::Bgr => {
            for (pixel, [b, g, r]) in pairs(target, source) {
                *pixel = [*r, *g, *b];
            }
        }
        Layout::Rgb565 => {
            for (pixel, bytes) in pairs(target, source) {
                let word = u16::from_le_bytes(*bytes);
                *pixel = [
                    channel(word, 11, 5) << 3,
                    channel(word, 5, 6) << 2,
                    channel(word, 0, 5) << 3,
                ];
            }
        }
        Layout::Rgb555 => {
            for (pixel, bytes) in pairs(target, source) {
                let word = u16::from_le_bytes(*bytes);
                *pixel = [10, 5, 0].map(|shift| {
                    let level = channel(word, shift, 5);
                    level << 3 | level >> 2
                });
            }
        }
        Layout::Indexed(8) => {
            for (pixel, [index]) in pairs(target, source) {
                *pixel = header.colour(*index);
            }
        }
        Layout::Indexed(bits) | Layout::Runs(bits) => {
            let per_byte = usize::from(8 / bits.max(1));
            for (byte, group) in source.iter().zip(target.chunks_mut(3 * per_byte)) {
                let mut rest = *byte;
                for pixel in group.as_chunks_mut::<3>().0 {
                    rest = rest.rotate_left(bits.into());
                    *pixel = header.colour(rest & ((1 << bits) - 1));
                }
            }
        }
    }
}

/// Decoded pixels of `N` bands, each with the `M` bytes that it comes from.
fn pairs<'a, const N: usize, const M: usize>(
    target: &'a mut [u8],
    source: &'a [u8],
) -> impl Iterator<Item = (&'a mut [u8; N], &'a [u8; M])> {
    let (pixels, _) = target.as_chunks_mut();
    let (encoded, _) = source.as_chunks();
    pixels.iter_mut().zip(encoded)
}

/// A channel of at most 8 bits.
fn channel(word: u16, shift: u32, bits: u32) -> u8 {
    u8::try_from(word >> shift & ((1 << bits) - 1)).unwrap_or(u8::MAX)
}

impl Header<'_> {
    /// A colour of the palette; black for an index that the file does not define.
    pub(super) fn colour(&self, index: u8) -> [u8; 3] {
        self.palette
            .get(usize::from(index))
            .copied()
            .unwrap_or_default()
    }
}

/// libvips takes no longer side, and with it no product in here overflows 64 bits.
const LONGEST_SIDE: u32 = 10_000_000;
