//! Detection of image formats by content. Rule: `spec/formats.md` section 2.
//!
//! Owns the signatures and the exclusion of camera RAW files that look like TIFF. Text formats are in [`super::sniff_svg`].
//! File names and declared types never select a format; they can only rule TIFF out.

use super::ImageFormat;
use super::sniff_svg::is_svg;

/// Number of leading bytes that take part in detection.
pub const WINDOW: usize = 32 * 1024;

/// The format of a file that starts with `head`, of which the first [`WINDOW`] bytes count.
///
/// `path_extension` is the extension of the final URL path, without the dot; `content_type` is the source's header
/// value. `None` stands for every format that imgforge does not know.
pub fn sniff(
    head: &[u8],
    path_extension: Option<&str>,
    content_type: Option<&str>,
) -> Option<ImageFormat> {
    let head = head.get(..WINDOW).unwrap_or(head);
    let signature = SIGNATURES
        .iter()
        .find(|(_, pattern)| matches(head, pattern))
        .map(|(format, _)| *format);
    match signature {
        Some(ImageFormat::Tiff) if is_raw(path_extension, content_type) => None,
        Some(format) => Some(format),
        None => is_svg(head).then_some(ImageFormat::Svg),
    }
}

fn matches(head: &[u8], pattern: &[u8]) -> bool {
    head.get(..pattern.len()).is_some_and(|start| {
        start
            .iter()
            .zip(pattern)
            .all(|(byte, wanted)| *wanted == ANY || byte == wanted)
    })
}

fn is_raw(path_extension: Option<&str>, content_type: Option<&str>) -> bool {
    let by_extension = path_extension.is_some_and(|extension| {
        let extension = extension.to_ascii_lowercase();
        RAW_EXTENSIONS.contains(&extension.as_str())
    });
    by_extension
        || content_type
            .and_then(|value| value.strip_prefix("image/x-"))
            .is_some_and(|kind| RAW_TYPES.contains(&kind))
}

/// Stands for any byte in a signature; no signature needs the byte itself.
const ANY: u8 = b'?';

/// In the order of the specification; the first match wins.
const SIGNATURES: &[(ImageFormat, &[u8])] = &[
    (ImageFormat::Jpeg, b"\xFF\xD8"),
    (ImageFormat::Jxl, b"\xFF\x0A"),
    (ImageFormat::Jxl, b"\x00\x00\x00\x0CJXL \x0D\x0A\x87\x0A"),
    (ImageFormat::Png, b"\x89PNG\x0D\x0A\x1A\x0A"),
    (ImageFormat::Webp, b"RIFF????WEBP"),
    (ImageFormat::Gif, b"GIF8?a"),
    (ImageFormat::Ico, b"\x00\x00\x01\x00"),
    (ImageFormat::Heic, b"????ftypheic"),
    (ImageFormat::Heic, b"????ftypheix"),
    (ImageFormat::Heic, b"????ftyphevc"),
    (ImageFormat::Heic, b"????ftypheim"),
    (ImageFormat::Heic, b"????ftypheis"),
    (ImageFormat::Heic, b"????ftyphevm"),
    (ImageFormat::Heic, b"????ftyphevs"),
    (ImageFormat::Heic, b"????ftypmif1"),
    (ImageFormat::Avif, b"????ftypavif"),
    (ImageFormat::Bmp, b"BM"),
    (ImageFormat::Tiff, b"II*\x00"),
    (ImageFormat::Tiff, b"MM\x00*"),
];

const RAW_EXTENSIONS: &[&str] = &[
    "3fr", "adng", "arw", "cap", "cr2", "cr3", "crw", "data", "dcr", "dng", "eip", "erf", "fff",
    "gpr", "iiq", "k25", "kdc", "mef", "moc", "mos", "mdc", "mrw", "nef", "nrw", "orf", "ori",
    "pef", "ppm", "proraw", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f",
];

/// What follows `image/x-`.
const RAW_TYPES: &[&str] = &[
    "hasselblad-3fr",
    "adobe-dng",
    "sony-arw",
    "phaseone-cap",
    "canon-cr2",
    "canon-cr3",
    "canon-crw",
    "kodak-dcr",
    "epson-erf",
    "hasselblad-fff",
    "gopro-gpr",
    "phaseone-iiq",
    "kodak-k25",
    "kodak-kdc",
    "mamiya-mef",
    "leaf-mos",
    "minolta-mrw",
    "nikon-nef",
    "nikon-nrw",
    "olympus-orf",
    "sony-ori",
    "pentax-pef",
    "apple-proraw",
    "fuji-raf",
    "raw",
    "panasonic-rw2",
    "leica-rwl",
    "sony-sr2",
    "sony-srf",
    "samsung-srw",
    "sigma-x3f",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures() {
        let cases: &[(&str, &[u8], Option<ImageFormat>)] = &[
            ("jpeg", b"\xFF\xD8\xFF", Some(ImageFormat::Jpeg)),
            ("jxl codestream", b"\xFF\x0A", Some(ImageFormat::Jxl)),
            (
                "jxl container",
                b"\0\0\0\x0CJXL \r\n\x87\n",
                Some(ImageFormat::Jxl),
            ),
            ("png", b"\x89PNG\r\n\x1a\n", Some(ImageFormat::Png)),
            ("short png", b"\x89PNG\r\n\x1a", None),
            ("webp", b"RIFF\x01\x02\x03\x04WEBP", Some(ImageFormat::Webp)),
            ("wave", b"RIFF\x01\x02\x03\x04WAVE", None),
            ("gif 87", b"GIF87a", Some(ImageFormat::Gif)),
            ("gif 89", b"GIF89a", Some(ImageFormat::Gif)),
            ("icon", b"\0\0\x01\0", Some(ImageFormat::Ico)),
            ("cursor", b"\0\0\x02\0", None),
            ("heic", b"\0\0\0\x18ftypheic", Some(ImageFormat::Heic)),
            (
                "avif with major brand mif1",
                b"\0\0\0\x18ftypmif1",
                Some(ImageFormat::Heic),
            ),
            ("avif", b"\0\0\0\x18ftypavif", Some(ImageFormat::Avif)),
            ("avif sequence", b"\0\0\0\x18ftypavis", None),
            ("bmp", b"BM", Some(ImageFormat::Bmp)),
            ("tiff little", b"II*\0", Some(ImageFormat::Tiff)),
            ("tiff big", b"MM\0*", Some(ImageFormat::Tiff)),
            ("empty", b"", None),
            ("html", b"<!DOCTYPE html><html></html>", None),
            ("svg", b"<svg/>", Some(ImageFormat::Svg)),
        ];
        for (name, head, expected) in cases {
            assert_eq!(sniff(head, None, None), *expected, "{name}");
        }
    }

    #[test]
    fn camera_raw_is_not_tiff() {
        let cases = [
            (Some("DNG"), None, None),
            (Some("tiff"), None, Some(ImageFormat::Tiff)),
            (None, Some("image/x-nikon-nef"), None),
            (
                None,
                Some("image/x-nikon-nef; a=b"),
                Some(ImageFormat::Tiff),
            ),
            (None, Some("image/tiff"), Some(ImageFormat::Tiff)),
        ];
        for (extension, content_type, expected) in cases {
            assert_eq!(sniff(b"II*\0", extension, content_type), expected);
        }
        assert_eq!(
            sniff(b"\xFF\xD8", Some("raw"), None),
            Some(ImageFormat::Jpeg)
        );
    }
}
