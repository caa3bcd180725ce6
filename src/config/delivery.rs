//! Response headers.

use std::time::SystemTime;

use super::datetime;
use super::types::format::{BOOL, DATETIME, INT, STRING};
use super::types::{boolean, non_negative};
use super::var::{Alias, Var};

/// `spec/http.md` section 8.
#[derive(Clone, Debug, Default)]
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

pub(super) const VARS: &[Var] = &[
    Var::new(
        "TTL",
        "31536000",
        INT,
        "Seconds for `max-age` in `Cache-Control`; 0 sends `no-cache`.",
        |d, v| non_negative(v).map(|n| d.config.delivery.ttl = n),
    ),
    Var::new(
        "CACHE_CONTROL_PASSTHROUGH",
        "false",
        BOOL,
        "Pass on the source's `Cache-Control` or `Expires`.",
        |d, v| boolean(v).map(|b| d.config.delivery.cache_control_passthrough = b),
    ),
    Var::new(
        "SET_CANONICAL_HEADER",
        "false",
        BOOL,
        "Name the source URL in a `Link` header with `rel=\"canonical\"`.",
        |d, v| boolean(v).map(|b| d.config.delivery.set_canonical_header = b),
    ),
    Var::new(
        "ENABLE_DEBUG_HEADERS",
        "false",
        BOOL,
        "Send sizes of source and result in `X-Origin-…` and `X-Result-…` headers.",
        |d, v| boolean(v).map(|b| d.config.delivery.enable_debug_headers = b),
    ),
    Var::new(
        "USE_ETAG",
        "true",
        BOOL,
        "Send an `ETag` and answer `If-None-Match`.",
        |d, v| boolean(v).map(|b| d.config.delivery.use_etag = b),
    )
    .aliases(&[Alias::synonym("ETAG_ENABLED")]),
    Var::new(
        "ETAG_BUSTER",
        "",
        STRING,
        "Any text that goes into every `ETag`; changing it makes clients fetch again.",
        |d, v| {
            d.config.delivery.etag_buster = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "USE_LAST_MODIFIED",
        "true",
        BOOL,
        "Send the source's `Last-Modified` and answer `If-Modified-Since`.",
        |d, v| boolean(v).map(|b| d.config.delivery.use_last_modified = b),
    )
    .aliases(&[Alias::synonym("LAST_MODIFIED_ENABLED")]),
    Var::new(
        "LAST_MODIFIED_BUSTER",
        "",
        DATETIME,
        "Images older than this are reported as modified at this time.",
        |d, v| datetime::parse(v).map(|t| d.config.delivery.last_modified_buster = Some(t)),
    ),
    Var::new(
        "RETURN_ATTACHMENT",
        "false",
        BOOL,
        "Default of the option `return_attachment`: offer images for download instead of showing them.",
        |d, v| boolean(v).map(|b| d.config.delivery.return_attachment = b),
    ),
];
