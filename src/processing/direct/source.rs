//! Sources that are decoded directly: what their headers say, and their pixels.

use crate::codec::{Raster, Stop, exif, icc, jpeg};
use crate::format::ImageFormat;
use crate::geometry::{self, Size};
use crate::plan::ImageInfo;
use crate::processing::{Job, Request};

/// An opened source.
#[derive(Debug)]
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    header: jpeg::Header<'a>,
    /// EXIF orientation, 1–8.
    orientation: u8,
    /// The ICC profile, whole and of the picture's colours.
    pub(super) profile: Option<Vec<u8>>,
    /// The EXIF block with its name, where it may be kept.
    pub(super) exif: Option<Vec<u8>>,
    /// The XMP packet, where it may be kept.
    pub(super) xmp: Option<&'a [u8]>,
    /// The Photoshop block, where it may be kept.
    pub(super) iptc: Option<&'a [u8]>,
}

impl<'a> Source<'a> {
    /// Reads the header; `None` for what is not covered.
    pub(super) fn open(job: &'a Job, request: &Request) -> Option<Self> {
        if job.source.format != ImageFormat::Jpeg {
            return None;
        }
        let bytes = &job.source.bytes;
        let mut header = jpeg::header(bytes)?;
        let exif = header.exif.map_or(Some(NO_EXIF), exif::parse)?;
        // Who made a picture stands in its EXIF block, and only libvips writes that.
        if exif.names_author && request.keep_copyright {
            return None;
        }
        let profile = header.profile.take();
        let colours = header.components.into();
        if profile
            .as_ref()
            .is_some_and(|profile| !icc::is_sound(profile, colours))
        {
            return None;
        }
        let kept = |block| if request.keep_copyright { block } else { None };
        Some(Self {
            bytes,
            orientation: exif.orientation,
            profile,
            exif: kept(header.exif).map(|block| [exif::NAME, block].concat()),
            xmp: kept(header.xmp),
            iptc: kept(header.iptc),
            header,
        })
    }

    /// Whether the last band is alpha.
    pub(super) fn has_alpha(&self) -> bool {
        false
    }

    /// What planning needs to know.
    pub(super) fn info(&self, job: &Job) -> ImageInfo {
        ImageInfo {
            size: Size::new(self.header.width.into(), self.header.height.into()),
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
        let shrink = denominator(shrink)?;
        let side = |side: u16| i64::from(side / shrink);
        let size = Size::new(side(self.header.width), side(self.header.height));
        (size.pixels() > 0).then_some(size)
    }

    /// Decodes the picture.
    pub(super) fn decode(&self, shrink: Option<f64>, stop: Stop<'_>) -> Option<Raster> {
        jpeg::decode(self.bytes, &self.header, denominator(shrink)?, stop)
    }
}

fn denominator(shrink: Option<f64>) -> Option<u16> {
    let shrink = geometry::int32(shrink.unwrap_or(1.0));
    u16::try_from(shrink).ok().filter(|shrink| *shrink > 0)
}

const NO_EXIF: exif::Exif = exif::Exif {
    orientation: 1,
    names_author: false,
};
