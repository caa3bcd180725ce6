//! What a download leaves in the metrics, however it ends. Rule: `spec/monitoring.md` B2, B3 and B6.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};

use crate::monitoring::{self, FetchOutcome, Scheme, Span};
use crate::source::{FetchError, Fetched, Opened, Received, Step};

/// Counts one download, also where the client leaves in the middle of it.
pub(super) struct FetchCount {
    scheme: Scheme,
    started: Instant,
    counted: bool,
    received: Received,
}

impl FetchCount {
    /// A download begins.
    pub(super) fn begin(url: &str) -> Self {
        Self {
            scheme: scheme(url),
            started: Instant::now(),
            counted: false,
            received: Received::default(),
        }
    }

    /// Where the bytes of the body are to be counted; they are recorded however the download ends.
    pub(super) fn received(&self) -> Received {
        self.received.clone()
    }

    /// A download for processing has ended; one that was refused before it began is not counted.
    pub(super) fn ended(mut self, result: &Result<Fetched, FetchError>) {
        let elapsed = self.started.elapsed().as_secs_f64();
        match result {
            Ok(Fetched::Image(_)) => self.record(FetchOutcome::Ok),
            Ok(Fetched::NotModified(_)) => self.record(FetchOutcome::NotModified),
            Err(error) => return self.failed(error),
        }
        monitoring::span(Span::DownloadingSourceImage, elapsed);
    }

    /// A download has failed.
    pub(super) fn failed(mut self, error: &FetchError) {
        if outcome(error) == FetchOutcome::Blocked {
            monitoring::ssrf_blocked();
        }
        if error.started() {
            let elapsed = self.started.elapsed().as_secs_f64();
            monitoring::span(Span::DownloadingSourceImage, elapsed);
            self.record(outcome(error));
        } else {
            self.counted = true;
        }
    }

    /// Counts a raw reply when its body has ended.
    pub(super) fn follow(mut self, mut raw: Opened) -> Opened {
        let outcome = status_outcome(raw.status.as_u16());
        let left = length(raw.status, &raw.headers);
        if left == Some(0) {
            self.record(outcome);
        }
        let body = Followed {
            body: raw.body,
            left,
            outcome,
            count: self,
        };
        raw.body = body.boxed();
        raw
    }

    fn record(&mut self, outcome: FetchOutcome) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        let success = matches!(outcome, FetchOutcome::Ok | FetchOutcome::NotModified);
        monitoring::source_fetched(success, self.started.elapsed().as_secs_f64());
        monitoring::source_outcome(self.scheme, outcome);
    }
}

impl Drop for FetchCount {
    fn drop(&mut self) {
        self.record(FetchOutcome::Cancelled);
        let bytes = self.received.bytes();
        if bytes > 0 {
            monitoring::source_bytes(self.scheme, bytes);
        }
    }
}

/// A raw body that counts its bytes and its end.
struct Followed {
    body: BoxStream<'static, io::Result<Bytes>>,
    /// Bytes to come, where the source has said; whoever sends them on need not ask for the end after them.
    left: Option<u64>,
    outcome: FetchOutcome,
    count: FetchCount,
}

impl Stream for Followed {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.body.poll_next_unpin(cx));
        let outcome = self.outcome;
        match &item {
            Some(Ok(bytes)) => {
                let bytes = bytes.len() as u64;
                monitoring::source_bytes(self.count.scheme, bytes);
                self.left = self.left.map(|left| left.saturating_sub(bytes));
                if self.left == Some(0) {
                    self.count.record(outcome);
                }
            }
            Some(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                self.count.record(FetchOutcome::Timeout);
            }
            Some(Err(_)) => self.count.record(FetchOutcome::Connect),
            None => self.count.record(outcome),
        }
        Poll::Ready(item)
    }
}

/// How long the body is, where that is known; a response without a body may have a length for another one.
fn length(status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    if matches!(status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT) {
        return Some(0);
    }
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Only these are ever fetched; others are refused before anything is counted.
fn scheme(url: &str) -> Scheme {
    let name = url.split(':').next().unwrap_or_default();
    Scheme::ALL
        .iter()
        .find(|scheme| scheme.label().eq_ignore_ascii_case(name))
        .copied()
        .unwrap_or(Scheme::Http)
}

fn outcome(error: &FetchError) -> FetchOutcome {
    match error {
        FetchError::Blocked(_)
        | FetchError::Refused(_)
        | FetchError::Port { .. }
        | FetchError::RedirectNotAllowed(_) => FetchOutcome::Blocked,
        FetchError::Unreachable(_) => match error.step() {
            Some(Step::Name) => FetchOutcome::Dns,
            Some(Step::Tls) => FetchOutcome::Tls,
            Some(Step::Connection) | None => FetchOutcome::Connect,
        },
        FetchError::Status { status, .. } if *status >= 400 => status_outcome(*status),
        FetchError::DownloadTimeout { .. } | FetchError::RequestTimeout { .. } => {
            FetchOutcome::Timeout
        }
        FetchError::DeclaredTooLarge { .. } | FetchError::TooLarge { .. } => FetchOutcome::TooLarge,
        FetchError::Incomplete { .. } => FetchOutcome::Connect,
        FetchError::Object(error) => match error.kind() {
            io::ErrorKind::PermissionDenied => FetchOutcome::Forbidden,
            _ => FetchOutcome::NotFound,
        },
        FetchError::InvalidUrl(_)
        | FetchError::Bucket(_)
        | FetchError::Scheme { .. }
        | FetchError::TooManyRedirects(_)
        | FetchError::Redirect(_)
        | FetchError::Status { .. }
        | FetchError::Partial
        | FetchError::Undetectable(_)
        | FetchError::NotCoded
        | FetchError::Sealed(_)
        | FetchError::FormatUnknown => FetchOutcome::Invalid,
    }
}

fn status_outcome(status: u16) -> FetchOutcome {
    match status {
        304 => FetchOutcome::NotModified,
        401 | 403 => FetchOutcome::Forbidden,
        404 | 410 => FetchOutcome::NotFound,
        400..=499 => FetchOutcome::Upstream4xx,
        500.. => FetchOutcome::Upstream5xx,
        200..=299 => FetchOutcome::Ok,
        _ => FetchOutcome::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes() {
        for (url, label) in [
            ("http://a/b", "http"),
            ("HTTPS://a", "https"),
            ("local:///a.png", "local"),
        ] {
            assert_eq!(scheme(url).label(), label, "{url}");
        }
    }

    #[test]
    fn outcomes() {
        let status = |status| FetchError::Status {
            status,
            excerpt: String::new(),
        };
        let object = |kind: io::ErrorKind| FetchError::Object(kind.into());
        let unreachable = |error: io::Error| FetchError::Unreachable(Box::new(error));
        let handshake = rustls::Error::HandshakeNotComplete;
        for (error, expected) in [
            (status(404), FetchOutcome::NotFound),
            (status(410), FetchOutcome::NotFound),
            (status(403), FetchOutcome::Forbidden),
            (status(429), FetchOutcome::Upstream4xx),
            (status(503), FetchOutcome::Upstream5xx),
            (status(204), FetchOutcome::Invalid),
            (FetchError::Partial, FetchOutcome::Invalid),
            (
                FetchError::DownloadTimeout { detected: true },
                FetchOutcome::Timeout,
            ),
            (FetchError::TooLarge { limit: 1 }, FetchOutcome::TooLarge),
            (
                FetchError::Incomplete { received: 1 },
                FetchOutcome::Connect,
            ),
            (object(io::ErrorKind::NotFound), FetchOutcome::NotFound),
            (
                object(io::ErrorKind::PermissionDenied),
                FetchOutcome::Forbidden,
            ),
            (
                unreachable(io::ErrorKind::ConnectionRefused.into()),
                FetchOutcome::Connect,
            ),
            (unreachable(io::Error::other(handshake)), FetchOutcome::Tls),
        ] {
            assert_eq!(outcome(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn lengths() {
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, http::HeaderValue::from(7))]);
        assert_eq!(length(StatusCode::OK, &headers), Some(7));
        assert_eq!(length(StatusCode::OK, &HeaderMap::new()), None);
        assert_eq!(length(StatusCode::NOT_MODIFIED, &headers), Some(0));
    }
}
