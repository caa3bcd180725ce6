//! Options about the encoded result; they act on the whole request, whichever pipeline they are written in.

use std::collections::BTreeMap;

use crate::format::ImageFormat;

/// What a URL says about the result. `None` leaves the server's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputOptions {
    /// `format` or the extension.
    pub format: Option<ImageFormat>,
    /// `quality`, 1–100; 0 is stored as 0 and falls through.
    pub quality: u8,
    /// `format_quality`, 0–100 by format; 0 falls through.
    pub format_quality: BTreeMap<ImageFormat, u8>,
    /// `max_bytes`; 0 is off.
    pub max_bytes: u64,
    /// `strip_metadata`.
    pub strip_metadata: Option<bool>,
    /// `keep_copyright`.
    pub keep_copyright: Option<bool>,
    /// `strip_color_profile`.
    pub strip_color_profile: Option<bool>,
    /// `preserve_hdr`.
    pub preserve_hdr: Option<bool>,
    /// `enforce_thumbnail`.
    pub enforce_thumbnail: Option<bool>,
    /// `skip_processing`, in the order of use.
    pub skip_processing: Vec<ImageFormat>,
}
