//! The headers of a bitmap: size, layout of a pixel, palette, and where the pixels are.
//!
//! Every number in here comes from outside: nothing is allocated by one, and no sum of two can overflow.

use super::BmpError;
use crate::geometry::Size;

/// Everything that a bitmap says before its pixels.
#[derive(Clone, Debug)]
pub struct Header<'a> {
    /// Horizontal pixels, at least 1.
    pub(super) width: u32,
    /// Vertical pixels, at least 1.
    pub(super) height: u32,
    /// Whether the first row is the upper one.
    pub(super) top_down: bool,
    /// How a pixel is stored.
    pub(super) layout: Layout,
    /// Red, green and blue by index; black where the file has no entry.
    pub(super) palette: [[u8; 3]; 256],
    /// Number of palette entries in the file.
    colours: u32,
    /// The encoded pixels and whatever follows them.
    pub(super) data: &'a [u8],
}

/// How a pixel is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Palette indices of 1, 2, 4 or 8 bits.
    Indexed(u8),
    /// Palette indices of 4 or 8 bits in runs.
    Runs(u8),
    /// 5 bits for each channel.
    Rgb555,
    /// 5, 6 and 5 bits.
    Rgb565,
    /// 8 bits for each channel.
    Bgr,
    /// The same with alpha.
    Bgra,
    /// The same with a byte that says nothing.
    Bgrx,
}

impl Layout {
    /// Bits per pixel; meaningless for runs.
    pub(super) fn bits(self) -> u8 {
        match self {
            Self::Indexed(bits) | Self::Runs(bits) => bits,
            Self::Rgb555 | Self::Rgb565 => 16,
            Self::Bgr => 24,
            Self::Bgra | Self::Bgrx => 32,
        }
    }

    /// Whether pixels are indices of a palette.
    pub(super) fn is_indexed(self) -> bool {
        matches!(self, Self::Indexed(_) | Self::Runs(_))
    }

    /// Bands of the decoded picture.
    pub(super) fn bands(self) -> u8 {
        if self == Self::Bgra { 4 } else { 3 }
    }
}

impl<'a> Header<'a> {
    /// Reads the headers of a BMP file.
    ///
    /// # Errors
    ///
    /// Every kind of [`BmpError`] except that of too many pixels.
    pub fn of_file(file: &'a [u8]) -> Result<Self, BmpError> {
        let offset = u32_at(file, 10)?;
        let bitmap = file.get(FILE_HEADER..).ok_or(BmpError::Truncated)?;
        let start = usize::try_from(offset)
            .ok()
            .and_then(|offset| offset.checked_sub(FILE_HEADER))
            .ok_or(BmpError::Offset)?;
        Self::parse(bitmap, Some(start))
    }

    /// Reads the headers of a bitmap in an icon: there is no file header, pixels follow the palette, and a mask below the
    /// picture doubles the height. The mask is ignored.
    ///
    /// # Errors
    ///
    /// As of [`Header::of_file`].
    pub fn of_icon(bitmap: &'a [u8]) -> Result<Self, BmpError> {
        let header = Self::parse(bitmap, None)?;
        let height = header.height / 2;
        if height == 0 {
            return Err(BmpError::Sides(i32_at(bitmap, 4)?, i32_at(bitmap, 8)?));
        }
        Ok(Self { height, ..header })
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        Size::new(self.width.into(), self.height.into())
    }

    /// The fewest bits of 1, 2, 4 and 8 that number all colours of the palette; `None` without a palette.
    pub fn palette_depth(&self) -> Option<i32> {
        self.layout.is_indexed().then_some(match self.colours {
            ..=2 => 1,
            3..=4 => 2,
            5..=16 => 4,
            _ => 8,
        })
    }

    /// Reads what starts with the info header. `start` is where the pixels begin, counted from there.
    fn parse(bitmap: &'a [u8], start: Option<usize>) -> Result<Self, BmpError> {
        let length = match u32_at(bitmap, 0)? {
            40 => OLD,
            108 => 108,
            124 => 124,
            other => return Err(BmpError::HeaderVersion(other)),
        };
        let info = Info {
            fields: bitmap.get(..length).ok_or(BmpError::Truncated)?,
            bitmap,
            start,
        };
        let (width, height) = (i32_at(bitmap, 4)?, i32_at(bitmap, 8)?);
        if width <= 0 || height == 0 {
            return Err(BmpError::Sides(width, height));
        }
        let (layout, end) = info.layout()?;
        let colours = info.colours(layout)?;
        let palette_end = usize::try_from(colours)
            .unwrap_or(usize::MAX)
            .saturating_mul(4)
            .saturating_add(end);
        let mut palette = [[0; 3]; 256];
        if layout.is_indexed() {
            let entries = bitmap.get(end..palette_end).ok_or(BmpError::Truncated)?;
            for (colour, [b, g, r, _]) in palette.iter_mut().zip(entries.as_chunks().0) {
                *colour = [*r, *g, *b];
            }
        }
        let start = start.unwrap_or(palette_end);
        if start < length {
            return Err(BmpError::Offset);
        }
        Ok(Self {
            width: width.unsigned_abs(),
            height: height.unsigned_abs(),
            top_down: height < 0,
            layout,
            palette,
            colours,
            data: bitmap.get(start..).ok_or(BmpError::Truncated)?,
        })
    }
}

/// An info header that is all there.
struct Info<'a> {
    fields: &'a [u8],
    /// The header and everything behind it.
    bitmap: &'a [u8],
    /// Where the pixels begin, where that is said.
    start: Option<usize>,
}

impl Info<'_> {
    /// The layout, and the end of the header with the masks behind it.
    fn layout(&self) -> Result<(Layout, usize), BmpError> {
        let planes = u16_at(self.fields, 12)?;
        let bits = u16_at(self.fields, 14)?;
        let compression = u32_at(self.fields, 16)?;
        let length = self.fields.len();
        let layout = match (planes, compression, bits) {
            (1, UNCOMPRESSED, 1) => Layout::Indexed(1),
            (1, UNCOMPRESSED, 2) => Layout::Indexed(2),
            (1, UNCOMPRESSED, 4) => Layout::Indexed(4),
            (1, UNCOMPRESSED, 8) => Layout::Indexed(8),
            (1, RLE8, 8) => Layout::Runs(8),
            (1, RLE4, 4) => Layout::Runs(4),
            (1, UNCOMPRESSED, 16) => Layout::Rgb555,
            (1, UNCOMPRESSED, 24) => Layout::Bgr,
            (1, UNCOMPRESSED, 32) if length == OLD || u32_at(self.fields, MASKS + 12)? != 0 => {
                Layout::Bgra
            }
            (1, UNCOMPRESSED, 32) => Layout::Bgrx,
            (1, BITFIELDS | ALPHA_BITFIELDS, 1 | 2 | 4 | 8 | 16 | 24 | 32) => {
                return self.masked(bits);
            }
            _ => {
                return Err(BmpError::Layout {
                    planes,
                    bits,
                    compression,
                });
            }
        };
        Ok((layout, length))
    }

    /// As [`Self::layout`], for bit fields. Newer headers contain the masks; three, or four with alpha, follow the old.
    fn masked(&self, bits: u16) -> Result<(Layout, usize), BmpError> {
        let mask = |index: usize| u32_at(self.bitmap, MASKS + 4 * index);
        // An old file may have three masks for 32 bits: then its pixels begin where the fourth would be.
        let fourth = self.fields.len() > OLD
            || bits > 24 && self.start.is_none_or(|start| start >= MASKS + 16);
        let masks = (mask(0)?, mask(1)?, mask(2)?);
        let alpha = if fourth { mask(3)? } else { 0 };
        let layout = match (bits, masks, alpha) {
            (16, (0xf800, 0x07e0, 0x001f), _) => Layout::Rgb565,
            (16, (0x7c00, 0x03e0, 0x001f), _) => Layout::Rgb555,
            (32, (0x00ff_0000, 0xff00, 0xff), 0xff00_0000) => Layout::Bgra,
            (32, (0x00ff_0000, 0xff00, 0xff), 0) => Layout::Bgrx,
            (_, (red, green, blue), _) => return Err(BmpError::Masks(red, green, blue, alpha)),
        };
        let end = match (self.fields.len(), fourth) {
            (OLD, true) => MASKS + 16,
            (OLD, false) => MASKS + 12,
            (length, _) => length,
        };
        Ok((layout, end))
    }

    /// Number of palette entries in the file. True colour may have some that decoders ignore.
    fn colours(&self, layout: Layout) -> Result<u32, BmpError> {
        let used = u32_at(self.fields, 32)?;
        if !layout.is_indexed() {
            return Ok(used);
        }
        let most = 1 << layout.bits();
        match used {
            0 => Ok(most),
            used if used > most => Err(BmpError::Palette(used)),
            used => Ok(used),
        }
    }
}

/// Length of the header of a BMP file.
const FILE_HEADER: usize = 14;
/// Length of the oldest info header that is read.
const OLD: usize = 40;
/// Where the masks are: in newer headers, and behind the old one.
const MASKS: usize = 40;

const UNCOMPRESSED: u32 = 0;
const RLE8: u32 = 1;
const RLE4: u32 = 2;
const BITFIELDS: u32 = 3;
const ALPHA_BITFIELDS: u32 = 6;

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, BmpError> {
    let rest = bytes.get(at..).ok_or(BmpError::Truncated)?;
    let bytes = rest.first_chunk().ok_or(BmpError::Truncated)?;
    Ok(u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, BmpError> {
    let rest = bytes.get(at..).ok_or(BmpError::Truncated)?;
    let bytes = rest.first_chunk().ok_or(BmpError::Truncated)?;
    Ok(u32::from_le_bytes(*bytes))
}

fn i32_at(bytes: &[u8], at: usize) -> Result<i32, BmpError> {
    Ok(u32_at(bytes, at)?.cast_signed())
}
