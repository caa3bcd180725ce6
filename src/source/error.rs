//! What can go wrong while fetching, and which error of a request it is. Rule: `spec/sources.md` section 1.7.
//!
//! The enum carries data; the choice of a [`Kind`] is in the conversion at the end.

use std::io;
use std::path::PathBuf;

use super::guard::Blocked;
use crate::error::chain;
use crate::{Error, Kind};

/// A configuration that no fetcher can be built from.
#[derive(Debug, thiserror::Error)]
pub enum SourceConfigError {
    /// `USER_AGENT` is empty or holds bytes that a header cannot.
    #[error("the user agent {0:?} cannot be sent as a header")]
    UserAgent(String),
    /// `LOCAL_FILESYSTEM_ROOT` is not a directory.
    #[error("the local filesystem root {path} is not a usable directory")]
    LocalRoot {
        /// The root as configured.
        path: PathBuf,
        /// Why it cannot be used.
        source: io::Error,
    },
    /// A storage cannot be used as it is configured.
    #[error("{0}")]
    Storage(String),
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// A fetch that failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The text is no URL that can be requested.
    #[error("invalid source URL: {0}")]
    InvalidUrl(&'static str),
    /// No source is enabled for the scheme.
    #[error("unknown or disabled source scheme {scheme:?}{}", hint(*.variable))]
    Scheme {
        /// The scheme in lower case; empty where the URL has none.
        scheme: String,
        /// Name without prefix of the variable that would enable it.
        variable: Option<&'static str>,
    },
    /// An address may not be dialled that a name or a redirect led to.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// The source URL itself holds an address that may not be dialled; nothing was sent.
    #[error(transparent)]
    Refused(Blocked),
    /// The URL, or one that a redirect led to, names a port that sources may not have.
    #[error("source port is not allowed: {port}")]
    Port {
        /// The port.
        port: u16,
        /// Whether a redirect named it.
        redirected: bool,
    },
    /// A redirect to a URL that is no allowed source.
    #[error("redirect to a source URL that is not allowed: {0}")]
    RedirectNotAllowed(String),
    /// DNS, connection, TLS or protocol trouble before a response head.
    #[error("source is unreachable")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// More redirects than allowed.
    #[error("more than {0} redirects")]
    TooManyRedirects(usize),
    /// A redirect to something that is not http or https, or not a URL.
    #[error("cannot follow a redirect to {0:?}")]
    Redirect(String),
    /// A status that does not carry an image.
    #[error("source answered with status {status}: {excerpt}")]
    Status {
        /// The source's status.
        status: u16,
        /// Start of a textual body, for the log.
        excerpt: String,
    },
    /// A partial response that is not the whole file.
    #[error("source answered with a part of the file")]
    Partial,
    /// `DOWNLOAD_TIMEOUT` passed.
    #[error("download timed out")]
    DownloadTimeout {
        /// Whether the format was known by then.
        detected: bool,
    },
    /// The request's own deadline passed.
    #[error("request timed out during download")]
    RequestTimeout {
        /// Whether the source had sent its response head by then.
        head: bool,
    },
    /// The source declares more bytes than allowed.
    #[error("source declares {declared} bytes, more than {limit}")]
    DeclaredTooLarge {
        /// Declared length in bytes.
        declared: u64,
        /// Allowed length in bytes.
        limit: u64,
    },
    /// The source sends more bytes than allowed.
    #[error("source is larger than {limit} bytes")]
    TooLarge {
        /// Allowed length in bytes.
        limit: u64,
    },
    /// The source ended early or broke off, after its format was known.
    #[error("source ended after {received} bytes")]
    Incomplete {
        /// Decoded bytes that came.
        received: u64,
    },
    /// The bytes that would decide the format could not be read.
    #[error("source format cannot be detected: {0}")]
    Undetectable(&'static str),
    /// The body is not what its `Content-Encoding` promises.
    #[error("source is not in the content coding that it names")]
    NotCoded,
    /// The bytes are no known image format.
    #[error("source format is unknown")]
    FormatUnknown,
    /// The lists of buckets do not permit it.
    #[error("bucket {0:?} is not allowed")]
    Bucket(String),
    /// An encrypted object that cannot be decrypted, or one that should be encrypted and is not.
    #[error("source object cannot be decrypted: {0}")]
    Sealed(String),
    /// No such object, or it cannot be read.
    #[error("source object cannot be read")]
    Object(#[source] io::Error),
}

/// A step on the way to a response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Resolving the name.
    Name,
    /// The TLS handshake.
    Tls,
    /// Connecting, or talking HTTP.
    Connection,
}

/// A name that the system could not resolve.
#[derive(Debug, thiserror::Error)]
#[error("the name does not resolve")]
pub(super) struct Unresolved(#[source] pub(super) io::Error);

impl FetchError {
    /// Whether a source was asked at all; only such attempts count as fetches.
    pub fn started(&self) -> bool {
        !matches!(
            self,
            Self::InvalidUrl(_)
                | Self::Scheme { .. }
                | Self::Bucket(_)
                | Self::Refused(_)
                | Self::Port {
                    redirected: false,
                    ..
                }
        )
    }

    /// Which step failed where the source is unreachable.
    pub fn step(&self) -> Option<Step> {
        let Self::Unreachable(error) = self else {
            return None;
        };
        chain(&**error)
            .find_map(|cause| {
                // An I/O error leaves out what it wraps when it is asked for its source.
                let wrapped = cause
                    .downcast_ref::<io::Error>()
                    .and_then(io::Error::get_ref);
                if cause.is::<Unresolved>() {
                    Some(Step::Name)
                } else if cause.is::<rustls::Error>()
                    || wrapped.is_some_and(|inner| inner.is::<rustls::Error>())
                {
                    Some(Step::Tls)
                } else {
                    None
                }
            })
            .or(Some(Step::Connection))
    }

    /// Whether the failure was known before decoding would have begun, so that the fallback image may replace the
    /// source. Rule: `spec/http.md` section 5.
    pub fn allows_fallback(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::Incomplete { .. } | Self::RequestTimeout { .. } => false,
            Self::DownloadTimeout { detected } => !detected,
            _ => true,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::InvalidUrl(_)
            | Self::Scheme { .. }
            | Self::Bucket(_)
            | Self::Unreachable(_)
            | Self::TooManyRedirects(_)
            | Self::Redirect(_)
            | Self::Partial
            | Self::Sealed(_) => Kind::SourceUnreachable,
            Self::Blocked(_)
            | Self::Refused(_)
            | Self::Port { .. }
            | Self::RedirectNotAllowed(_) => Kind::SourceBlocked,
            Self::Status { status, .. } => match status {
                400..=499 => Kind::SourceClientError(*status),
                500.. => Kind::SourceServerError,
                _ => Kind::SourceUnreachable,
            },
            Self::DownloadTimeout { .. } | Self::RequestTimeout { head: true } => {
                Kind::SourceTimeout
            }
            Self::RequestTimeout { head: false } => Kind::Timeout,
            Self::DeclaredTooLarge { .. } | Self::TooLarge { .. } => Kind::SourceTooLarge,
            Self::Incomplete { .. } => Kind::SourceIncomplete,
            Self::Undetectable(_) => Kind::SourceFormatUndetectable,
            Self::NotCoded | Self::FormatUnknown => Kind::SourceFormatUnknown,
            Self::Object(_) => Kind::SourceClientError(404),
        }
    }
}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        Self::new(error.kind(), error.to_string()).with_source(error)
    }
}

fn hint(variable: Option<&'static str>) -> String {
    variable.map_or_else(String::new, |name| format!(", set IMGPROXY_{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let status = |status| FetchError::Status {
            status,
            excerpt: String::new(),
        };
        let cases = [
            (status(404), 404, "Source is unreachable"),
            (status(429), 429, "Source is unreachable"),
            (status(500), 502, "Source is unreachable"),
            (status(999), 502, "Source is unreachable"),
            (status(204), 404, "Source is unreachable"),
            (status(302), 404, "Source is unreachable"),
            (FetchError::Partial, 404, "Source is unreachable"),
            (
                FetchError::DownloadTimeout { detected: true },
                504,
                "Source is unreachable",
            ),
            (FetchError::RequestTimeout { head: false }, 503, "Timeout"),
            (
                FetchError::RequestTimeout { head: true },
                504,
                "Source is unreachable",
            ),
            (
                FetchError::Incomplete { received: 5000 },
                422,
                "Source response is incomplete",
            ),
            (FetchError::NotCoded, 422, "Invalid source image"),
            (
                FetchError::Undetectable("x"),
                422,
                "Failed to detect source image type",
            ),
        ];
        for (error, status, message) in cases {
            let outcome = Error::from(error).outcome();
            assert_eq!((outcome.status, outcome.message), (status, message));
        }
    }

    #[test]
    fn a_disabled_scheme_names_its_variable() {
        let error = FetchError::Scheme {
            scheme: "s3".to_owned(),
            variable: Some("USE_S3"),
        };
        assert!(error.to_string().contains("IMGPROXY_USE_S3"));
        assert!(!error.started());
    }
}
