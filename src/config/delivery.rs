//! Response headers.

use std::time::SystemTime;

/// `spec/http.md` section 8.
#[derive(Clone, Debug)]
pub struct DeliveryConfig {
    /// `TTL` in seconds; 0 sends `no-cache`.
    pub ttl: u64,
    /// `CACHE_CONTROL_PASSTHROUGH`.
    pub cache_control_passthrough: bool,
    /// `SET_CANONICAL_HEADER`.
    pub set_canonical_header: bool,
    /// `ENABLE_DEBUG_HEADERS`.
    pub enable_debug_headers: bool,
    /// `USE_ETAG`.
    pub use_etag: bool,
    /// `ETAG_BUSTER`; empty is none.
    pub etag_buster: String,
    /// `USE_LAST_MODIFIED`.
    pub use_last_modified: bool,
    /// `LAST_MODIFIED_BUSTER`.
    pub last_modified_buster: Option<SystemTime>,
    /// `RETURN_ATTACHMENT`: default of the option.
    pub return_attachment: bool,
}
