//! PNG with 8 bits per channel, or fewer.

mod encode;
mod header;
#[cfg(test)]
mod tests;

use std::io::Cursor;

use png::{BitDepth, Decoder, Transformations};

use super::{Raster, Stop};

pub use encode::{Options, encode};
pub use header::{Header, parse as header};

/// Decodes a picture: palettes become colours, transparent colours become alpha, fewer bits become 8. Wrong checksums and
/// missing data count as damage.
pub fn decode(bytes: &[u8], header: &Header<'_>, stop: Stop<'_>) -> Option<Raster> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().ok()?;
    let (width, height) = reader.info().size();
    let (colour, depth) = reader.output_color_type();
    let bands = usize::from(header.colours) + usize::from(header.alpha);
    let expected = (width, height) == (header.width, header.height)
        && depth == BitDepth::Eight
        && colour.samples() == bands;
    expected.then_some(())?;
    let side = |side: u32| usize::try_from(side).ok();
    let (width, height) = (side(width)?, side(height)?);
    let stride = width.checked_mul(bands)?;
    let mut pixels = vec![0; stride.checked_mul(height)?];
    if header.interlaced {
        reader.next_frame(&mut pixels).ok()?;
    } else {
        for (number, row) in pixels.chunks_exact_mut(stride).enumerate() {
            if number % ROWS_UNASKED == 0 && stop() {
                return None;
            }
            reader.read_row(row).ok()??;
        }
    }
    (!stop()).then_some(())?;
    Raster::new(width, height, bands, pixels)
}

/// Rows between two questions whether the work is still wanted.
const ROWS_UNASKED: usize = 64;
