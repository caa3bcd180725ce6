//! The one error that reaches the HTTP layer, and the table that gives each kind its status, text and metric label.
//!
//! Lower modules have small enums of their own and implement `From<TheirError> for Error` beside them; that conversion
//! picks the [`Kind`]. Rule: `spec/http.md` section 11. Public text is static or built from the caller's own input.

use std::fmt;
use std::sync::Arc;

use crate::vips;

/// What went wrong, as the client and the operator see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No route matches: 404 with a one-space body.
    RouteNotFound,
    /// The path, an option, a preset or the source text is malformed, or the URL has expired.
    InvalidUrl,
    /// A security option is used although `IMGPROXY_ALLOW_SECURITY_OPTIONS` is off.
    SecurityOptionDenied,
    /// Missing or wrong bearer token.
    InvalidSecret,
    /// Missing, undecodable or wrong signature.
    InvalidSignature,
    /// Signature checking is off and the first segment looks like an option.
    SignatureIsOption,
    /// The source URL is not in `IMGPROXY_ALLOWED_SOURCES`.
    SourceNotAllowed,
    /// The source's address may not be dialled.
    SourceBlocked,
    /// DNS, connection, TLS, scheme or redirect trouble.
    SourceUnreachable,
    /// The source answered with a 4xx status, relayed as it is.
    SourceClientError(u16),
    /// The source answered with a 5xx status.
    SourceServerError,
    /// The download deadline passed.
    SourceTimeout,
    /// The source ended before its declared end.
    SourceIncomplete,
    /// The source has more bytes than allowed.
    SourceTooLarge,
    /// The bytes are no known image format.
    SourceFormatUnknown,
    /// The bytes that decide the format could not be read.
    SourceFormatUndetectable,
    /// The detected format cannot be decoded by this build.
    SourceFormatUnsupported,
    /// The detected format is not in `IMGFORGE_ALLOWED_MIME_TYPES`.
    SourceTypeNotAllowed,
    /// The requested format cannot be encoded by this build, or not from this source.
    ResultFormatUnsupported,
    /// More pixels than allowed.
    ResolutionTooLarge,
    /// The result would be larger than the server is willing to make.
    ResultTooLarge,
    /// The decoder rejects the data.
    BrokenImage,
    /// The SVG text is not well-formed.
    BrokenSvg,
    /// The queue is full.
    QueueFull,
    /// There is no time for the job before its request's deadline, so it was not begun.
    NoTime,
    /// More requests than the server takes from everybody together.
    RateLimitGlobal,
    /// More requests than the server takes from one client.
    RateLimitClient,
    /// The request deadline passed.
    Timeout,
    /// The client went away.
    Cancelled,
    /// Anything unexpected.
    Internal,
}

/// Metric label of `errors_total`; closed list of `spec/monitoring.md` A1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// A deadline or a cancellation.
    Timeout,
    /// The path, an option or the source text.
    PathParsing,
    /// Signature, secret, source policy, rate limit.
    Security,
    /// Queue full.
    Queue,
    /// Fetching the source.
    Download,
    /// Decoding, transforming, encoding.
    Processing,
    /// Raw streaming.
    Streaming,
    /// A panic or an untyped error.
    Unexpected,
}

impl Category {
    /// Every category, for the initial metric series.
    pub const ALL: [Self; 8] = [
        Self::Timeout,
        Self::PathParsing,
        Self::Security,
        Self::Queue,
        Self::Download,
        Self::Processing,
        Self::Streaming,
        Self::Unexpected,
    ];

    /// The label text.
    pub fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::PathParsing => "path_parsing",
            Self::Security => "security",
            Self::Queue => "queue",
            Self::Download => "download",
            Self::Processing => "processing",
            Self::Streaming => "streaming",
            Self::Unexpected => "unexpected",
        }
    }
}

/// When error reporting hears of a kind. Rule: `spec/http.md` section 11.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The server or the picture is at fault.
    Always,
    /// The source could not be had: as `IMGPROXY_REPORT_DOWNLOADING_ERRORS` says.
    Download,
    /// The client is at fault, or the load.
    Never,
}

/// One row of the error table: what a [`Kind`] means outside the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// HTTP status code.
    pub status: u16,
    /// Body of the response in production mode.
    pub message: &'static str,
    /// Label of `errors_total`.
    pub category: Category,
}

impl Kind {
    /// Status, public text and metric label.
    pub fn outcome(self) -> Outcome {
        use Category::{Download, PathParsing, Processing, Queue, Security, Unexpected};
        let (status, message, category) = match self {
            Self::RouteNotFound => (404, " ", PathParsing),
            Self::InvalidUrl => (404, "Invalid URL", PathParsing),
            Self::SecurityOptionDenied => (403, "Invalid URL", PathParsing),
            Self::InvalidSecret | Self::InvalidSignature => (403, "Forbidden", Security),
            Self::SignatureIsOption => (
                403,
                "The signature appears to be a processing option. \
                 The signature section should always be present in the URL.",
                Security,
            ),
            Self::SourceNotAllowed => (404, "Invalid source URL", Security),
            Self::SourceBlocked => (404, "Invalid source URL", Download),
            Self::SourceUnreachable => (404, "Source is unreachable", Download),
            Self::SourceClientError(status) => (status, "Source is unreachable", Download),
            Self::SourceServerError => (502, "Source is unreachable", Download),
            Self::SourceTimeout => (504, "Source is unreachable", Category::Timeout),
            Self::SourceIncomplete => (422, "Source response is incomplete", Download),
            Self::SourceTooLarge | Self::SourceFormatUnknown | Self::SourceTypeNotAllowed => {
                (422, "Invalid source image", Download)
            }
            Self::SourceFormatUndetectable => (422, "Failed to detect source image type", Download),
            Self::SourceFormatUnsupported => (422, "Invalid URL", PathParsing),
            Self::ResultFormatUnsupported => (422, "Invalid URL", PathParsing),
            Self::ResolutionTooLarge => (422, "Invalid source image", Processing),
            Self::ResultTooLarge => (422, "Result image is too large", Processing),
            Self::BrokenImage => (422, "Broken or unsupported image", Processing),
            Self::BrokenSvg => (422, "Broken or unsupported SVG image", Processing),
            Self::QueueFull => (429, "Too many requests", Queue),
            Self::RateLimitGlobal | Self::RateLimitClient => (429, "Rate limit exceeded", Security),
            Self::Timeout | Self::NoTime => (503, "Timeout", Category::Timeout),
            Self::Cancelled => (499, "Cancelled", Category::Timeout),
            Self::Internal => (500, "Internal error", Unexpected),
        };
        Outcome {
            status,
            message,
            category,
        }
    }

    /// The name of the kind, by which error reports are grouped.
    pub fn name(self) -> String {
        let debug = format!("{self:?}");
        debug.split('(').next().unwrap_or_default().to_owned()
    }

    /// Whether error reporting hears of it.
    pub fn reported(self) -> Reported {
        match self {
            Self::BrokenImage | Self::BrokenSvg | Self::Internal => Reported::Always,
            Self::SourceBlocked
            | Self::SourceUnreachable
            | Self::SourceClientError(_)
            | Self::SourceServerError
            | Self::SourceTimeout
            | Self::SourceIncomplete
            | Self::SourceTooLarge
            | Self::SourceFormatUnknown
            | Self::SourceFormatUndetectable => Reported::Download,
            _ => Reported::Never,
        }
    }

    /// Where imgproxy's documentation explains what was asked wrongly.
    pub fn docs_url(self) -> Option<&'static str> {
        match self {
            Self::InvalidUrl | Self::SecurityOptionDenied | Self::ResultFormatUnsupported => {
                Some("https://docs.imgproxy.net/usage/processing")
            }
            Self::InvalidSignature | Self::SignatureIsOption => {
                Some("https://docs.imgproxy.net/usage/signing_url")
            }
            _ => None,
        }
    }

    /// One kind of every row, for the generated documentation.
    pub const ALL: [Self; 30] = [
        Self::RouteNotFound,
        Self::InvalidUrl,
        Self::SecurityOptionDenied,
        Self::InvalidSecret,
        Self::InvalidSignature,
        Self::SignatureIsOption,
        Self::SourceNotAllowed,
        Self::SourceBlocked,
        Self::SourceUnreachable,
        Self::SourceClientError(404),
        Self::SourceServerError,
        Self::SourceTimeout,
        Self::SourceIncomplete,
        Self::SourceTooLarge,
        Self::SourceFormatUnknown,
        Self::SourceFormatUndetectable,
        Self::SourceFormatUnsupported,
        Self::SourceTypeNotAllowed,
        Self::ResultFormatUnsupported,
        Self::ResolutionTooLarge,
        Self::ResultTooLarge,
        Self::BrokenImage,
        Self::BrokenSvg,
        Self::QueueFull,
        Self::NoTime,
        Self::RateLimitGlobal,
        Self::RateLimitClient,
        Self::Timeout,
        Self::Cancelled,
        Self::Internal,
    ];
}

/// An error of one request.
///
/// `detail` and `source` are for the log and for the development error page; the client sees only [`Outcome::message`].
/// Cloning is cheap: followers of a coalesced job share the leader's error.
#[derive(Clone, Debug)]
pub struct Error {
    kind: Kind,
    detail: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    retry_after: Option<u32>,
    quota: Option<Quota>,
}

/// What a rate limit leaves of itself after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The most requests at once.
    pub limit: u32,
    /// Requests that may follow at once.
    pub remaining: u32,
    /// Seconds, rounded up, after which `limit` requests may be sent at once again.
    pub reset: u32,
}

impl Error {
    /// An error with a message for the log.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            source: None,
            retry_after: None,
            quota: None,
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The same error with whole seconds after which the request may be sent again.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// `Retry-After` in seconds; `None` where waiting does not help.
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }

    /// The same error with what a rate limit leaves, unless it says that itself.
    #[must_use]
    pub fn with_quota(mut self, quota: Option<Quota>) -> Self {
        self.quota = self.quota.or(quota);
        self
    }

    /// What the rate limit leaves; `None` where none is on.
    pub fn quota(&self) -> Option<Quota> {
        self.quota
    }

    /// The row of the error table.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message for the log; never sent to a client in production mode.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Status, public text and metric label.
    pub fn outcome(&self) -> Outcome {
        self.kind.outcome()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|e| e as &(dyn std::error::Error + 'static))
    }
}

/// The operation that failed decides, never the message: libvips has one error buffer for all threads, so the words may be
/// another job's. Where a lazy decoder fails while another operation evaluates, `processing` asks the source.
impl From<vips::Error> for Error {
    fn from(error: vips::Error) -> Self {
        let kind = if error.operation.contains("load") {
            Kind::BrokenImage
        } else {
            Kind::Internal
        };
        Self::new(kind, error.to_string())
    }
}

/// An error and its causes, the outermost first.
pub fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

/// The same on one line. Some errors repeat their cause in their own text; it is told once.
pub fn on_one_line(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error).fold(String::new(), |mut text, cause| {
        let cause = cause.to_string();
        if text.is_empty() {
            return cause;
        }
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let kind = |operation: &str, detail: &str| {
            Error::from(vips::Error {
                operation: operation.into(),
                detail: detail.into(),
            })
            .kind()
        };
        for (operation, detail, expected) in [
            ("jpegload_source", "anything", Kind::BrokenImage),
            (
                "jpegsave_target",
                "VipsJpeg: premature end of JPEG image",
                Kind::Internal,
            ),
            ("resize", "resize: parameter scale not set", Kind::Internal),
            (
                "heifsave_target",
                "heifsave: Unsupported compression",
                Kind::Internal,
            ),
        ] {
            assert_eq!(kind(operation, detail), expected, "{operation} {detail}");
        }
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("can't listen")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("no such address"));
        assert_eq!(on_one_line(&error), "can't listen: no such address");
        #[derive(Debug, thiserror::Error)]
        #[error("at the end: {0}")]
        struct Repeating(#[source] Outer);
        let line = on_one_line(&Repeating(error));
        assert_eq!(line, "at the end: can't listen: no such address");
    }
}
