//! Decoding, transforming, encoding.

use std::collections::BTreeMap;

use crate::format::ImageFormat;

use super::errors::Warning;
use super::lists::format::{FORMAT_QUALITY, FORMATS};
use super::lists::{format_qualities, formats};
use super::types::format::{BOOL, INT};
use super::types::{boolean, choice, ranged};
use super::var::{Alias, Invalid, Var};

/// `spec/configuration.md` section 3.6.
#[derive(Clone, Debug, Default)]
pub struct ProcessingConfig {
    /// `QUALITY`, 1–100.
    pub quality: u8,
    /// `FORMAT_QUALITY` merged over the defaults, 1–100 each.
    pub format_quality: BTreeMap<ImageFormat, u8>,
    /// `JPEG_PROGRESSIVE`.
    pub jpeg_progressive: bool,
    /// `PNG_INTERLACED`.
    pub png_interlaced: bool,
    /// `PNG_QUANTIZE`.
    pub png_quantize: bool,
    /// `PNG_QUANTIZATION_COLORS`, 2–256.
    pub png_quantization_colors: u16,
    /// `WEBP_EFFORT`, 1–6.
    pub webp_effort: u8,
    /// `WEBP_PRESET`, libvips' name.
    pub webp_preset: &'static str,
    /// `AVIF_SPEED`, 0–9.
    pub avif_speed: u8,
    /// `JXL_EFFORT`, 1–9.
    pub jxl_effort: u8,
    /// `PREFERRED_FORMATS`, not empty.
    pub preferred_formats: Vec<ImageFormat>,
    /// `SKIP_PROCESSING_FORMATS`.
    pub skip_processing_formats: Vec<ImageFormat>,
    /// `STRIP_METADATA`.
    pub strip_metadata: bool,
    /// `KEEP_COPYRIGHT`.
    pub keep_copyright: bool,
    /// `STRIP_COLOR_PROFILE`.
    pub strip_color_profile: bool,
    /// `AUTO_ROTATE`.
    pub auto_rotate: bool,
    /// `ENFORCE_THUMBNAIL`.
    pub enforce_thumbnail: bool,
    /// `PRESERVE_HDR`.
    pub preserve_hdr: bool,
    /// `USE_LINEAR_COLORSPACE`.
    pub linear: bool,
    /// `DISABLE_SHRINK_ON_LOAD`.
    pub disable_shrink_on_load: bool,
    /// `DIRECT_CODECS`.
    pub direct_codecs: bool,
    /// `ALWAYS_RASTERIZE_SVG`.
    pub always_rasterize_svg: bool,
    /// `SANITIZE_SVG`.
    pub sanitize_svg: bool,
    /// `PNG_UNLIMITED`.
    pub png_unlimited: bool,
    /// `SVG_UNLIMITED`.
    pub svg_unlimited: bool,
    /// `TIFF_UNLIMITED`.
    pub tiff_unlimited: bool,
    /// `AUTO_WEBP`, `AUTO_AVIF`, `AUTO_JXL` and their `ENFORCE_` forms.
    pub negotiation: Negotiation,
    /// `ENABLE_CLIENT_HINTS`.
    pub client_hints: bool,
    /// `IMGFORGE_VIPS_VECTOR`.
    pub vips_vector: VectorMode,
}

/// Formats that the `Accept` header may choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiation {
    /// `AUTO_WEBP`.
    pub auto_webp: bool,
    /// `ENFORCE_WEBP`.
    pub enforce_webp: bool,
    /// `AUTO_AVIF`.
    pub auto_avif: bool,
    /// `ENFORCE_AVIF`.
    pub enforce_avif: bool,
    /// `AUTO_JXL`.
    pub auto_jxl: bool,
    /// `ENFORCE_JXL`.
    pub enforce_jxl: bool,
}

impl Negotiation {
    /// Whether any switch is on, so that responses vary by `Accept`.
    pub fn is_on(self) -> bool {
        self != Self::default()
    }
}

/// Whether libvips may use vector code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VectorMode {
    /// Only where the linked vector engine is thread-safe.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "QUALITY",
        "80",
        INT,
        "Quality of lossy results, 1 to 100.",
        |d, v| {
            ranged(v, 1..=100, "must be between 1 and 100").map(|n| d.config.processing.quality = n)
        },
    ),
    Var::new(
        "FORMAT_QUALITY",
        "webp=79,avif=63,jxl=77",
        FORMAT_QUALITY,
        "Quality by format, 1 to 100. Formats that are not named keep what the default says.",
        // Called with the default first: what the operator writes is merged into it.
        |d, v| {
            d.config
                .processing
                .format_quality
                .extend(format_qualities(v)?);
            Ok(())
        },
    )
    .show(|c| {
        let pairs = c.processing.format_quality.iter();
        pairs
            .map(|(format, quality)| format!("{format}={quality}"))
            .collect::<Vec<_>>()
            .join(",")
    }),
    Var::new(
        "JPEG_PROGRESSIVE",
        "false",
        BOOL,
        "Write progressive JPEG.",
        |d, v| boolean(v).map(|b| d.config.processing.jpeg_progressive = b),
    ),
    Var::new(
        "PNG_INTERLACED",
        "false",
        BOOL,
        "Write interlaced PNG.",
        |d, v| boolean(v).map(|b| d.config.processing.png_interlaced = b),
    ),
    Var::new(
        "PNG_QUANTIZE",
        "false",
        BOOL,
        "Write PNG with a palette.",
        |d, v| boolean(v).map(|b| d.config.processing.png_quantize = b),
    ),
    Var::new(
        "PNG_QUANTIZATION_COLORS",
        "256",
        INT,
        "Largest palette of a quantized PNG, 2 to 256.",
        |d, v| {
            ranged(v, 2..=256, "out of range")
                .map(|n| d.config.processing.png_quantization_colors = n)
        },
    ),
    Var::new(
        "WEBP_EFFORT",
        "4",
        INT,
        "Effort of the WebP encoder, 1 to 6; more is slower and smaller.",
        |d, v| ranged(v, 1..=6, "out of range").map(|n| d.config.processing.webp_effort = n),
    ),
    Var::new(
        "WEBP_PRESET",
        "default",
        "default|photo|picture|drawing|icon|text",
        "What the WebP encoder tunes for.",
        |d, v| choice(v, WEBP_PRESETS).map(|preset| d.config.processing.webp_preset = preset),
    ),
    Var::new(
        "AVIF_SPEED",
        "8",
        INT,
        "Speed of the AVIF encoder, 0 to 9; more is faster and larger.",
        |d, v| ranged(v, 0..=9, "out of range").map(|n| d.config.processing.avif_speed = n),
    ),
    Var::new(
        "JXL_EFFORT",
        "4",
        INT,
        "Effort of the JPEG XL encoder, 1 to 9; more is slower and smaller.",
        |d, v| ranged(v, 1..=9, "out of range").map(|n| d.config.processing.jxl_effort = n),
    ),
    Var::new(
        "PREFERRED_FORMATS",
        "jpeg,png,gif",
        FORMATS,
        "Formats of results where the URL names none, the best first. `svg`, and what the linked libvips cannot write, \
         is dropped with a warning.",
        |d, v| {
            let (vector, raster): (Vec<_>, Vec<_>) =
                formats(v)?.into_iter().partition(|f| f.info().vector);
            for format in vector {
                d.warnings.push(Warning::Note(format!(
                    "{format} cannot be a preferred format"
                )));
            }
            if raster.is_empty() {
                return Err(Invalid::value("no supported preferred formats specified"));
            }
            d.config.processing.preferred_formats = raster;
            Ok(())
        },
    ),
    Var::new(
        "SKIP_PROCESSING_FORMATS",
        "",
        FORMATS,
        "Sources of these formats are sent as they are, where the result would have the same format.",
        |d, v| formats(v).map(|f| d.config.processing.skip_processing_formats = f),
    ),
    Var::new(
        "STRIP_METADATA",
        "true",
        BOOL,
        "Default of the option `strip_metadata`: drop EXIF, XMP and the like.",
        |d, v| boolean(v).map(|b| d.config.processing.strip_metadata = b),
    ),
    Var::new(
        "KEEP_COPYRIGHT",
        "true",
        BOOL,
        "Default of the option `keep_copyright`: keep copyright and author when metadata is dropped.",
        |d, v| boolean(v).map(|b| d.config.processing.keep_copyright = b),
    ),
    Var::new(
        "STRIP_COLOR_PROFILE",
        "true",
        BOOL,
        "Default of the option `strip_color_profile`: convert to sRGB and drop the profile.",
        |d, v| boolean(v).map(|b| d.config.processing.strip_color_profile = b),
    ),
    Var::new(
        "AUTO_ROTATE",
        "true",
        BOOL,
        "Default of the option `auto_rotate`: turn the picture as its EXIF orientation says.",
        |d, v| boolean(v).map(|b| d.config.processing.auto_rotate = b),
    ),
    Var::new(
        "ENFORCE_THUMBNAIL",
        "false",
        BOOL,
        "Default of the option `enforce_thumbnail`: work on the thumbnail inside a HEIC or AVIF source.",
        |d, v| boolean(v).map(|b| d.config.processing.enforce_thumbnail = b),
    ),
    Var::new(
        "PRESERVE_HDR",
        "false",
        BOOL,
        "Default of the option `preserve_hdr`: keep 16 bits per channel where the format can.",
        |d, v| boolean(v).map(|b| d.config.processing.preserve_hdr = b),
    ),
    Var::new(
        "USE_LINEAR_COLORSPACE",
        "false",
        BOOL,
        "Resize in linear light: better and slower.",
        |d, v| boolean(v).map(|b| d.config.processing.linear = b),
    ),
    Var::new(
        "DISABLE_SHRINK_ON_LOAD",
        "false",
        BOOL,
        "Decode sources at full size before resizing: slower.",
        |d, v| boolean(v).map(|b| d.config.processing.disable_shrink_on_load = b),
    ),
    Var::new(
        "ALWAYS_RASTERIZE_SVG",
        "false",
        BOOL,
        "Never send an SVG as it is.",
        |d, v| boolean(v).map(|b| d.config.processing.always_rasterize_svg = b),
    ),
    Var::new(
        "SANITIZE_SVG",
        "true",
        BOOL,
        "Remove scripts from an SVG that is sent as it is.",
        |d, v| boolean(v).map(|b| d.config.processing.sanitize_svg = b),
    ),
    Var::new(
        "PNG_UNLIMITED",
        "false",
        BOOL,
        "Lift libpng's own limits.",
        |d, v| boolean(v).map(|b| d.config.processing.png_unlimited = b),
    ),
    Var::new(
        "SVG_UNLIMITED",
        "false",
        BOOL,
        "Lift the SVG parser's own limits.",
        |d, v| boolean(v).map(|b| d.config.processing.svg_unlimited = b),
    ),
    Var::new(
        "TIFF_UNLIMITED",
        "false",
        BOOL,
        "Lift libvips' own limits for TIFF, where it has such a switch: 8.17 and later.",
        |d, v| boolean(v).map(|b| d.config.processing.tiff_unlimited = b),
    ),
    Var::new(
        "AUTO_WEBP",
        "false",
        BOOL,
        "Prefer WebP where the client accepts it and the URL names no format.",
        |d, v| boolean(v).map(|b| d.config.processing.negotiation.auto_webp = b),
    )
    .aliases(&[Alias::deprecated("ENABLE_WEBP_DETECTION")]),
    Var::new(
        "ENFORCE_WEBP",
        "false",
        BOOL,
        "Write WebP where the client accepts it, whatever format the URL names.",
        |d, v| boolean(v).map(|b| d.config.processing.negotiation.enforce_webp = b),
    ),
    Var::new(
        "AUTO_AVIF",
        "false",
        BOOL,
        "Prefer AVIF where the client accepts it and the URL names no format.",
        |d, v| boolean(v).map(|b| d.config.processing.negotiation.auto_avif = b),
    )
    .aliases(&[Alias::deprecated("ENABLE_AVIF_DETECTION")]),
    Var::new(
        "ENFORCE_AVIF",
        "false",
        BOOL,
        "Write AVIF where the client accepts it, whatever format the URL names.",
        |d, v| boolean(v).map(|b| d.config.processing.negotiation.enforce_avif = b),
    ),
    Var::new(
        "AUTO_JXL",
        "false",
        BOOL,
        "Prefer JPEG XL where the client accepts it and the URL names no format.",
        |d, v| boolean(v).map(|b| d.config.processing.negotiation.auto_jxl = b),
    ),
    Var::new(
        "ENFORCE_JXL",
        "false",
        BOOL,
        "Write JPEG XL where the client accepts it, whatever format the URL names.",
        |d, v| boolean(v).map(|b| d.config.processing.negotiation.enforce_jxl = b),
    ),
    Var::new(
        "ENABLE_CLIENT_HINTS",
        "false",
        BOOL,
        "Read default width and DPR from the client hints `Sec-CH-Width`, `Width`, `Sec-CH-DPR` and `DPR`.",
        |d, v| boolean(v).map(|b| d.config.processing.client_hints = b),
    ),
];

const WEBP_PRESETS: &[(&str, &str)] = &[
    ("default", "default"),
    ("photo", "photo"),
    ("picture", "picture"),
    ("drawing", "drawing"),
    ("icon", "icon"),
    ("text", "text"),
];
