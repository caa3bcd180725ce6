//! Text in any encoding that SVG files use, to UTF-8.
//!
//! Wide encodings, and those that the web knows by a label, are converted. Another one, such as EBCDIC or UTF-7, is known
//! only as far as the text is ASCII: since the declaration is rewritten as well, what comes out reads the same for
//! everybody, and no encoding hides markup from whoever reads it here.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

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
    for (mark, big_endian) in [(b"\x00\x00\xFE\xFF", true), (b"\xFF\xFE\x00\x00", false)] {
        if let Some(text) = source.strip_prefix(mark) {
            return Ok(Cow::Owned(declared(four_bytes(text, big_endian))));
        }
    }
    // Without a mark, sixteen-bit units are recognisable by the first two characters of the declaration.
    for (mark, start, encoding) in [
        (b"\xFE\xFF", b"\x00<\x00?", UTF_16BE),
        (b"\xFF\xFE", b"<\x00?\x00", UTF_16LE),
    ] {
        let unmarked = source.starts_with(start).then_some(source);
        if let Some(text) = source.strip_prefix(mark).or(unmarked) {
            return Ok(Cow::Owned(declared(decode(encoding, text))));
        }
    }
    let (text, marked) = match source.strip_prefix(b"\xEF\xBB\xBF") {
        Some(text) => (text, true),
        None => (source, false),
    };
    let Some(label) = declared_label(text) else {
        return Ok(Cow::Borrowed(text));
    };
    if label.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    let encoding = Encoding::for_label_no_replacement(label.as_bytes());
    if encoding == Some(UTF_8) {
        return Ok(Cow::Borrowed(text));
    }
    // A declaration in eight-bit units that names wider ones is wrong; what follows it then is ASCII or UTF-8. So is one
    // behind a mark.
    let wide = [UTF_16BE, UTF_16LE].map(Some).contains(&encoding) || label.starts_with("ucs");
    let text = match encoding {
        Some(encoding) if !marked && !wide => decode(encoding, text),
        _ if marked || wide || text.is_ascii() => text.to_vec(),
        _ => return Err(UnknownEncoding(label)),
    };
    Ok(Cow::Owned(declared(text)))
}

/// Decodes all of the text; what is no character becomes U+FFFD.
fn decode(encoding: &'static Encoding, text: &[u8]) -> Vec<u8> {
    let (text, _) = encoding.decode_without_bom_handling(text);
    text.into_owned().into_bytes()
}

/// Decodes units of four bytes; what is no character becomes U+FFFD.
fn four_bytes(text: &[u8], big_endian: bool) -> Vec<u8> {
    let units = text.chunks(4).map(|unit| {
        let unit = <[u8; 4]>::try_from(unit).ok().map(|unit| match big_endian {
            true => u32::from_be_bytes(unit),
            false => u32::from_le_bytes(unit),
        });
        unit.and_then(char::from_u32)
            .unwrap_or(char::REPLACEMENT_CHARACTER)
    });
    units.collect::<String>().into_bytes()
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
                b"<?xml version='1.0' encoding='KOI8-R'?>\xC1",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>а",
            ),
            (
                b"<?xml version='1.0' encoding='shift_jis'?>\x83\x5C<",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>ソ<",
            ),
            (
                b"<?xml version='1.0' encoding='EUC-JP'?>\xA5\xBD\xFF",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>ソ\u{FFFD}",
            ),
            (
                b"<?xml version='1.0' encoding='iso-2022-jp'?>\x1B$B%=\x1B(B",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>ソ",
            ),
            (
                b"<?xml version='1.0' encoding='ISO-8859-15'?>\xA4",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>€",
            ),
            (
                b"<?xmlx encoding='latin1'?>a",
                "<?xmlx encoding='latin1'?>a",
            ),
        ];
        for (source, expected) in cases {
            assert_eq!(utf8(source), *expected);
        }
        for label in [
            "ebcdic-cp-us",
            "utf-7",
            "x-nobody",
            "hz-gb-2312",
            "iso-2022-kr",
        ] {
            let text = format!("<?xml version='1.0' encoding='{label}'?>");
            let converted = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
            assert_eq!(utf8(text.as_bytes()), converted);
            assert_eq!(
                to_utf8(&[text.as_bytes(), b"\xE9"].concat()),
                Err(UnknownEncoding(label.into()))
            );
        }
        assert_eq!(
            to_utf8(b"<svg>\xE9\xFF</svg>").unwrap(),
            &b"<svg>\xE9\xFF</svg>"[..]
        );
    }
}
