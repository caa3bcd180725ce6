//! Decoding, transforming, encoding.

use std::collections::BTreeMap;

use crate::format::ImageFormat;

/// `spec/configuration.md` section 3.6.
#[derive(Clone, Debug)]
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
    /// `ALWAYS_RASTERIZE_SVG`.
    pub always_rasterize_svg: bool,
    /// `SANITIZE_SVG`.
    pub sanitize_svg: bool,
    /// `PNG_UNLIMITED`.
    pub png_unlimited: bool,
    /// `SVG_UNLIMITED`.
    pub svg_unlimited: bool,
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
