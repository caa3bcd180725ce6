//! The table of image formats: names, extensions, MIME types, abilities. Rule: `spec/formats.md` section 1.
//!
//! Detection by content is in [`sniff`].

pub mod header;
pub mod sniff;
mod sniff_svg;
pub mod xml;

/// An image format that imgforge knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageFormat {
    /// JPEG.
    Jpeg,
    /// JPEG XL.
    Jxl,
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// GIF.
    Gif,
    /// Windows icon.
    Ico,
    /// SVG.
    Svg,
    /// HEIC.
    Heic,
    /// AVIF.
    Avif,
    /// Windows bitmap.
    Bmp,
    /// TIFF.
    Tiff,
}

/// One row of the format table.
#[derive(Clone, Copy, Debug)]
pub struct FormatInfo {
    /// Canonical name in URLs, variables and metrics.
    pub name: &'static str,
    /// File name extension for `Content-Disposition`, with the dot.
    pub extension: &'static str,
    /// `Content-Type`.
    pub mime: &'static str,
    /// Whether the format is vector graphics.
    pub vector: bool,
    /// Whether it stores transparency.
    pub alpha: bool,
    /// Whether it stores an ICC profile.
    pub icc: bool,
    /// Whether its encoder has a quality.
    pub quality: bool,
    /// Whether it stores animations that imgforge can write.
    pub animation: bool,
    /// Whether its container embeds thumbnails.
    pub thumbnail: bool,
    /// Whether it stores 16 bits per channel.
    pub hdr: bool,
}

const ROW: FormatInfo = FormatInfo {
    name: "",
    extension: "",
    mime: "",
    vector: false,
    alpha: true,
    icc: false,
    quality: false,
    animation: false,
    thumbnail: false,
    hdr: false,
};

impl ImageFormat {
    /// Every format, in the order of the table.
    pub const ALL: [Self; 11] = [
        Self::Jpeg,
        Self::Jxl,
        Self::Png,
        Self::Webp,
        Self::Gif,
        Self::Ico,
        Self::Svg,
        Self::Heic,
        Self::Avif,
        Self::Bmp,
        Self::Tiff,
    ];

    /// The row of the table.
    pub const fn info(self) -> FormatInfo {
        match self {
            Self::Jpeg => FormatInfo {
                name: "jpeg",
                extension: ".jpg",
                mime: "image/jpeg",
                alpha: false,
                icc: true,
                quality: true,
                ..ROW
            },
            Self::Jxl => FormatInfo {
                name: "jxl",
                extension: ".jxl",
                mime: "image/jxl",
                icc: true,
                quality: true,
                hdr: true,
                ..ROW
            },
            Self::Png => FormatInfo {
                name: "png",
                extension: ".png",
                mime: "image/png",
                icc: true,
                hdr: true,
                ..ROW
            },
            Self::Webp => FormatInfo {
                name: "webp",
                extension: ".webp",
                mime: "image/webp",
                icc: true,
                quality: true,
                animation: true,
                ..ROW
            },
            Self::Gif => FormatInfo {
                name: "gif",
                extension: ".gif",
                mime: "image/gif",
                animation: true,
                ..ROW
            },
            Self::Ico => FormatInfo {
                name: "ico",
                extension: ".ico",
                mime: "image/x-icon",
                ..ROW
            },
            Self::Svg => FormatInfo {
                name: "svg",
                extension: ".svg",
                mime: "image/svg+xml",
                vector: true,
                ..ROW
            },
            Self::Heic => FormatInfo {
                name: "heic",
                extension: ".heic",
                mime: "image/heif",
                icc: true,
                quality: true,
                thumbnail: true,
                ..ROW
            },
            Self::Avif => FormatInfo {
                name: "avif",
                extension: ".avif",
                mime: "image/avif",
                icc: true,
                quality: true,
                thumbnail: true,
                hdr: true,
                ..ROW
            },
            Self::Bmp => FormatInfo {
                name: "bmp",
                extension: ".bmp",
                mime: "image/bmp",
                ..ROW
            },
            Self::Tiff => FormatInfo {
                name: "tiff",
                extension: ".tiff",
                mime: "image/tiff",
                icc: true,
                quality: true,
                hdr: true,
                ..ROW
            },
        }
    }

    /// The format with this exact name; `jpg` is an alias of `jpeg`, and there are no others.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "jpg" {
            return Some(Self::Jpeg);
        }
        Self::ALL.into_iter().find(|f| f.info().name == name)
    }

    /// Canonical name.
    pub const fn name(self) -> &'static str {
        self.info().name
    }
}

impl std::fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
