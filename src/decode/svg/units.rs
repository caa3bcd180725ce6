//! Physical units on the root element, in pixels. Rule: `spec/libvips-versions.md` section 3.1.
//!
//! libvips before 8.17.2 takes an inch for 72 pixels. Inner elements keep that error: only the size of the picture is
//! corrected.

use bytes::Bytes;

use crate::format::xml::{Attribute, Lexer, Token, local_name, to_utf8, write_attribute};

/// The document with the width and height of its root in pixels; none if they are not in physical units.
pub(super) fn in_pixels(source: &[u8]) -> Option<Bytes> {
    let text = to_utf8(source).ok()?;
    let mut lexer = Lexer::new(&text);
    loop {
        let before = lexer.rest();
        let Token::Start {
            name,
            attributes,
            empty,
        } = lexer.next()?.ok()?
        else {
            continue;
        };
        let physical = |attribute: Attribute<'_>| pixels(&attribute).is_some();
        if local_name(name) != b"svg" || !attributes.clone().any(physical) {
            return None;
        }
        let mut out = Vec::with_capacity(text.len() + 64);
        out.extend_from_slice(text.get(..text.len() - before.len())?);
        out.push(b'<');
        out.extend_from_slice(name);
        for attribute in attributes {
            match pixels(&attribute) {
                Some(value) => write_attribute(&mut out, attribute.name, value.as_bytes()),
                None => write_attribute(&mut out, attribute.name, attribute.value),
            }
        }
        out.extend_from_slice(if empty { b"/>" } else { b">" });
        out.extend_from_slice(lexer.rest());
        return Some(out.into());
    }
}

/// The value of a width or height in pixels, if it has a physical unit.
fn pixels(attribute: &Attribute<'_>) -> Option<String> {
    if !matches!(attribute.name, b"width" | b"height") {
        return None;
    }
    let value = std::str::from_utf8(attribute.value).ok()?.trim();
    let (number, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((value.strip_suffix(unit)?, factor)))?;
    // What Rust reads beyond the numbers of CSS, such as `inf`, has letters.
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | 'E');
    let number: f64 = number.parse().ok().filter(|_| number.chars().all(plain))?;
    Some(format!("{}px", number * factor))
}

/// Pixels per unit at 96 to the inch.
const UNITS: &[(&str, f64)] = &[
    ("in", 96.0),
    ("cm", 96.0 / 2.54),
    ("mm", 96.0 / 25.4),
    ("pt", 96.0 / 72.0),
    ("pc", 16.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewrites_the_root() {
        for (source, expected) in [
            (
                "<svg width='1in' height=\"2pc\"/>",
                "<svg width=\"96px\" height=\"32px\"/>",
            ),
            (
                "<?xml version='1.0'?><!--<svg width='1in'>--><!DOCTYPE svg>\n<s:svg a='b' width=' 72pt '><svg width='1in'/></s:svg>",
                "<?xml version='1.0'?><!--<svg width='1in'>--><!DOCTYPE svg>\n<s:svg a=\"b\" width=\"96px\"><svg width='1in'/></s:svg>",
            ),
            (
                "<svg width='2.54cm' height='50%'>",
                "<svg width=\"96px\" height=\"50%\">",
            ),
            (
                "<svg width='-25.4mm' viewBox='0 0 1 1'>",
                "<svg width=\"-96px\" viewBox=\"0 0 1 1\">",
            ),
            ("<svg width='1e1in'>", "<svg width=\"960px\">"),
        ] {
            assert_eq!(
                in_pixels(source.as_bytes()).as_deref(),
                Some(expected.as_bytes())
            );
        }
    }

    #[test]
    fn leaves_the_rest() {
        for source in [
            "",
            "<svg/>",
            "<svg width='10' height='10px'/>",
            "<svg width='50%' height='2em'/>",
            "<svg width='infin'/>",
            "<svg width='1 in'/>",
            "<svg width='in'/>",
            "<svg width='1IN'/>",
            "<svg x:width='1in'/>",
            "<svg><svg width='1in'/></svg>",
            "<g width='1in'/>",
            "<svg width='1in'",
        ] {
            assert_eq!(in_pixels(source.as_bytes()), None, "{source}");
        }
    }
}
