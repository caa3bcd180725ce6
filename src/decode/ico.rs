//! ICO. The largest picture of the file is decoded: a PNG by libvips, a bitmap by [`super::bmp`].
//!
//! Decoded here as nothing else gives imgproxy's pixels: the `image` crate and ImageMagick apply the mask below a bitmap,
//! and this one ignores it. An icon does not remember a palette, as recorded. Rule: `spec/formats.md` section 4.9, with its recommendation on which picture is the largest.

use bytes::Bytes;

use super::bmp::Header;
use super::{DecodeError, Decoder, LoadOptions, Loader, png};
use crate::format::ImageFormat;
use crate::geometry::Size;
use crate::vips::Image;

/// The table row.
pub const LOADER: Loader = Loader {
    format: ImageFormat::Ico,
    decoder: Decoder::Own { size, load },
};

/// Why an icon cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IcoError {
    /// The directory or the largest picture ends behind the data.
    #[error("the data end too early")]
    Truncated,
    /// The directory lists no picture.
    #[error("no picture")]
    Empty,
    /// The picture has not the size of its directory entry.
    #[error("a picture of {picture} listed as {listed}")]
    Size {
        /// What the directory says.
        listed: Size,
        /// What the picture is.
        picture: Size,
    },
}

/// One line of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// 1 to 256 on a side.
    size: Size,
    length: usize,
    offset: usize,
}

fn size(bytes: &Bytes) -> Result<Size, DecodeError> {
    Ok(largest(bytes)?.size)
}

fn load(bytes: &Bytes, options: &LoadOptions) -> Result<Image, DecodeError> {
    let entry = largest(bytes)?;
    let end = entry.offset.checked_add(entry.length);
    let end = end.filter(|end| *end <= bytes.len());
    let payload = bytes.slice(entry.offset..end.ok_or(IcoError::Truncated)?);
    if payload.starts_with(PNG) {
        let image = png::load(&payload, options)?;
        let picture = Size::new(image.width().into(), image.height().into());
        entry.check(picture)?;
        return Ok(image.edit(|metadata| {
            for field in ["palette", "palette-bit-depth"] {
                metadata.remove(field);
            }
        })?);
    }
    let header = Header::of_icon(&payload)?;
    entry.check(header.size())?;
    header.image()
}

impl Entry {
    fn read(line: &[u8; ENTRY]) -> Self {
        let [width, height, _, _, _, _, _, _, numbers @ ..] = line;
        let [l0, l1, l2, l3, o0, o1, o2, o3] = *numbers;
        let side = |n: u8| if n == 0 { 256 } else { i64::from(n) };
        let number = |bytes| usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
        Self {
            size: Size::new(side(*width), side(*height)),
            length: number([l0, l1, l2, l3]),
            offset: number([o0, o1, o2, o3]),
        }
    }

    fn check(&self, picture: Size) -> Result<(), IcoError> {
        let listed = self.size;
        if listed == picture {
            Ok(())
        } else {
            Err(IcoError::Size { listed, picture })
        }
    }
}

/// The entry with the largest area. Of equal ones imgproxy takes the first, and the last where a side is 256.
fn largest(file: &[u8]) -> Result<Entry, IcoError> {
    let [_, _, _, _, low, high] = file.first_chunk().ok_or(IcoError::Truncated)?;
    let count = usize::from(u16::from_le_bytes([*low, *high]));
    let directory = file
        .get(DIRECTORY..DIRECTORY + ENTRY * count)
        .ok_or(IcoError::Truncated)?;
    let entries = directory.as_chunks().0.iter().map(Entry::read);
    entries
        .reduce(|best, next| {
            let is_last_of_its_size = next.size.width.max(next.size.height) == 256
                && next.size.pixels() == best.size.pixels();
            if next.size.pixels() > best.size.pixels() || is_last_of_its_size {
                next
            } else {
                best
            }
        })
        .ok_or(IcoError::Empty)
}

/// Where the directory starts.
const DIRECTORY: usize = 6;
/// Length of one of its entries.
const ENTRY: usize = 16;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
