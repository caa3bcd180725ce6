//! The lenient test whether some text is an SVG picture. Rule: `spec/formats.md` section 2, last row.
//!
//! Owns a tokeniser that knows just enough XML to find start tags; it must not be used to understand a document.
//! Time and memory are linear in the window.

use std::borrow::Cow;

/// Whether any start tag in `head` has the local name `svg`.
///
/// A syntax error or the end of the text before such a tag means no.
pub(super) fn is_svg(head: &[u8]) -> bool {
    let text = decode(head);
    let mut rest: &[u8] = &text;
    while let Some(open) = position(rest, b"<") {
        let Some(markup) = rest.get(open + 1..) else {
            return false;
        };
        let after = if let Some(comment) = markup.strip_prefix(b"!--") {
            after(comment, b"-->")
        } else if let Some(data) = markup.strip_prefix(b"![CDATA[") {
            after(data, b"]]>")
        } else if let Some(instruction) = markup.strip_prefix(b"?") {
            after(instruction, b"?>")
        } else if let Some(declaration) = markup.strip_prefix(b"!") {
            after_declaration(declaration)
        } else if let Some(end_tag) = markup.strip_prefix(b"/") {
            after_name(end_tag).and_then(|(_, rest)| after(rest, b">"))
        } else {
            match after_name(markup) {
                Some((name, rest)) => match after_attributes(rest) {
                    Some(_) if local_name(name) == b"svg" => return true,
                    other => other,
                },
                None => None,
            }
        };
        let Some(after) = after else {
            return false;
        };
        rest = after;
    }
    false
}

/// The text as bytes in which markup is ASCII, whatever the encoding was.
fn decode(head: &[u8]) -> Cow<'_, [u8]> {
    // The four-byte marks go first: the little-endian UTF-32 mark starts with the UTF-16 one.
    if let Some(rest) = head.strip_prefix(b"\x00\x00\xFE\xFF") {
        return Cow::Owned(narrow(rest, 4, true));
    }
    if let Some(rest) = head.strip_prefix(b"\xFF\xFE\x00\x00") {
        return Cow::Owned(narrow(rest, 4, false));
    }
    if let Some(rest) = head.strip_prefix(b"\xEF\xBB\xBF") {
        return Cow::Borrowed(rest);
    }
    if let Some(rest) = head.strip_prefix(b"\xFE\xFF") {
        return Cow::Owned(narrow(rest, 2, true));
    }
    if let Some(rest) = head.strip_prefix(b"\xFF\xFE") {
        return Cow::Owned(narrow(rest, 2, false));
    }
    // Without a mark, a declaration in sixteen-bit units is recognisable by its first two characters. Every other
    // encoding that a declaration can name and an SVG can use keeps markup in ASCII, so it needs no conversion.
    if head.starts_with(b"\x00<\x00?") {
        return Cow::Owned(narrow(head, 2, true));
    }
    if head.starts_with(b"<\x00?\x00") {
        return Cow::Owned(narrow(head, 2, false));
    }
    Cow::Borrowed(head)
}

/// Keeps the ASCII characters of text in wide units and replaces all others with one that may stand in a name.
fn narrow(wide: &[u8], width: usize, big_endian: bool) -> Vec<u8> {
    wide.chunks_exact(width)
        .map(|unit| {
            let (low, high) = if big_endian {
                (unit.last(), unit.get(..width - 1))
            } else {
                (unit.first(), unit.get(1..))
            };
            let plain = high.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
            match low {
                Some(byte) if plain && byte.is_ascii() => *byte,
                _ => 0x80,
            }
        })
        .collect()
}

/// What follows a `<!…>` declaration; quotes and an internal subset in brackets may hold `>`.
fn after_declaration(text: &[u8]) -> Option<&[u8]> {
    let mut quote = None;
    let mut depth = 0_usize;
    let mut index = 0;
    while let Some(byte) = text.get(index) {
        match (quote, byte) {
            (Some(open), byte) if open == *byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'<') => {
                let rest = text.get(index..)?;
                if rest.starts_with(b"<!--") {
                    index += 4 + position(rest.get(4..)?, b"-->")? + 3;
                    continue;
                }
                depth += 1;
            }
            (None, b'>') if depth == 0 => return text.get(index + 1..),
            (None, b'>') => depth -= 1,
            (None, _) => {}
        }
        index += 1;
    }
    None
}

/// Splits an element name off.
fn after_name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = text.first()?;
    if !is_name_byte(*first) || matches!(first, b'-' | b'.' | b'0'..=b'9') {
        return None;
    }
    let length = text.iter().position(|byte| !is_name_byte(*byte))?;
    text.split_at_checked(length)
}

/// What follows the `>` of a start tag whose name has been read.
fn after_attributes(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = text.trim_ascii_start();
        match text.first()? {
            b'>' => return text.get(1..),
            b'/' => return text.get(1..)?.strip_prefix(b">"),
            _ => {}
        }
        let (_, rest) = after_name(text)?;
        let rest = rest.trim_ascii_start();
        // An attribute without a value is what HTML writes; the tokeniser of the rule is lenient about it.
        let Some(value) = rest.strip_prefix(b"=") else {
            text = rest;
            continue;
        };
        let value = value.trim_ascii_start();
        text = match value.first()? {
            quote @ (b'"' | b'\'') => after(value.get(1..)?, &[*quote])?,
            _ => {
                let end = value
                    .iter()
                    .position(|byte| byte.is_ascii_whitespace() || *byte == b'>')?;
                value.get(end..)?
            }
        };
    }
}

fn local_name(name: &[u8]) -> &[u8] {
    match name.iter().position(|byte| *byte == b':') {
        Some(colon) => name.get(colon + 1..).unwrap_or_default(),
        None => name,
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-' | b'.') || !byte.is_ascii()
}

fn after<'a>(text: &'a [u8], end: &[u8]) -> Option<&'a [u8]> {
    text.get(position(text, end)? + end.len()..)
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str, width: usize, big_endian: bool) -> Vec<u8> {
        text.bytes()
            .flat_map(|byte| {
                let mut unit = vec![0; width];
                unit[if big_endian { width - 1 } else { 0 }] = byte;
                unit
            })
            .collect()
    }

    #[test]
    fn accepts() {
        let cases: &[&[u8]] = &[
            b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
            b"<svg>",
            b"\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<!-- \xE9 --><svg width='1'>",
            b"<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"a>b\" [<!ENTITY a \"<b>\"><!-- ' -->]><svg>",
            b"<x:svg xmlns:x=\"y\">",
            b"<html><body class=a disabled><p>text & more</p><svg/></body></html>",
            b"<![CDATA[<p]]><svg />",
            b"leading text <svg\n>",
        ];
        for case in cases {
            assert!(is_svg(case), "{:?}", String::from_utf8_lossy(case));
        }
    }

    #[test]
    fn refuses() {
        let cases: &[&[u8]] = &[
            b"",
            b"<",
            b"<svg",
            b"<svg width='1",
            b"<SVG></SVG>",
            b"<svgx>",
            b"<svg:g>",
            b"</svg>",
            b"<!-- <svg> -->",
            b"<!-- <svg>",
            b"<html><script>if (a<1) b</script><svg/></html>",
            b"<1><svg>",
            b"<![CDATA[<svg>]]>",
            b"<?php <svg> ?>",
            b"\x1f\x8b\x08",
        ];
        for case in cases {
            assert!(!is_svg(case), "{:?}", String::from_utf8_lossy(case));
        }
    }

    #[test]
    fn wide_encodings() {
        let text = "<?xml version='1.0' encoding='UTF-16'?><svg a='b'/>";
        for (mark, width, big_endian) in [
            (&b"\xFE\xFF"[..], 2, true),
            (b"\xFF\xFE", 2, false),
            (b"\x00\x00\xFE\xFF", 4, true),
            (b"\xFF\xFE\x00\x00", 4, false),
            (b"", 2, true),
            (b"", 2, false),
        ] {
            let mut bytes = mark.to_vec();
            bytes.extend(wide(text, width, big_endian));
            assert!(is_svg(&bytes), "{mark:?} {width} {big_endian}");
        }
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        for unit in ["<!", "<a ", "<!--", "<a b=", "<!a<", "<![CDATA["] {
            let text = unit.repeat(32 * 1024 / unit.len());
            let started = std::time::Instant::now();
            assert!(!is_svg(text.as_bytes()));
            assert!(started.elapsed().as_secs() < 2, "{unit}");
        }
    }
}
