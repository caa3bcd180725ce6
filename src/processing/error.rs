//! Which kind of error a failed libvips operation is.
//!
//! The operation that failed decides; the message only separates a broken source from an internal error where a lazy
//! decoder fails while another operation evaluates. libvips' text goes to the log, never to the client.

use crate::error::{Error, Kind};
use crate::vips;

impl From<vips::Error> for Error {
    fn from(error: vips::Error) -> Self {
        let kind = if error.operation.contains("load") || is_decoder_message(&error.detail) {
            Kind::BrokenImage
        } else {
            Kind::Internal
        };
        Self::new(kind, error.to_string())
    }
}

/// Whether a message was written by a decoder. Every loader of libvips prefixes its messages with its own name.
fn is_decoder_message(detail: &str) -> bool {
    detail.lines().any(|line| {
        let (origin, _) = line.split_once(':').unwrap_or((line, ""));
        DECODERS.contains(&origin.trim())
            || origin.ends_with("load_source")
            || origin.ends_with("load")
            || origin.ends_with("2vips")
            || line.contains("XML parse error: ")
    })
}

/// Origins that the loaders of libvips 8.14 to 8.18 use beside `<format>load…` and `<format>2vips`.
const DECODERS: &[&str] = &[
    "VipsJpeg",
    "vipspng",
    "vips2png",
    "webp",
    "gif",
    "tiff2vips",
    "heif",
    "librsvg",
    "TIFF",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let kind = |operation: &str, detail: &str| {
            Error::from(vips::Error {
                operation: operation.into(),
                detail: detail.into(),
            })
            .kind()
        };
        for (operation, detail, expected) in [
            ("jpegload_source", "anything", Kind::BrokenImage),
            (
                "jpegsave_target",
                "VipsJpeg: premature end of JPEG image",
                Kind::BrokenImage,
            ),
            (
                "pngsave_target",
                "pngload_source: libspng read error",
                Kind::BrokenImage,
            ),
            (
                "webpsave_target",
                "webp2vips: unable to read",
                Kind::BrokenImage,
            ),
            (
                "resize",
                "svgload_source: XML parse error: error code=1",
                Kind::BrokenImage,
            ),
            ("resize", "resize: parameter scale not set", Kind::Internal),
            (
                "heifsave_target",
                "heifsave: Unsupported compression",
                Kind::Internal,
            ),
        ] {
            assert_eq!(kind(operation, detail), expected, "{operation} {detail}");
        }
    }
}
