//! The request target: splitting, signature, source URL. Works on the raw bytes. Rule: `spec/url.md`.

pub mod path;
pub mod signature;
pub mod source_url;
