//! The lenient XML of SVG files: text to UTF-8, UTF-8 to tokens. Rule: `spec/formats.md` section 8, "Parser".
//!
//! Owns what both the sanitiser and the rasteriser read. It keeps every byte as it was written: names are not resolved,
//! entities not expanded, values not decoded. Must not judge what it reads, and must not recurse.

mod encoding;
mod lexer;

pub use encoding::{UnknownEncoding, to_utf8};
pub use lexer::{Attribute, Attributes, Lexer, Malformed, Token};

/// What follows the first colon of a name, or all of it.
pub fn local_name(name: &[u8]) -> &[u8] {
    match name.iter().position(|byte| *byte == b':') {
        Some(colon) => name.get(colon + 1..).unwrap_or_default(),
        None => name,
    }
}

/// Appends ` name="value"`, in the quotes that the value allows; an attribute without a value gets an empty one.
///
/// `<` is escaped, and so is `"` in a value that holds both kinds of quotes: an unquoted value may.
pub fn write_attribute(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let double = value.contains(&b'"');
    let both = double && value.contains(&b'\'');
    let quote = if double && !both { b'\'' } else { b'"' };
    out.push(b' ');
    out.extend_from_slice(name);
    out.extend_from_slice(&[b'=', quote]);
    for byte in value {
        match byte {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'"' if both => out.extend_from_slice(b"&quot;"),
            other => out.push(*other),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_quoted() {
        for (value, expected) in [
            (&b"b"[..], " a=\"b\""),
            (b"", " a=\"\""),
            (b"it's", " a=\"it's\""),
            (b"say \"b\"", " a='say \"b\"'"),
            (b"\"'", " a=\"&quot;'\""),
            (b"<b>&lt;", " a=\"&lt;b>&lt;\""),
        ] {
            let mut out = Vec::new();
            write_attribute(&mut out, b"a", value);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn local_names() {
        for (name, expected) in [
            ("svg", "svg"),
            ("x:svg", "svg"),
            ("a:b:c", "b:c"),
            (":", ""),
        ] {
            assert_eq!(local_name(name.as_bytes()), expected.as_bytes());
        }
    }
}
