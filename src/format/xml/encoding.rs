//! Text in any encoding that SVG files use, to UTF-8.
//!
//! Wide encodings and windows-1252 with its subsets are converted. Another encoding is known only as far as it is ASCII:
//! since the declaration is rewritten as well, what comes out reads the same for everybody.

use std::borrow::Cow;

use super::{Attributes, write_attribute};

/// The declaration names an encoding that is not supported, and the text needs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown character encoding {0:?}")]
pub struct UnknownEncoding(pub String);

/// The text in UTF-8 without a byte-order mark, with a declaration that says so or says nothing.
///
/// A byte-order mark wins over the declaration. Text that is UTF-8 already is handed back as it is, invalid sequences
/// included.
///
/// # Errors
/// [`UnknownEncoding`] where the bytes cannot be read.
pub fn to_utf8(source: &[u8]) -> Result<Cow<'_, [u8]>, UnknownEncoding> {
    // The four-byte marks go first: the little-endian UTF-32 mark starts with the UTF-16 one.
    let wide = [
        (&b"\x00\x00\xFE\xFF"[..], 4, true),
        (b"\xFF\xFE\x00\x00", 4, false),
        (b"\xFE\xFF", 2, true),
        (b"\xFF\xFE", 2, false),
    ];
    for (mark, width, big_endian) in wide {
        if let Some(text) = source.strip_prefix(mark) {
            return Ok(Cow::Owned(declared(widths(text, width, big_endian))));
        }
    }
    // Without a mark, sixteen-bit units are recognisable by the first two characters of the declaration.
    for (start, big_endian) in [(b"\x00<\x00?", true), (b"<\x00?\x00", false)] {
        if source.starts_with(start) {
            return Ok(Cow::Owned(declared(widths(source, 2, big_endian))));
        }
    }
    let (text, marked) = match source.strip_prefix(b"\xEF\xBB\xBF") {
        Some(text) => (text, true),
        None => (source, false),
    };
    let Some(label) = declared_label(text) else {
        return Ok(Cow::Borrowed(text));
    };
    if is_utf8(&label) {
        return Ok(Cow::Borrowed(text));
    }
    // A declaration in eight-bit units that names wider ones is wrong; what follows it then is ASCII or UTF-8.
    let utf8 = marked || text.is_ascii() || label.starts_with("utf-16") || label.starts_with("ucs");
    if utf8 {
        return Ok(Cow::Owned(declared(text.to_vec())));
    }
    if !WESTERN.contains(&label.as_str()) {
        return Err(UnknownEncoding(label));
    }
    let text: String = text.iter().map(|byte| western(*byte)).collect();
    Ok(Cow::Owned(declared(text.into_bytes())))
}

/// Decodes units of two or four bytes; what is no character becomes U+FFFD.
fn widths(text: &[u8], width: usize, big_endian: bool) -> Vec<u8> {
    let units = text.chunks(width).map(|unit| {
        let shift = |value: u32, byte: &u8| (value << 8) | u32::from(*byte);
        if unit.len() < width {
            u32::MAX
        } else if big_endian {
            unit.iter().fold(0, shift)
        } else {
            unit.iter().rev().fold(0, shift)
        }
    });
    let replace = |unit: Option<char>| unit.unwrap_or(char::REPLACEMENT_CHARACTER);
    let text: String = if width == 2 {
        let units = units.map(|unit| u16::try_from(unit).unwrap_or(0xFFFD));
        char::decode_utf16(units)
            .map(|unit| replace(unit.ok()))
            .collect()
    } else {
        units.map(|unit| replace(char::from_u32(unit))).collect()
    };
    text.into_bytes()
}

/// Corrects the declaration of text that is UTF-8 now.
fn declared(text: Vec<u8>) -> Vec<u8> {
    let Some((attributes, rest)) = declaration(&text) else {
        return text;
    };
    let mut out = b"<?xml".to_vec();
    for attribute in attributes {
        let value = match attribute.name {
            b"encoding" => b"UTF-8",
            _ => attribute.value,
        };
        write_attribute(&mut out, attribute.name, value);
    }
    out.extend_from_slice(rest);
    out
}

/// The encoding that the declaration names, in lower case.
fn declared_label(text: &[u8]) -> Option<String> {
    let (mut attributes, _) = declaration(text)?;
    let encoding = attributes.find(|attribute| attribute.name == b"encoding")?;
    let label = String::from_utf8_lossy(encoding.value);
    Some(label.trim().to_ascii_lowercase())
}

/// The attributes of the XML declaration, and the text from its `?>` on.
fn declaration(text: &[u8]) -> Option<(Attributes<'_>, &[u8])> {
    let inside = text.strip_prefix(b"<?xml")?;
    if !inside.first()?.is_ascii_whitespace() {
        return None;
    }
    let end = inside.windows(2).position(|pair| pair == b"?>")?;
    let (inside, rest) = inside.split_at_checked(end)?;
    Some((Attributes::new(inside), rest))
}

fn is_utf8(label: &str) -> bool {
    matches!(label, "utf-8" | "utf8" | "")
}

/// A character of windows-1252, which the labels in [`WESTERN`] mean on the web.
fn western(byte: u8) -> char {
    match byte.checked_sub(0x80).map(usize::from) {
        Some(index) => UPPER.get(index).copied().unwrap_or(char::from(byte)),
        None => char::from(byte),
    }
}

/// Labels of windows-1252 and of the encodings that it replaces on the web.
const WESTERN: &[&str] = &[
    "ansi_x3.4-1968",
    "ascii",
    "cp1252",
    "cp819",
    "ibm819",
    "iso-8859-1",
    "iso-ir-100",
    "iso8859-1",
    "iso88591",
    "iso_8859-1",
    "iso_8859-1:1987",
    "l1",
    "latin1",
    "us-ascii",
    "windows-1252",
    "x-cp1252",
];

/// Bytes 0x80 to 0x9F of windows-1252.
const UPPER: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

#[cfg(test)]
mod tests {
    use super::*;

    fn utf8(source: &[u8]) -> String {
        String::from_utf8(to_utf8(source).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn wide_text() {
        let text = "<?xml version='1.0' encoding=\"UTF-16\" standalone='no'?><svg a='é€𝄞'/>";
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?><svg a='é€𝄞'/>";
        let two = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order);
        let four = |order: fn(u32) -> [u8; 4]| text.chars().map(u32::from).flat_map(order);
        let sources: [Vec<u8>; 6] = [
            b"\xFE\xFF"
                .iter()
                .copied()
                .chain(two(u16::to_be_bytes))
                .collect(),
            b"\xFF\xFE"
                .iter()
                .copied()
                .chain(two(u16::to_le_bytes))
                .collect(),
            two(u16::to_be_bytes).collect(),
            two(u16::to_le_bytes).collect(),
            b"\0\0\xFE\xFF"
                .iter()
                .copied()
                .chain(four(u32::to_be_bytes))
                .collect(),
            b"\xFF\xFE\0\0"
                .iter()
                .copied()
                .chain(four(u32::to_le_bytes))
                .collect(),
        ];
        for source in sources {
            assert_eq!(utf8(&source), expected);
        }
        assert_eq!(utf8(b"\xFF\xFEa\0\x00\xD8b\0c"), "a\u{FFFD}b\u{FFFD}");
    }

    #[test]
    fn eight_bit_text() {
        let cases: &[(&[u8], &str)] = &[
            (b"<svg/>", "<svg/>"),
            (
                b"<?xml version='1.0'?><svg/>",
                "<?xml version='1.0'?><svg/>",
            ),
            (
                b"<?xml encoding = 'utf-8' ?>\xC3\xA9",
                "<?xml encoding = 'utf-8' ?>é",
            ),
            (b"\xEF\xBB\xBF<svg/>", "<svg/>"),
            (
                b"\xEF\xBB\xBF<?xml version='1.0' encoding='latin1'?>\xC3\xA9",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>é",
            ),
            (
                b"<?xml version='1.0' encoding='ISO-8859-1'?>\xE9\x80\x81",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>é€\u{81}",
            ),
            (
                b"<?xml version='1.0' encoding='UTF-16'?>\xC3\xA9",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>é",
            ),
            (
                b"<?xml version='1.0' encoding='UTF-7'?>+ADw-script+AD4-",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>+ADw-script+AD4-",
            ),
            (
                b"<?xmlx encoding='latin1'?>a",
                "<?xmlx encoding='latin1'?>a",
            ),
        ];
        for (source, expected) in cases {
            assert_eq!(utf8(source), *expected);
        }
        assert_eq!(
            to_utf8(b"<?xml version='1.0' encoding='KOI8-R'?>\xE9"),
            Err(UnknownEncoding("koi8-r".into()))
        );
        assert_eq!(
            to_utf8(b"<svg>\xE9\xFF</svg>").unwrap(),
            &b"<svg>\xE9\xFF</svg>"[..]
        );
    }
}
