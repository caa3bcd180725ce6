//! The content type of a local file, for raw replies. Rule: `spec/sources.md` section 4.
//!
//! Content decides as far as browsers would agree on it, the file's extension only where content says nothing.

use crate::format::ImageFormat;
use crate::format::sniff::sniff;

/// The type of a file that starts with `head`.
pub(super) fn content_type(head: &[u8], extension: Option<&str>) -> &'static str {
    let head = head.get(..512).unwrap_or(head);
    if let Some(format) = sniff(head, extension, None).filter(|format| *format != ImageFormat::Svg)
    {
        return format.info().mime;
    }
    let text = head.trim_ascii_start();
    let markup = HTML_STARTS.iter().any(|start| {
        text.get(..start.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(start))
            && matches!(text.get(start.len()), Some(b' ' | b'>'))
    });
    if markup || text.starts_with(b"<!--") {
        return "text/html; charset=utf-8";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    if let Some((_, mime)) = SIGNATURES.iter().find(|(start, _)| head.starts_with(start)) {
        return mime;
    }
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    if let Some((_, mime)) = EXTENSIONS.iter().find(|(name, _)| *name == extension) {
        return mime;
    }
    let binary = head
        .iter()
        .any(|byte| matches!(byte, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F));
    if binary {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    }
}

const HTML_STARTS: &[&[u8]] = &[
    b"<!DOCTYPE HTML",
    b"<HTML",
    b"<HEAD",
    b"<SCRIPT",
    b"<IFRAME",
    b"<H1",
    b"<DIV",
    b"<FONT",
    b"<TABLE",
    b"<A",
    b"<STYLE",
    b"<TITLE",
    b"<B",
    b"<BODY",
    b"<BR",
    b"<P",
];

const SIGNATURES: &[(&[u8], &str)] = &[
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1F\x8B\x08", "application/x-gzip"),
    (b"OggS\x00", "application/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\x1A\x45\xDF\xA3", "video/webm"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
];

const EXTENSIONS: &[(&str, &str)] = &[
    ("svg", "image/svg+xml"),
    ("avif", "image/avif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("jxl", "image/jxl"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("mp4", "video/mp4"),
    ("txt", "text/plain; charset=utf-8"),
    ("xml", "text/xml; charset=utf-8"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_first_then_extension() {
        let cases: &[(&[u8], Option<&str>, &str)] = &[
            (b"\xFF\xD8\xFF", Some("png"), "image/jpeg"),
            (b"<svg/>", Some("SVG"), "image/svg+xml"),
            (
                b"<?xml version='1.0'?><svg/>",
                Some("svg"),
                "text/xml; charset=utf-8",
            ),
            (b" <!doctype html>", None, "text/html; charset=utf-8"),
            (b"<pre>", None, "text/plain; charset=utf-8"),
            (b"%PDF-1.4", None, "application/pdf"),
            (b"plain", None, "text/plain; charset=utf-8"),
            (b"plain", Some("css"), "text/css; charset=utf-8"),
            (b"\x00\x01", None, "application/octet-stream"),
            (b"", None, "text/plain; charset=utf-8"),
        ];
        for (head, extension, expected) in cases {
            assert_eq!(content_type(head, *extension), *expected, "{head:?}");
        }
    }
}
