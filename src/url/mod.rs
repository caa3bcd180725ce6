//! The request target: splitting, signature, source URL. Works on the raw bytes. Rule: `spec/url.md`.

pub mod path;
pub mod signature;
pub mod source_url;
mod wildcard;

use thiserror::Error;

use crate::error::{Error, Kind};

/// Why a request target is refused before its options are looked at, or its source after them.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UrlError {
    /// No signature or nothing behind it.
    #[error("Invalid path: {0}")]
    Path(String),
    /// Checking is off and the signature is missing.
    #[error(
        "The signature appears to be a processing option. \
         The signature section should always be present in the URL."
    )]
    SignatureIsOption,
    /// The signature is not URL-safe Base64 without padding.
    #[error("Invalid signature encoding")]
    SignatureEncoding,
    /// The signature does not belong to the path.
    #[error("Invalid signature")]
    Signature,
    /// There is no source URL.
    #[error("Image URL is empty")]
    SourceEmpty,
    /// The source URL does not decode.
    #[error("Invalid url encoding: {0}")]
    SourceEncoding(String),
    /// The source URL has more than one extension.
    #[error("Multiple formats are specified: {0}")]
    MultipleFormats(String),
    /// The source URL is encrypted and there is no key.
    #[error("Encrypted source URLs are not enabled")]
    SourceEncrypted,
    /// The source URL matches no allowed pattern.
    #[error("Source URL is not allowed: {0}")]
    SourceNotAllowed(String),
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        let kind = match error {
            UrlError::SignatureIsOption => Kind::SignatureIsOption,
            UrlError::SignatureEncoding | UrlError::Signature => Kind::InvalidSignature,
            UrlError::SourceNotAllowed(_) => Kind::SourceNotAllowed,
            UrlError::Path(_)
            | UrlError::SourceEmpty
            | UrlError::SourceEncoding(_)
            | UrlError::MultipleFormats(_)
            | UrlError::SourceEncrypted => Kind::InvalidUrl,
        };
        Self::new(kind, error.to_string())
    }
}
