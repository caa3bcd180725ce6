//! Encoders: one file per output format, the table of savers, and the options that say how to encode.

pub mod avif;
pub mod bmp;
pub mod gif;
pub mod heic;
pub mod ico;
pub mod jpeg;
pub mod jxl;
pub mod options;
pub mod png;
pub mod tiff;
pub mod webp;

use std::sync::OnceLock;

use bytes::Bytes;

use crate::config::ProcessingConfig;
use crate::format::ImageFormat;
use crate::vips::{self, BandFormat, Image, Interpretation, Value, calls};

pub use options::OutputOptions;

/// How to encode one image.
#[derive(Clone, Copy, Debug)]
pub struct SaveOptions<'a> {
    /// 1–100; ignored by formats without a quality.
    pub quality: u8,
    /// Encoder settings of the server.
    pub config: &'a ProcessingConfig,
}

/// One row of the table of savers.
#[derive(Debug)]
pub struct Saver {
    /// The format it writes.
    pub format: ImageFormat,
    /// libvips operation that it needs.
    pub operation: Option<&'static str>,
    /// Arguments with which the operation is tried once, where having it does not mean that it works: an encoder that was
    /// left out, or that another library loads as a module.
    pub probe: Option<&'static [(&'static str, Value<'static>)]>,
    /// Evaluates the image and encodes it.
    pub save: fn(&Image, &SaveOptions<'_>) -> Result<Bytes, vips::Error>,
}

impl Saver {
    /// Whether this build has it and it works; tries it where that cannot be told otherwise.
    pub fn is_available(&self) -> bool {
        let Some(operation) = self.operation else {
            return true;
        };
        let works = |arguments| vips::probe_save(operation, arguments).is_ok();
        vips::has_operation(operation) && self.probe.is_none_or(works)
    }
}

/// Every saver.
pub const SAVERS: &[Saver] = &[
    jpeg::SAVER,
    jxl::SAVER,
    png::SAVER,
    webp::SAVER,
    gif::SAVER,
    ico::SAVER,
    heic::SAVER,
    avif::SAVER,
    bmp::SAVER,
    tiff::SAVER,
];

/// The saver of a format, if this build has it.
pub fn saver(format: ImageFormat) -> Option<&'static Saver> {
    let row = SAVERS.iter().find(|s| s.format == format);
    row.filter(|_| available().contains(&format))
}

/// The formats that this build can write.
pub fn savable() -> impl Iterator<Item = ImageFormat> {
    available().iter().copied()
}

/// The formats whose savers work: none before libvips is ready. They are tried once, by whoever asks first, which is the
/// start of the server.
fn available() -> &'static [ImageFormat] {
    static AVAILABLE: OnceLock<Vec<ImageFormat>> = OnceLock::new();
    if !vips::is_ready() {
        return &[];
    }
    AVAILABLE.get_or_init(|| {
        let rows = SAVERS.iter().filter(|s| s.is_available());
        rows.map(|s| s.format).collect()
    })
}

/// Bits per palette entry that the source had, or 0 where it had no palette.
///
/// libvips 8.16 and later say `palette` and `bits-per-sample`, older ones `palette-bit-depth`.
fn palette_depth(image: &Image) -> i32 {
    if image.int("palette").is_some_and(|p| p != 0) {
        return image.int("bits-per-sample").unwrap_or(8);
    }
    image.int("palette-bit-depth").unwrap_or(0)
}

/// The image as 8-bit RGB or RGBA, for formats that hold nothing else.
fn to_rgb(image: &Image) -> Result<Image, vips::Error> {
    let mut rgb = image.clone();
    if rgb.bands() < 3 || rgb.interpretation() != Interpretation::Srgb {
        rgb = calls::colourspace(&rgb, Interpretation::Srgb, None)?;
    }
    if rgb.bands() > 4 {
        rgb = calls::extract_band(&rgb, 0, 4)?;
    }
    if rgb.format() != BandFormat::Uchar {
        rgb = calls::cast(&rgb, BandFormat::Uchar)?;
    }
    Ok(rgb)
}
