//! What the first bytes of a source say about the work that it will be: size, frames, and whether its decoder has to hold
//! all of its pixels.
//!
//! For estimates only: nothing is decoded, nothing is refused by it, and what a decoder finds out may differ. Costs no
//! more than a walk over the container.

use super::ImageFormat;
use crate::geometry::Size;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Size of one frame as stored.
    pub size: Size,
    /// Frames of an animation, no more of them counted than asked for; at least 1.
    pub frames: u32,
    /// Whether a decoder that otherwise goes from row to row has to hold the whole picture: a progressive JPEG, an
    /// interlaced PNG.
    pub progressive: bool,
}

/// Reads the header of a source in this format, counting up to `most_frames` frames. `None` where it is broken, too far
/// behind, or of a format that has none: bitmaps, icons and drawings.
pub fn read(format: ImageFormat, bytes: &[u8], most_frames: u32) -> Option<Header> {
    let still = |size| Header {
        size,
        frames: 1,
        progressive: false,
    };
    match format {
        ImageFormat::Jpeg => jpeg(bytes),
        ImageFormat::Png => Some(Header {
            progressive: bytes.get(PNG_INTERLACE) == Some(&1),
            ..still(size(start(bytes))?)
        }),
        ImageFormat::Gif => Some(Header {
            frames: frames(most_frames, |most| gif_frames(bytes, most)),
            ..still(size(start(bytes))?)
        }),
        ImageFormat::Webp => Some(Header {
            frames: frames(most_frames, |most| webp_frames(bytes, most)),
            ..still(size(start(bytes))?)
        }),
        // Its directory may be at the end.
        ImageFormat::Tiff => Some(still(size(bytes)?)),
        ImageFormat::Heic | ImageFormat::Avif | ImageFormat::Jxl => {
            Some(still(size(start(bytes))?))
        }
        ImageFormat::Bmp | ImageFormat::Ico | ImageFormat::Svg => None,
    }
}

fn size(bytes: &[u8]) -> Option<Size> {
    let found = imagesize::blob_size(bytes).ok()?;
    let side = |pixels: usize| {
        i64::try_from(pixels)
            .ok()
            .filter(|n| (1..=LONGEST).contains(n))
    };
    Some(Size::new(side(found.width)?, side(found.height)?))
}

fn start(bytes: &[u8]) -> &[u8] {
    bytes.get(..WINDOW).unwrap_or(bytes)
}

/// The frame header is behind metadata of up to 64 KiB each.
fn jpeg(bytes: &[u8]) -> Option<Header> {
    let mut rest = start(bytes).get(2..)?;
    loop {
        let [0xFF, marker, tail @ ..] = rest else {
            return None;
        };
        if *marker == 0xFF {
            // Fill bytes.
            rest = rest.get(1..)?;
            continue;
        }
        let length = usize::from(u16::from_be_bytes(*tail.first_chunk()?));
        // SOF0 to SOF15 without DHT, JPG and DAC.
        if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
            let side = |at: usize| {
                let bytes = tail.get(at..)?.first_chunk()?;
                Some(i64::from(u16::from_be_bytes(*bytes))).filter(|n| *n > 0)
            };
            return Some(Header {
                size: Size::new(side(5)?, side(3)?),
                frames: 1,
                // Bit 1 of the number: SOF2, 6, 10, 14.
                progressive: marker & 3 == 2,
            });
        }
        rest = tail.get(length.max(2)..)?;
    }
}

fn frames(most: u32, count: impl FnOnce(u32) -> Option<u32>) -> u32 {
    if most <= 1 {
        return 1;
    }
    count(most).unwrap_or(most).max(1)
}

/// Counts image blocks. `None` where it breaks off.
fn gif_frames(bytes: &[u8], most: u32) -> Option<u32> {
    let table = |flags: u8| match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    };
    let mut at = 13 + table(*bytes.get(10)?);
    let mut found = 0;
    while found < most {
        at = match bytes.get(at)? {
            0x3B => return Some(found),
            0x2C => {
                found += 1;
                after_blocks(bytes, at + 11 + table(*bytes.get(at + 9)?))?
            }
            0x21 => after_blocks(bytes, at + 2)?,
            _ => return None,
        };
    }
    Some(found)
}

/// Where a chain of GIF's data blocks ends.
fn after_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            0 => return Some(at + 1),
            length => at += 1 + usize::from(*length),
        }
    }
}

/// Counts `ANMF` chunks.
fn webp_frames(bytes: &[u8], most: u32) -> Option<u32> {
    let mut rest = bytes.get(12..)?;
    let mut found = 0;
    while found < most {
        let Some((name, tail)) = rest.split_first_chunk::<4>() else {
            return Some(found);
        };
        found += u32::from(name == b"ANMF");
        let length = u32::from_le_bytes(*tail.first_chunk()?);
        let length = usize::try_from(length).ok()?;
        // Chunks are padded to even lengths.
        rest = tail.get(4 + length + length % 2..).unwrap_or_default();
    }
    Some(found)
}

/// Longest side that an estimate can do with.
const LONGEST: i64 = 1 << 31;
/// So far a header is looked for.
const WINDOW: usize = 1 << 20;
/// Where a PNG says whether it is interlaced.
const PNG_INTERLACE: usize = 28;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::format::sniff::sniff;

    fn picture(name: &str) -> Vec<u8> {
        fs::read(format!("tests/images/{name}")).unwrap()
    }

    #[test]
    fn sizes_of_every_format() {
        for name in ["jpg", "png", "webp", "gif", "tiff", "avif", "heic"] {
            let bytes = picture(&format!("grid.{name}"));
            let format = sniff(&bytes, None, None).unwrap();
            let header = read(format, &bytes, 1).unwrap_or_else(|| panic!("{name}"));
            let expected = (Size::new(96, 64), 1, false);
            assert_eq!(
                (header.size, header.frames, header.progressive),
                expected,
                "{name}"
            );
        }
        // 9 bits each for height and width, no ratio: 100 × 200.
        let fields = (99_u64 << 3) | (199 << 17);
        let mut jxl = vec![0xFF, 0x0A];
        jxl.extend(fields.to_le_bytes());
        jxl.resize(32, 0);
        let header = read(ImageFormat::Jxl, &jxl, 1).unwrap();
        assert_eq!(header.size, Size::new(200, 100));
    }

    #[test]
    fn frames_are_counted_as_far_as_wanted() {
        for (name, format) in [("gif", ImageFormat::Gif), ("webp", ImageFormat::Webp)] {
            let bytes = picture(&format!("frames.{name}"));
            for (most, expected) in [(1, 1), (2, 2), (3, 3), (100, 3)] {
                let header = read(format, &bytes, most).unwrap();
                assert_eq!(header.frames, expected, "{name} {most}");
            }
        }
        // One that breaks off may have as many as are allowed.
        let gif = picture("frames.gif");
        let header = read(ImageFormat::Gif, &gif[..gif.len() - 8], 100).unwrap();
        assert_eq!(header.frames, 100);
    }

    #[test]
    fn progressive_pictures() {
        let mut png = picture("grid.png");
        assert!(!read(ImageFormat::Png, &png, 1).unwrap().progressive);
        png[PNG_INTERLACE] = 1;
        assert!(read(ImageFormat::Png, &png, 1).unwrap().progressive);
        let mut jpeg = picture("grid.jpg");
        assert!(!read(ImageFormat::Jpeg, &jpeg, 1).unwrap().progressive);
        let sof = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
        jpeg[sof + 1] = 0xC2;
        assert!(read(ImageFormat::Jpeg, &jpeg, 1).unwrap().progressive);
    }

    /// Whatever comes, there is an answer and no panic.
    #[test]
    fn broken_headers() {
        for entry in fs::read_dir("tests/images").unwrap() {
            let path = entry.unwrap().path();
            if !path.is_file() {
                continue;
            }
            let whole = fs::read(&path).unwrap();
            for format in ImageFormat::ALL {
                for cut in 0..whole.len().min(600) {
                    read(format, &whole[..cut], 100);
                }
                for at in 0..whole.len().min(400) {
                    let mut bytes = whole.clone();
                    for value in [0, 0x7F, 0xFF] {
                        bytes[at] = value;
                        read(format, &bytes, 100);
                    }
                }
            }
        }
    }
}
