//! Run-length encoded bitmaps of 4 and 8 bits.
//!
//! Pixels that no run reaches stay black, and what sticks out of a row is cut off. A move below the last row ends the
//! picture.

use super::BmpError;
use super::header::{Header, Layout};

/// Draws all runs into black `pixels` with rows of `row` bytes.
pub(super) fn decode(header: &Header<'_>, row: usize, pixels: &mut [u8]) -> Result<(), BmpError> {
    let nibbles = header.layout == Layout::Runs(4);
    let mut pen = Pen {
        header,
        row,
        pixels,
        x: 0,
        y: 0,
    };
    let mut data = header.data;
    while !pen.is_below() {
        let Some(([count, value], rest)) = data.split_first_chunk() else {
            return pen.ends_without_mark();
        };
        data = rest;
        match (*count, *value) {
            (0, 0) => pen.next_row(),
            (0, 1) => return Ok(()),
            (0, 2) => {
                let ([right, down], rest) = data.split_first_chunk().ok_or(BmpError::Truncated)?;
                data = rest;
                pen.x += u64::from(*right);
                pen.y += u64::from(*down);
            }
            (0, literals) => {
                let literals = usize::from(literals);
                let length = if nibbles {
                    literals.div_ceil(2)
                } else {
                    literals
                };
                let bytes = data.get(..length).ok_or(BmpError::Truncated)?;
                // The last literals of a file may lack their padding.
                data = data.get(length.next_multiple_of(2)..).unwrap_or_default();
                if nibbles {
                    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                    pen.draw(halves.take(literals));
                } else {
                    pen.draw(bytes.iter().copied());
                }
            }
            (count, value) if nibbles => {
                let halves = [value >> 4, value & 15];
                pen.draw(halves.into_iter().cycle().take(count.into()));
            }
            (count, value) => pen.draw(std::iter::repeat_n(value, count.into())),
        }
    }
    Ok(())
}

/// Where the next pixel goes.
struct Pen<'a> {
    header: &'a Header<'a>,
    row: usize,
    pixels: &'a mut [u8],
    x: u64,
    /// Row in the order of the file.
    y: u64,
}

impl Pen<'_> {
    fn is_below(&self) -> bool {
        self.y >= self.header.height.into()
    }

    fn next_row(&mut self) {
        self.x = 0;
        self.y += 1;
    }

    /// The end of the data serves as the end of the picture once every row was reached and the last one is full.
    fn ends_without_mark(&self) -> Result<(), BmpError> {
        let (width, height) = (self.header.width, self.header.height);
        let is_full = self.y + 1 == u64::from(height) && self.x >= u64::from(width);
        if is_full {
            Ok(())
        } else {
            Err(BmpError::Truncated)
        }
    }

    /// Draws to the right, within the row.
    fn draw(&mut self, indices: impl Iterator<Item = u8>) {
        let y = if self.header.top_down {
            self.y
        } else {
            u64::from(self.header.height).saturating_sub(self.y + 1)
        };
        let row = usize::try_from(y)
            .ok()
            .and_then(|y| self.pixels.chunks_exact_mut(self.row).nth(y))
            .unwrap_or_default();
        let (pixels, _) = row.as_chunks_mut::<3>();
        for index in indices {
            if let Some(pixel) = usize::try_from(self.x).ok().and_then(|x| pixels.get_mut(x)) {
                *pixel = self.header.colour(index);
            }
            self.x += 1;
        }
    }
}
