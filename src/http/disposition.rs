//! `Content-Disposition` of a response. Rule: `spec/http.md` section 8.3.

use std::fmt::Write;

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::format::ImageFormat;

/// The header of a processed image: name from the whole source URL, extension from the result.
pub(super) fn processed(
    source_url: &str,
    filename: Option<&str>,
    format: ImageFormat,
    attachment: bool,
) -> HeaderValue {
    let (stem, _) = split_name(last_segment(source_url));
    build(filename, stem, format.info().extension, attachment)
}

/// The header of a raw response: name and extension from the source's decoded path, extension otherwise from its type.
pub(super) fn raw(
    source_url: &str,
    filename: Option<&str>,
    content_type: Option<&str>,
    attachment: bool,
) -> HeaderValue {
    let path = match url::Url::parse(source_url) {
        Ok(url) => url.path().to_owned(),
        Err(_) => source_url
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    let path = percent_decode_str(&path).decode_utf8_lossy();
    let (stem, extension) = split_name(last_segment(&path));
    let extension = if extension.is_empty() {
        content_type.map_or("", extension_of)
    } else {
        extension
    };
    build(filename, stem, extension, attachment)
}

fn build(filename: Option<&str>, stem: &str, extension: &str, attachment: bool) -> HeaderValue {
    let stem = filename.filter(|name| !name.is_empty()).unwrap_or(stem);
    let stem = if stem.is_empty() { "image" } else { stem };
    let kind = if attachment { "attachment" } else { "inline" };
    let name = || stem.chars().chain(extension.chars());
    let mut text = String::with_capacity(ROOM + stem.len());
    text.push_str(kind);
    text.push_str("; filename=\"");
    for char in name() {
        match char {
            '"' => text.push_str("%22"),
            '\\' => text.push_str("%5C"),
            ' '..='~' => text.push(char),
            _ => text.push('_'),
        }
    }
    text.push('"');
    if !name().all(|char| matches!(char, ' '..='~')) {
        let encoded = |text| utf8_percent_encode(text, EXTENDED_VALUE);
        let (stem, extension) = (encoded(stem), encoded(extension));
        // Writing to a String cannot fail.
        let _ = write!(text, "; filename*=UTF-8''{stem}{extension}");
    }
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(kind))
}

fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// A name without its last extension, and that extension with its dot.
fn split_name(name: &str) -> (&str, &str) {
    name.rfind('.')
        .and_then(|dot| name.split_at_checked(dot))
        .unwrap_or((name, ""))
}

fn extension_of(content_type: &str) -> &'static str {
    let mime = content_type.split(';').next().unwrap_or_default().trim();
    ImageFormat::ALL
        .into_iter()
        .map(ImageFormat::info)
        .find(|info| info.mime.eq_ignore_ascii_case(mime))
        .map_or("", |info| info.extension)
}

/// Room for what stands around the name.
const ROOM: usize = 40;
/// Everything but RFC 8187 `attr-char` is percent-encoded.
const EXTENDED_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processed_names() {
        let rows = [
            ("http://x/a.jpg?x=1", None, "inline; filename=\"a.png\""),
            (
                "http://example.com",
                None,
                "inline; filename=\"example.png\"",
            ),
            ("http://x/y/?q=/z.png", None, "inline; filename=\"z.png\""),
            ("http://x/.hidden", None, "inline; filename=\"image.png\""),
            ("http://x/a/", None, "inline; filename=\"image.png\""),
            (
                "http://x/%D1%84.jpg",
                None,
                "inline; filename=\"%D1%84.png\"",
            ),
            ("http://x/a.tar.gz", None, "inline; filename=\"a.tar.png\""),
            (
                "http://x/a",
                Some("my\"file"),
                "inline; filename=\"my%22file.png\"",
            ),
            ("http://x/a", Some("a\\b"), "inline; filename=\"a%5Cb.png\""),
            (
                "http://x/a",
                Some("../up"),
                "inline; filename=\"../up.png\"",
            ),
            ("http://x/a.b", Some(""), "inline; filename=\"a.png\""),
            (
                "http://x/a",
                Some("фото 1"),
                "inline; filename=\"____ 1.png\"; filename*=UTF-8''%D1%84%D0%BE%D1%82%D0%BE%201.png",
            ),
            (
                "http://x/a",
                Some("a\r\nX: y"),
                "inline; filename=\"a__X: y.png\"; filename*=UTF-8''a%0D%0AX%3A%20y.png",
            ),
            (
                "http://x/a",
                Some("gpj\u{202e}exe"),
                "inline; filename=\"gpj_exe.png\"; filename*=UTF-8''gpj%E2%80%AEexe.png",
            ),
        ];
        for (url, filename, expected) in rows {
            let value = processed(url, filename, ImageFormat::Png, false);
            assert_eq!(value.to_str().unwrap(), expected, "{url} {filename:?}");
        }
        let value = processed("http://x/a", None, ImageFormat::Jpeg, true);
        assert_eq!(value, "attachment; filename=\"a.jpg\"");
        let long = "n".repeat(10_000);
        assert!(processed("http://x/a", Some(&long), ImageFormat::Png, false).len() > 10_000);
    }

    #[test]
    fn raw_names() {
        let rows = [
            (
                "http://x/a.gif?x=/b.png",
                None,
                Some("image/png"),
                "inline; filename=\"a.gif\"",
            ),
            (
                "http://x/a",
                None,
                Some("image/svg+xml; charset=utf-8"),
                "inline; filename=\"a.svg\"",
            ),
            (
                "http://x/a",
                None,
                Some("text/strange"),
                "inline; filename=\"a\"",
            ),
            (
                "http://x/a%22b.gif",
                None,
                None,
                "inline; filename=\"a%22b.gif\"",
            ),
            ("http://x", None, None, "inline; filename=\"image\""),
            (
                "http://x/a.gif",
                Some("n"),
                None,
                "inline; filename=\"n.gif\"",
            ),
            ("local:///d/a.bmp", None, None, "inline; filename=\"a.bmp\""),
        ];
        for (url, filename, content_type, expected) in rows {
            assert_eq!(raw(url, filename, content_type, false), expected, "{url}");
        }
    }
}
