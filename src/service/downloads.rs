//! Sources as requests need them: from the source cache, from one download for all that want the same at the same time,
//! and with short memories of failures. Rule: `spec/imgforge-original.md` section 5.
//!
//! Owns who downloads and who waits. Every request is judged by its own size limit and keeps its own deadlines; what a
//! request may fetch at all has been decided before it comes here.

mod failure;
mod kept;
mod progress;

use std::sync::Arc;
use std::time::Duration;

use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName};
use tokio::time::{Instant, timeout_at};

pub(super) use self::failure::Failure;

use self::failure::Negative;
use self::kept::SourceCache;
use self::progress::Progress;
use super::fetch_count::FetchCount;
use super::hosts::Hosts;
use crate::cache::{CacheKey, Freshness, Purge, Seat, SingleFlight, Turn};
use crate::config::Config;
use crate::error::{Error, Kind};
use crate::monitoring::{self, CacheKind, trace};
use crate::source::{Claim, FetchError, FetchRequest, Fetched, SourceImage, Sources};

/// Downloads of all requests. Clones share them.
#[derive(Clone, Debug)]
pub struct Downloads {
    sources: Sources,
    hosts: Hosts,
    flights: SingleFlight<Outcome, Progress>,
    negative: Arc<Negative>,
    cache: SourceCache,
    timeout: Duration,
    /// Whether the server's own pictures may come from where requests may not.
    own_are_apart: bool,
}

/// A source as it was had.
#[derive(Clone, Debug)]
pub(super) struct Obtained {
    /// The picture, or that the client's copy is still good.
    pub(super) fetched: Fetched,
    /// How long the source allows to use it from now on; `None` forbids to keep what is made of it.
    pub(super) freshness: Option<Freshness>,
    /// The claim of the request that downloaded it for this one: as long as it lives, the bytes are counted.
    pub(super) claim: Option<Arc<Claim>>,
}

impl Downloads {
    /// Downloads from `sources`, so many at a time from a host as the configuration allows. To be called inside the
    /// runtime.
    pub fn new(sources: Sources, config: &Config) -> Self {
        Self {
            sources,
            hosts: Hosts::new(config.workers.max_downloads_per_host),
            flights: SingleFlight::default(),
            negative: Arc::new(Negative::new(config.cache.negative)),
            cache: SourceCache::open(&config.cache),
            timeout: config.source.download_timeout,
            own_are_apart: config.source.check_redirects && !config.url.allowed_sources.is_empty(),
        }
    }

    /// The same, with redirects held against `is_allowed`.
    pub fn checking_redirects(
        mut self,
        is_allowed: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.sources = self.sources.checking_redirects(is_allowed);
        self
    }

    /// The labels of the source cache in the metrics: of its look-ups, and of its tiers.
    pub fn cache_kinds(&self) -> (Option<CacheKind>, Vec<CacheKind>) {
        self.cache.kinds()
    }

    /// The server's own picture at `url`, from the source cache where it is there.
    ///
    /// # Errors
    /// The error of a request for such a source.
    pub async fn own_picture(&self, url: &str) -> Result<SourceImage, Error> {
        let headers = HeaderMap::new();
        let request = FetchRequest {
            url: url.to_owned(),
            headers: headers.clone(),
            max_bytes: 0,
            deadline: None,
            claim: None,
        };
        let download = self.expect(url, &headers, Use::Own);
        match download.fetch(request).await {
            Ok(Obtained {
                fetched: Fetched::Image(image),
                ..
            }) => Ok(image),
            // Nothing conditional was asked for.
            Ok(_) => Err(FetchError::FormatUnknown.into()),
            Err(failure) => Err(failure.error),
        }
    }

    /// Removes sources before their time, and forgets failures; how many sources that were.
    pub(super) async fn purge(&self, purge: Purge) -> usize {
        self.flights.close_all();
        self.negative.clear();
        self.cache.purge(purge).await
    }

    /// The turns of hosts.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// The sources themselves, for replies that are streamed.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Says that the source `url` will be wanted with these headers. Downloads that end while the returned value lives
    /// are shared with it, so it is taken before waiting for a worker.
    pub(super) fn expect(&self, url: &str, headers: &HeaderMap, purpose: Use) -> Download {
        let is_condition = |name: &HeaderName| [IF_NONE_MATCH, IF_MODIFIED_SINCE].contains(name);
        let is_apart = self.own_are_apart && purpose == Use::Own;
        let url = if is_apart { &format!("own {url}") } else { url };
        let identity = key(url, headers, |name| !is_condition(name));
        let whole = key(url, headers, |_| true);
        Download {
            owner: self.clone(),
            identity,
            purpose,
            seat: self.flights.join(whole),
        }
    }
}

/// What a source is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A request.
    Request,
    /// A request that must not use the cache.
    Bypass,
    /// The server itself: counted elsewhere.
    Own,
}

/// A source that a request wants.
#[derive(Debug)]
pub(super) struct Download {
    owner: Downloads,
    /// The source, whatever the conditions.
    identity: CacheKey,
    purpose: Use,
    seat: Seat<Outcome, Progress>,
}

impl Download {
    /// The source: kept, somebody else's download, or one of this request's own. `request` has the URL and the headers
    /// that were announced.
    pub(super) async fn fetch(&self, request: FetchRequest) -> Result<Obtained, Failure> {
        let uses_cache = self.purpose != Use::Bypass;
        if uses_cache && let Some(failure) = self.owner.negative.recall(&self.identity) {
            return Err(failure);
        }
        let asked_at = Instant::now();
        let cache = &self.owner.cache;
        let previous = if uses_cache {
            cache.get(&self.identity).await
        } else {
            None
        };
        if let Some(obtained) = previous.as_ref().and_then(|kept| kept.fresh(&request)) {
            return self.kept(obtained);
        }
        let (progress, timeout) = (self.seat.state(), self.owner.timeout);
        let turn = tokio::select! {
            biased;
            turn = self.seat.turn() => turn,
            () = progress.used_up(asked_at, timeout) => return Err(TIMED_OUT.into()),
        };
        match turn {
            Turn::Follow(outcome) => match outcome.judged(request.max_bytes) {
                Some(result) => {
                    monitoring::download_shared();
                    result
                }
                None => {
                    let rest = progress.end(asked_at, timeout);
                    self.renew(request, previous, rest).await
                }
            },
            Turn::Lead(lead) => {
                // Whoever led before may have kept it since the look-up.
                let kept = cache.peek(&self.identity).filter(|_| uses_cache);
                if let Some(obtained) = kept.and_then(|kept| kept.fresh(&request)) {
                    return self.kept(obtained);
                }
                // A download that this request has waited for has used up a part of its time.
                let rest = progress
                    .end(asked_at, timeout)
                    .filter(|_| lead.was_handed_over());
                let (limit, claim) = (request.max_bytes, request.claim.clone());
                let result = self.renew(request, previous, rest).await;
                // What is about this request alone leaves the work to the next.
                if !matches!(&result, Err(failure) if failure.is_own) {
                    lead.land(Outcome {
                        limit,
                        result: result.clone(),
                        claim,
                    });
                }
                result
            }
        }
    }

    fn kept(&self, obtained: Result<Obtained, Failure>) -> Result<Obtained, Failure> {
        if self.purpose == Use::Request {
            self.owner.cache.count(true);
        }
        obtained
    }

    /// A download, conditional where something is kept; what comes of it for the cache and for this request.
    async fn renew(
        &self,
        mut request: FetchRequest,
        previous: Option<kept::KeptSource>,
        deadline: Option<Instant>,
    ) -> Result<Obtained, Failure> {
        let cache = &self.owner.cache;
        if self.purpose == Use::Request {
            cache.count(false);
        }
        let asked = request.clone();
        if let Some(kept) = &previous {
            kept.make_conditional(&mut request.headers);
        }
        let epoch = cache.epoch();
        let result = match deadline {
            None => self.download(request).await,
            Some(deadline) => {
                let result = timeout_at(deadline, self.download(request)).await;
                result.unwrap_or_else(|_| Err(TIMED_OUT.into()))
            }
        };
        if self.purpose == Use::Bypass {
            return result.map(|fetched| Obtained {
                fetched,
                freshness: None,
                claim: None,
            });
        }
        match result {
            Ok(fetched) => cache.keep(self.identity, &asked, fetched, previous, epoch),
            Err(failure) => match previous.and_then(|kept| kept.instead_of(&failure, &asked)) {
                Some(stale) => {
                    tracing::warn!(
                        error = failure.error.detail(),
                        image_url = asked.url,
                        "could not revalidate the source, using the stale one"
                    );
                    stale
                }
                None => {
                    self.owner.negative.remember(self.identity, &failure);
                    Err(failure)
                }
            },
        }
    }

    /// One download of this request's own.
    async fn download(&self, mut request: FetchRequest) -> Result<Fetched, Failure> {
        // Here and not before: what follows the request on its way says nothing about the source.
        trace::inject(&mut request.headers);
        let progress = self.seat.state();
        if self.purpose == Use::Own {
            progress.begin(None);
            return Ok(self.owner.sources.fetch(request).await?);
        }
        let _turn = self.owner.hosts.begin(&request.url).await;
        progress.begin(request.claim.as_ref());
        let fetch = FetchCount::begin(&request.url);
        let received = fetch.received();
        let result = self.owner.sources.fetch_counted(request, &received).await;
        fetch.ended(&result);
        Ok(result?)
    }
}

/// A download's outcome for those that waited for it.
#[derive(Clone, Debug)]
struct Outcome {
    /// Size limit of the request that downloaded.
    limit: u64,
    result: Result<Obtained, Failure>,
    /// Counts the bytes until the last request is done with them.
    claim: Option<Arc<Claim>>,
}

impl Outcome {
    /// What the outcome is to a request with the size limit `limit`; `None` where that request has to try for itself.
    fn judged(self, limit: u64) -> Option<Result<Obtained, Failure>> {
        let claim = self.claim;
        let result = self.result.map(|obtained| Obtained { claim, ..obtained });
        if limit == self.limit {
            return Some(result);
        }
        match result {
            Ok(obtained) => Some(within(limit, obtained)),
            Err(failure)
                if matches!(
                    failure.error.kind(),
                    Kind::SourceTooLarge | Kind::SourceFormatUndetectable
                ) =>
            {
                None
            }
            Err(failure) => Some(Err(failure)),
        }
    }
}

/// A source, unless it has more bytes than a request may use; 0 is no limit.
fn within(limit: u64, obtained: Obtained) -> Result<Obtained, Failure> {
    match &obtained.fetched {
        Fetched::Image(image) if limit > 0 && image.bytes.len() as u64 > limit => {
            let declared = image.bytes.len() as u64;
            Err(FetchError::DeclaredTooLarge { declared, limit }.into())
        }
        _ => Ok(obtained),
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
}
