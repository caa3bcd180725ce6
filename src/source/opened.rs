//! What every scheme answers with, before anybody has looked at the body.
//!
//! Owns the neutral form of a response and the rules that need no more than its head. How the body is read is `body`'s.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::seal::Seal;

/// The body of a source as it arrives; an error means that it is not whole.
pub type BodyStream = BoxStream<'static, Result<Bytes, io::Error>>;

/// Bytes of a body that have come so far, as the source has sent them. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Received(Arc<AtomicU64>);

impl Received {
    /// The number of bytes.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// A body that is counted as it is read.
    pub(super) fn counting(&self, body: BodyStream) -> BodyStream {
        let counter = self.clone();
        body.inspect_ok(move |chunk| {
            counter.0.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        })
        .boxed()
    }
}

/// A source's answer as it is.
pub struct Opened {
    /// The source's own status, whatever it is. Storages answer with the status that HTTP has for their case.
    pub status: StatusCode,
    /// The source's headers.
    pub headers: HeaderMap,
    /// Bytes of the body as the source declares them, content coding included; `None` where it does not.
    pub length: Option<u64>,
    /// The body.
    pub body: BodyStream,
    /// What follows the last dot of the object's name, without the dot; it tells formats apart that begin alike.
    pub extension: Option<String>,
    /// What the body is encrypted with; `length` counts it as it is sent.
    pub(super) seal: Option<Seal>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("length", &self.length)
            .field("extension", &self.extension)
            .finish_non_exhaustive()
    }
}

impl Opened {
    /// Whether a partial response covers the whole file: `bytes 0-<end>/<total>`, where an unknown total is the length.
    pub(super) fn is_whole(&self) -> bool {
        let covered = || {
            let range = self.headers.get(CONTENT_RANGE)?.to_str().ok()?;
            let (end, total) = range.strip_prefix("bytes 0-")?.split_once('/')?;
            let total = match total {
                "*" => self.length?,
                total => total.parse().ok()?,
            };
            Some(end.parse::<u64>().ok()?.checked_add(1)? == total)
        };
        covered().unwrap_or(false)
    }

    /// The start of a textual error body, for the log.
    pub(super) async fn excerpt(mut self) -> String {
        let textual = self
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/"));
        let mut text = Vec::new();
        if textual {
            while text.len() < EXCERPT
                && let Some(Ok(chunk)) = self.body.next().await
            {
                text.extend_from_slice(&chunk);
            }
        }
        text.truncate(EXCERPT);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Ends a body with an error where its next part has not come by `at`, which is asked for each.
pub(super) fn until(body: BodyStream, at: impl Fn() -> Instant + Send + 'static) -> BodyStream {
    stream::unfold(Some(body), move |body| {
        let at = at();
        async move {
            let mut body = body?;
            match timeout_at(at, body.next()).await {
                Ok(chunk) => {
                    let chunk = chunk?;
                    let rest = chunk.is_ok().then_some(body);
                    Some((chunk, rest))
                }
                Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
            }
        }
    })
    .boxed()
}

/// What follows the last dot of the last path segment.
pub(super) fn extension_of(path: &str) -> Option<&str> {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.rsplit_once('.').map(|(_, extension)| extension)
}

const EXCERPT: usize = 1024;
