//! Sources that are decoded directly: what their headers say, and their pixels.

use crate::codec::{Raster, Stop, exif, icc, jpeg, png};
use crate::format::ImageFormat;
use crate::geometry::{self, Size};
use crate::plan::ImageInfo;
use crate::processing::{Job, Request};

/// An opened source.
#[derive(Debug)]
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    header: Header<'a>,
    size: Size,
    colours: usize,
    alpha: bool,
    /// EXIF orientation, 1–8.
    orientation: u8,
    /// Bits of an index where there is a palette.
    pub(super) palette_depth: Option<u8>,
    /// The ICC profile, whole and of the picture's colours.
    pub(super) profile: Option<Vec<u8>>,
    /// The EXIF block with its name, where it may be kept.
    pub(super) exif: Option<Vec<u8>>,
    /// The XMP packet, where it may be kept.
    pub(super) xmp: Option<&'a [u8]>,
    /// The Photoshop block, where it may be kept.
    pub(super) iptc: Option<&'a [u8]>,
}

/// What the decoder of the format needs.
#[derive(Debug)]
enum Header<'a> {
    Jpeg(jpeg::Header<'a>),
    Png(png::Header<'a>),
}

/// What a header of any format says.
struct Found<'a> {
    header: Header<'a>,
    size: Size,
    /// Bands without alpha.
    colours: usize,
    alpha: bool,
    palette_depth: Option<u8>,
    profile: Option<Vec<u8>>,
    exif: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
    iptc: Option<&'a [u8]>,
}

impl<'a> Source<'a> {
    /// Reads the header; `None` for what is not covered.
    pub(super) fn open(job: &'a Job, request: &Request) -> Option<Self> {
        let bytes = &job.source.bytes;
        let found = match job.source.format {
            ImageFormat::Jpeg => Found::jpeg(bytes),
            ImageFormat::Png => Found::png(bytes),
            _ => None,
        }?;
        let exif = found.exif.map_or(Some(NO_EXIF), exif::parse)?;
        // Who made a picture stands in its EXIF block, and only libvips writes that.
        if exif.names_author && request.keep_copyright {
            return None;
        }
        if found
            .profile
            .as_ref()
            .is_some_and(|profile| !icc::is_sound(profile, found.colours))
        {
            return None;
        }
        let kept = |block| if request.keep_copyright { block } else { None };
        Some(Self {
            bytes,
            header: found.header,
            size: found.size,
            colours: found.colours,
            alpha: found.alpha,
            orientation: exif.orientation,
            palette_depth: found.palette_depth,
            profile: found.profile,
            exif: kept(found.exif).map(|block| [exif::NAME, block].concat()),
            xmp: kept(found.xmp),
            iptc: kept(found.iptc),
        })
    }

    /// Whether the last band is alpha.
    pub(super) fn has_alpha(&self) -> bool {
        self.alpha
    }

    /// Decoded pixels that may be held at once; libvips works on larger pictures strip by strip.
    pub(super) fn most_pixels(&self) -> i64 {
        if self.alpha {
            MOST_PIXELS * 3 / 4
        } else {
            MOST_PIXELS
        }
    }

    /// Whether there is one band, alpha aside.
    pub(super) fn is_grey(&self) -> bool {
        self.colours == 1
    }

    /// What planning needs to know.
    pub(super) fn info(&self, job: &Job) -> ImageInfo {
        ImageInfo {
            size: self.size,
            orientation: self.orientation,
            format: Some(job.source.format),
            frames: 1,
        }
    }

    /// The same after decoding with a shrink factor.
    pub(super) fn shrunk_info(&self, info: &ImageInfo, shrink: f64) -> Option<ImageInfo> {
        let size = self.size(Some(shrink))?;
        Some(ImageInfo { size, ..*info })
    }

    /// Pixels as they are decoded.
    pub(super) fn size(&self, shrink: Option<f64>) -> Option<Size> {
        let shrink = i64::from(denominator(shrink)?);
        let size = Size::new(self.size.width / shrink, self.size.height / shrink);
        (size.pixels() > 0).then_some(size)
    }

    /// Decodes the picture.
    pub(super) fn decode(&self, shrink: Option<f64>, stop: Stop<'_>) -> Option<Raster> {
        match &self.header {
            Header::Jpeg(header) => jpeg::decode(self.bytes, header, denominator(shrink)?, stop),
            Header::Png(header) => png::decode(self.bytes, header, stop),
        }
    }
}

impl<'a> Found<'a> {
    fn jpeg(bytes: &'a [u8]) -> Option<Self> {
        let mut header = jpeg::header(bytes)?;
        Some(Self {
            size: Size::new(header.width.into(), header.height.into()),
            colours: header.components.into(),
            alpha: false,
            palette_depth: None,
            profile: header.profile.take(),
            exif: header.exif,
            xmp: header.xmp,
            iptc: header.iptc,
            header: Header::Jpeg(header),
        })
    }

    fn png(bytes: &'a [u8]) -> Option<Self> {
        let mut header = png::header(bytes)?;
        Some(Self {
            size: Size::new(header.width.into(), header.height.into()),
            colours: header.colours.into(),
            alpha: header.alpha,
            palette_depth: header.palette_depth,
            profile: header.profile.take(),
            exif: header.exif,
            xmp: header.xmp,
            iptc: None,
            header: Header::Png(header),
        })
    }
}

fn denominator(shrink: Option<f64>) -> Option<u16> {
    let shrink = geometry::int32(shrink.unwrap_or(1.0));
    u16::try_from(shrink).ok().filter(|shrink| *shrink > 0)
}

/// Of three bands.
pub(in crate::processing) const MOST_PIXELS: i64 = 16_000_000;
const NO_EXIF: exif::Exif = exif::Exif {
    orientation: 1,
    names_author: false,
};
