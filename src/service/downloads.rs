//! Sources as requests need them: one download for all that want the same source at the same time, and short memories of
//! failures. Rule: `spec/imgforge-original.md` section 5.
//!
//! Owns who downloads and who waits. Every request is judged by its own size limit and keeps its own deadlines; what a
//! request may fetch at all has been decided before it comes here.

mod failure;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName};
use tokio::time::{Instant, timeout_at};

pub(super) use self::failure::Failure;

use self::failure::Negative;
use super::fetch_count::FetchCount;
use crate::cache::{CacheKey, Seat, SingleFlight, Turn};
use crate::config::cache::NegativeTtl;
use crate::error::Kind;
use crate::monitoring;
use crate::source::{FetchError, FetchRequest, Fetched, Sources};

/// Downloads of all requests. Clones share them.
#[derive(Clone, Debug)]
pub struct Downloads {
    sources: Sources,
    flights: SingleFlight<Outcome>,
    negative: Arc<Negative>,
    timeout: Duration,
    held: Arc<AtomicU64>,
}

impl Downloads {
    /// Downloads from `sources`, each at most `timeout` long, failures remembered for `negative`.
    pub fn new(sources: Sources, timeout: Duration, negative: NegativeTtl) -> Self {
        Self {
            sources,
            flights: SingleFlight::default(),
            negative: Arc::new(Negative::new(negative)),
            timeout,
            held: Arc::default(),
        }
    }

    /// The sources themselves, for replies that are streamed.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Says that the source `url` will be wanted with these headers. Downloads that end while the returned value lives
    /// are shared with it, so it is taken before waiting for a worker.
    pub(super) fn expect(&self, url: &str, headers: &HeaderMap) -> Download {
        let is_condition = |name: &HeaderName| [IF_NONE_MATCH, IF_MODIFIED_SINCE].contains(name);
        let identity = key(url, headers, |name| !is_condition(name));
        let whole = key(url, headers, |_| true);
        Download {
            owner: self.clone(),
            identity,
            seat: self.flights.join(whole),
        }
    }

    /// One download of this request's own.
    async fn download(
        &self,
        identity: CacheKey,
        request: FetchRequest,
    ) -> Result<Fetched, Failure> {
        let fetch = FetchCount::begin(&request.url);
        let received = fetch.received();
        let result = self.sources.fetch_counted(request, &received).await;
        fetch.ended(&result);
        result.map_err(|error| {
            let failure = Failure::from(error);
            self.negative.remember(identity, &failure);
            failure
        })
    }

    /// The outcome as others will be given it; `None` where so much is held for others already that they had better
    /// download again.
    fn held(&self, limit: u64, result: &Result<Fetched, Failure>) -> Option<Outcome> {
        let bytes = match result {
            Ok(Fetched::Image(image)) => image.bytes.len() as u64,
            _ => 0,
        };
        let hold = Hold::new(&self.held, bytes)?;
        Some(Outcome {
            limit,
            result: result.clone(),
            _hold: Arc::new(hold),
        })
    }
}

/// A source that a request wants.
#[derive(Debug)]
pub(super) struct Download {
    owner: Downloads,
    /// The source, whatever the conditions.
    identity: CacheKey,
    seat: Seat<Outcome>,
}

impl Download {
    /// The source: somebody else's download, or one of this request's own. `request` has the URL and the headers that
    /// were announced.
    pub(super) async fn fetch(&self, request: FetchRequest) -> Result<Fetched, Failure> {
        if let Some(failure) = self.owner.negative.recall(&self.identity) {
            return Err(failure);
        }
        let deadline = Instant::now() + self.owner.timeout;
        let Ok(turn) = timeout_at(deadline, self.seat.turn()).await else {
            return Err(TIMED_OUT.into());
        };
        match turn {
            Turn::Follow(outcome) => match outcome.judged(request.max_bytes) {
                Some(result) => {
                    monitoring::download_shared();
                    result
                }
                None => self.alone(request, deadline, true).await,
            },
            Turn::Lead(lead) => {
                let limit = request.max_bytes;
                let result = self.alone(request, deadline, lead.was_handed_over()).await;
                // What is about this request alone leaves the work to the next.
                let is_own = matches!(&result, Err(failure) if failure.is_own);
                if !is_own && let Some(outcome) = self.owner.held(limit, &result) {
                    lead.land(outcome);
                }
                result
            }
        }
    }

    async fn alone(
        &self,
        request: FetchRequest,
        deadline: Instant,
        late: bool,
    ) -> Result<Fetched, Failure> {
        let download = self.owner.download(self.identity, request);
        if !late {
            return download.await;
        }
        // Waiting for others has used up a part of the time.
        let result = timeout_at(deadline, download).await;
        result.unwrap_or_else(|_| Err(TIMED_OUT.into()))
    }
}

/// A download's outcome for those that waited for it.
#[derive(Clone, Debug)]
struct Outcome {
    /// Size limit of the request that downloaded.
    limit: u64,
    result: Result<Fetched, Failure>,
    _hold: Arc<Hold>,
}

impl Outcome {
    /// What the outcome is to a request with the size limit `limit`; `None` where that request has to try for itself.
    fn judged(self, limit: u64) -> Option<Result<Fetched, Failure>> {
        if limit == self.limit {
            return Some(self.result);
        }
        match self.result {
            Ok(Fetched::Image(image)) if limit > 0 && image.bytes.len() as u64 > limit => {
                let declared = image.bytes.len() as u64;
                Some(Err(FetchError::DeclaredTooLarge { declared, limit }.into()))
            }
            Err(failure)
                if matches!(
                    failure.error.kind(),
                    Kind::SourceTooLarge | Kind::SourceFormatUndetectable
                ) =>
            {
                None
            }
            result => Some(result),
        }
    }
}

/// Bytes that are held for requests that still wait for a worker.
#[derive(Debug)]
struct Hold {
    all: Arc<AtomicU64>,
    bytes: u64,
}

impl Hold {
    /// `None` where `bytes` more would be too much.
    fn new(all: &Arc<AtomicU64>, bytes: u64) -> Option<Self> {
        let room = |held: u64| {
            held.checked_add(bytes)
                .filter(|sum| *sum <= MOST_HELD || held == 0)
        };
        all.fetch_update(Ordering::AcqRel, Ordering::Acquire, room)
            .ok()?;
        Some(Self {
            all: Arc::clone(all),
            bytes,
        })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// A source with those of `headers` that count.
fn key(url: &str, headers: &HeaderMap, counts: impl Fn(&HeaderName) -> bool) -> CacheKey {
    let mut lines: Vec<(&[u8], &[u8])> = headers
        .iter()
        .filter(|(name, _)| counts(name))
        .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
        .collect();
    lines.sort_unstable();
    let lines = lines.into_iter().flat_map(|(name, value)| [name, value]);
    let parts: Vec<&[u8]> = std::iter::once(url.as_bytes()).chain(lines).collect();
    CacheKey::of(&parts)
}

const TIMED_OUT: FetchError = FetchError::DownloadTimeout { detected: false };
/// Sources are held until the last request has had its turn; beyond this, later ones download again.
const MOST_HELD: u64 = 128 << 20;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn sources_and_headers_are_told_apart() {
        let mut conditional = HeaderMap::new();
        conditional.insert(IF_NONE_MATCH, HeaderValue::from_static("\"a\""));
        let mut cookie = HeaderMap::new();
        cookie.insert(http::header::COOKIE, HeaderValue::from_static("a=b"));
        let none = HeaderMap::new();
        let all = |url, headers| key(url, headers, |_| true);
        assert_eq!(all("u", &none), all("u", &none));
        assert_ne!(all("u", &none), all("v", &none));
        assert_ne!(all("u", &none), all("u", &cookie));
        assert_ne!(all("u", &none), all("u", &conditional));
        assert_eq!(
            all("u", &none),
            key("u", &conditional, |name| name != IF_NONE_MATCH)
        );
    }

    #[test]
    fn what_is_held_is_bounded() {
        let all = Arc::new(AtomicU64::new(0));
        let first = Hold::new(&all, 2 * MOST_HELD).expect("one always fits");
        assert!(Hold::new(&all, 1).is_none());
        drop(first);
        let second = Hold::new(&all, MOST_HELD - 1).unwrap();
        assert!(Hold::new(&all, 2).is_none());
        drop((Hold::new(&all, 1).unwrap(), second));
        assert_eq!(all.load(Ordering::Acquire), 0);
    }
}
