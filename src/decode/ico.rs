//! ICO. The largest picture of the file is decoded: a PNG by libvips, a bitmap by [`super::bmp`].
//!
//! Decoded here as nothing else gives imgproxy's pixels: the `image` crate and ImageMagick apply the mask below a bitmap,
//! imgproxy ignores it. An icon does not remember a palette either. Rule: `spec/formats.md` section 4.9, with its
//! recommendation on which picture is the largest.

use std::ops::Range;

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
    let payload = bytes.slice(entry.range(bytes.len())?);
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

    /// Where the picture is in a file of `length` bytes.
    fn range(&self, length: usize) -> Result<Range<usize>, IcoError> {
        match self.offset.checked_add(self.length) {
            Some(end) if end <= length => Ok(self.offset..end),
            _ => Err(IcoError::Truncated),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A directory of entries without pictures; the offset of each is its number.
    fn directory(sides: &[(u8, u8)]) -> Vec<u8> {
        let count = u16::try_from(sides.len()).unwrap();
        let mut file = vec![0, 0, 1, 0];
        file.extend(count.to_le_bytes());
        for (index, (width, height)) in sides.iter().enumerate() {
            file.extend([*width, *height, 0, 0, 1, 0, 32, 0]);
            file.extend(7_u32.to_le_bytes());
            file.extend(u32::try_from(index).unwrap().to_le_bytes());
        }
        file
    }

    #[test]
    fn the_largest_entry_is_chosen() {
        for (name, sides, expected, size) in [
            ("the only one", &[(16, 16)][..], 0, (16, 16)),
            (
                "in the middle",
                &[(16, 16), (48, 48), (32, 32)],
                1,
                (48, 48),
            ),
            ("0 is 256", &[(255, 255), (0, 0), (128, 128)], 1, (256, 256)),
            ("first of equal ones", &[(32, 32), (32, 32)], 0, (32, 32)),
            ("last of 256", &[(0, 0), (16, 16), (0, 0)], 2, (256, 256)),
            ("area, not one side", &[(64, 64), (128, 8)], 0, (64, 64)),
            ("one side of 256", &[(255, 128), (0, 255)], 1, (256, 255)),
            ("a narrow 256", &[(64, 64), (0, 1)], 0, (64, 64)),
        ] {
            let entry = largest(&directory(sides)).unwrap();
            assert_eq!(entry.offset, expected, "{name}");
            assert_eq!(entry.size, Size::new(size.0, size.1), "{name}");
            assert_eq!(entry.length, 7, "{name}");
        }
    }

    #[test]
    fn broken_directories_and_pictures_are_refused() {
        let mut lying = directory(&[(16, 16)]);
        lying[4..6].copy_from_slice(&[0xff, 0xff]);
        for (name, file, expected) in [
            ("nothing", vec![], IcoError::Truncated),
            ("half a header", vec![0, 0, 1, 0, 1], IcoError::Truncated),
            ("no entries", directory(&[]), IcoError::Empty),
            ("65535 entries promised", lying, IcoError::Truncated),
        ] {
            assert_eq!(largest(&file), Err(expected), "{name}");
        }
        let entry = |length, offset| Entry {
            size: Size::new(1, 1),
            length,
            offset,
        };
        assert_eq!(entry(4, 6).range(10), Ok(6..10));
        assert_eq!(entry(5, 6).range(10), Err(IcoError::Truncated));
        assert_eq!(entry(0, 11).range(10), Err(IcoError::Truncated));
        assert_eq!(entry(usize::MAX, 6).range(10), Err(IcoError::Truncated));
        assert_eq!(
            entry(4, 6).check(Size::new(1, 2)),
            Err(IcoError::Size {
                listed: Size::new(1, 1),
                picture: Size::new(1, 2)
            })
        );
    }

    #[test]
    fn all_65535_entries_are_read() {
        let mut sides = vec![(1, 1); 65_535];
        sides[60_000] = (2, 2);
        assert_eq!(largest(&directory(&sides)).unwrap().offset, 60_000);
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_entry_inside_or_an_error(
            count in 0_u8..4,
            rest in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut file = vec![0, 0, 1, 0, count, 0];
            file.extend(rest);
            if let Ok(range) = largest(&file).and_then(|entry| entry.range(file.len())) {
                prop_assert!(range.end <= file.len());
                if let Ok(header) = Header::of_icon(&file[range]) {
                    prop_assert!(header.size().pixels() > 0);
                }
            }
        }
    }
}
