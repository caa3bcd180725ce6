//! The few EXIF tags that processing depends on, and the block of a picture that has nothing to say.

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exif {
    /// 1–8, or 1 where there is none.
    pub orientation: u8,
    /// Whether an artist or a copyright notice is named.
    pub names_author: bool,
}

/// Reads the block behind `Exif\0\0`; `None` for anything that readers could take in different ways.
pub fn parse(data: &[u8]) -> Option<Exif> {
    let read = Reader {
        data,
        little: match data.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        },
    };
    let start = usize::try_from(read.u32(4)?).ok()?;
    let count = usize::from(read.u16(start)?);
    let mut orientation = None;
    let mut names_author = false;
    for index in 0..count {
        let entry = start.checked_add(2 + 12 * index)?;
        let (tag, kind, values) = (read.u16(entry)?, read.u16(entry + 2)?, read.u32(entry + 4)?);
        read.u32(entry + 8)?;
        match tag {
            ORIENTATION => {
                let value = read.u16(entry + 8)?;
                if kind != SHORT
                    || values != 1
                    || orientation.is_some()
                    || !(1..=8).contains(&value)
                {
                    return None;
                }
                orientation = u8::try_from(value).ok();
            }
            ARTIST | COPYRIGHT => names_author = true,
            _ => {}
        }
    }
    Some(Exif {
        orientation: orientation.unwrap_or(1),
        names_author,
    })
}

/// What stands in front of a block.
pub const NAME: &[u8] = b"Exif\0\0";

/// The block, with its name, that libvips writes into a picture without metadata: upright, 72 dpi, sizes.
pub fn of_picture(width: u32, height: u32) -> Vec<u8> {
    const MAIN: u32 = 6;
    const RESOLUTION: u32 = 8 + 2 + 12 * MAIN + 4;
    const DETAILS: u32 = RESOLUTION + 16;
    const UNDEFINED: u16 = 7;
    const RATIONAL: u16 = 5;
    const LONG: u16 = 4;
    let mut block = [NAME, b"II*\0\x08\0\0\0"].concat();
    let directory = |block: &mut Vec<u8>, entries: [(u16, u16, u32, u32); 6]| {
        block.extend_from_slice(&[6, 0]);
        for (tag, kind, count, value) in entries {
            block.extend_from_slice(&tag.to_le_bytes());
            block.extend_from_slice(&kind.to_le_bytes());
            block.extend_from_slice(&count.to_le_bytes());
            block.extend_from_slice(&value.to_le_bytes());
        }
        block.extend_from_slice(&[0; 4]);
    };
    directory(
        &mut block,
        [
            (ORIENTATION, SHORT, 1, 1),
            (0x011a, RATIONAL, 1, RESOLUTION),
            (0x011b, RATIONAL, 1, RESOLUTION + 8),
            (0x0128, SHORT, 1, 2),
            (0x0213, SHORT, 1, 1),
            (0x8769, LONG, 1, DETAILS),
        ],
    );
    for number in [72_u32, 1, 72, 1] {
        block.extend_from_slice(&number.to_le_bytes());
    }
    directory(
        &mut block,
        [
            (0x9000, UNDEFINED, 4, u32::from_le_bytes(*b"0210")),
            (0x9101, UNDEFINED, 4, u32::from_le_bytes([1, 2, 3, 0])),
            (0xa000, UNDEFINED, 4, u32::from_le_bytes(*b"0100")),
            (0xa001, SHORT, 1, 0xffff),
            (0xa002, LONG, 1, width),
            (0xa003, LONG, 1, height),
        ],
    );
    block
}

const ORIENTATION: u16 = 0x0112;
const ARTIST: u16 = 0x013b;
const COPYRIGHT: u16 = 0x8298;
/// The type of a 16-bit number.
const SHORT: u16 = 3;

struct Reader<'a> {
    data: &'a [u8],
    little: bool,
}

impl Reader<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = *self.data.get(at..)?.first_chunk()?;
        Some(if self.little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = *self.data.get(at..)?.first_chunk()?;
        Some(if self.little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(entries: &[(u16, u16, u32, u16)]) -> Vec<u8> {
        let mut block = b"II*\0\x08\0\0\0".to_vec();
        block.extend_from_slice(&u16::try_from(entries.len()).unwrap().to_le_bytes());
        for (tag, kind, count, value) in entries {
            block.extend_from_slice(&tag.to_le_bytes());
            block.extend_from_slice(&kind.to_le_bytes());
            block.extend_from_slice(&count.to_le_bytes());
            block.extend_from_slice(&value.to_le_bytes());
            block.extend_from_slice(&[0, 0]);
        }
        block
    }

    fn exif(orientation: u8, names_author: bool) -> Option<Exif> {
        Some(Exif {
            orientation,
            names_author,
        })
    }

    #[test]
    fn tags() {
        for (name, entries, expected) in [
            ("nothing", &[][..], exif(1, false)),
            ("turned", &[(0x0112, 3, 1, 6)], exif(6, false)),
            ("author", &[(0x013b, 2, 2, 65)], exif(1, true)),
            (
                "notice",
                &[(0x8298, 2, 2, 65), (0x0112, 3, 1, 3)],
                exif(3, true),
            ),
            ("no orientation", &[(0x0112, 3, 1, 9)], None),
            ("another type", &[(0x0112, 4, 1, 6)], None),
            ("two values", &[(0x0112, 3, 2, 6)], None),
            ("twice", &[(0x0112, 3, 1, 6), (0x0112, 3, 1, 6)], None),
        ] {
            assert_eq!(parse(&block(entries)), expected, "{name}");
        }
    }

    #[test]
    fn byte_orders() {
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0";
        assert_eq!(parse(big), exif(8, false));
    }

    #[test]
    fn no_prefix_of_a_block_is_one() {
        let whole = block(&[(0x0112, 3, 1, 6), (0x0100, 3, 1, 6)]);
        assert_eq!(parse(&whole), exif(6, false));
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None, "{length}");
        }
        let mut far = whole;
        far[4..8].copy_from_slice(&[255; 4]);
        assert_eq!(parse(&far), None);
    }
}
