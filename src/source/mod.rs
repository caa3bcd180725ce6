//! Fetching source images: schemes, limits, address guard. Rule: `spec/sources.md`.

use bytes::Bytes;
use http::HeaderMap;

use crate::format::ImageFormat;

/// A fetched source: whole, within its size limit, and of a known format.
#[derive(Clone, Debug)]
pub struct SourceImage {
    /// The encoded picture, content coding undone.
    pub bytes: Bytes,
    /// Format by its own bytes.
    pub format: ImageFormat,
    /// Headers of the source's response.
    pub headers: HeaderMap,
}
