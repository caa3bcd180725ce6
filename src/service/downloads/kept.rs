//! Sources that are kept: for how long, and what a kept one is to a request.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{CACHE_CONTROL, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};

use super::{Failure, Obtained, within};
use crate::cache::{
    CacheKey, Epoch, Freshness, Kept, Lifetime, Policy, Purge, SOURCES, State, Store, Tags,
};
use crate::config::CacheConfig;
use crate::error::Kind;
use crate::monitoring::CacheKind;
use crate::service::validators;
use crate::source::{FetchRequest, Fetched, SourceImage};

/// The source cache, and how long anything that comes from a source may be used.
#[derive(Clone, Debug)]
pub(super) struct SourceCache {
    store: Store<SourceImage>,
    policy: Policy,
}

/// A source in the cache, fresh or not.
#[derive(Clone, Debug)]
pub(super) struct KeptSource(Kept<SourceImage>);

impl SourceCache {
    pub(super) fn open(config: &CacheConfig) -> Self {
        Self {
            store: Store::open(&config.sources, SOURCES),
            policy: Policy(config.freshness),
        }
    }

    pub(super) fn kinds(&self) -> (Option<CacheKind>, Vec<CacheKind>) {
        (self.store.kind(), self.store.tiers().collect())
    }

    pub(super) fn count(&self, hit: bool) {
        self.store.count(hit);
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.store.epoch()
    }

    pub(super) async fn get(&self, key: &CacheKey) -> Option<KeptSource> {
        self.store.get(key).await.map(KeptSource)
    }

    /// The source where no disk has to be asked.
    pub(super) fn peek(&self, key: &CacheKey) -> Option<KeptSource> {
        self.store.peek(key).map(KeptSource)
    }

    pub(super) async fn purge(&self, purge: Purge) -> usize {
        self.store.purge(purge).await
    }

    /// Keeps what was downloaded, as far as the source allows; what it is to the request `asked`, whose conditions were
    /// not sent where there was a `previous` one.
    pub(super) fn keep(
        &self,
        key: CacheKey,
        asked: &FetchRequest,
        fetched: Fetched,
        previous: Option<KeptSource>,
        epoch: Epoch,
    ) -> Result<Obtained, Failure> {
        let was_revalidated = previous.is_some();
        let (image, headers) = match (fetched, previous) {
            (Fetched::Image(image), _) => {
                let headers = image.headers.clone();
                (image, headers)
            }
            (Fetched::NotModified(confirmation), Some(KeptSource(kept))) => {
                let headers = validators::confirmed(&kept.value.headers, &confirmation);
                let image = SourceImage {
                    headers: headers.clone(),
                    ..kept.value
                };
                (image, headers)
            }
            (Fetched::NotModified(headers), None) => {
                return Ok(Obtained {
                    freshness: self.freshness(&headers),
                    fetched: Fetched::NotModified(headers),
                    claim: None,
                });
            }
        };
        let freshness = self.freshness(&headers);
        if let Some(freshness) = freshness
            && self.store.is_on()
        {
            let kept = Kept {
                value: SourceImage {
                    headers: validators::picked(&headers, KEPT_HEADERS),
                    ..image.clone()
                },
                lifetime: Lifetime::new(freshness),
                tags: Tags {
                    source: asked.url.as_str().into(),
                    variant_of: key,
                },
            };
            self.store.put(key, kept, epoch);
        }
        let conditions = was_revalidated.then_some(&asked.headers);
        answer(image, freshness, conditions, asked.max_bytes)
    }

    fn freshness(&self, headers: &HeaderMap) -> Option<Freshness> {
        self.policy.freshness(headers, SystemTime::now())
    }
}

impl KeptSource {
    /// What the source is to a request, while it is fresh.
    pub(super) fn fresh(&self, request: &FetchRequest) -> Option<Result<Obtained, Failure>> {
        if self.0.lifetime.state() != State::Fresh {
            return None;
        }
        let left = Some(self.0.lifetime.remaining());
        Some(self.answer(left, request))
    }

    /// What the source is to a request where a newer one cannot be had.
    pub(super) fn instead_of(
        &self,
        failure: &Failure,
        request: &FetchRequest,
    ) -> Option<Result<Obtained, Failure>> {
        let is_out_of_reach = matches!(
            failure.error.kind(),
            Kind::SourceServerError | Kind::SourceUnreachable | Kind::SourceTimeout
        );
        let may = self.0.lifetime.remaining().if_error > Duration::ZERO;
        // What is made of it would look fresh.
        (is_out_of_reach && may).then(|| self.answer(None, request))
    }

    /// Asks whether the source is still this one, instead of what the client wants to know.
    pub(super) fn make_conditional(&self, headers: &mut HeaderMap) {
        headers.remove(IF_NONE_MATCH);
        headers.remove(IF_MODIFIED_SINCE);
        headers.extend(validators::revalidation(&self.0.value.headers));
    }

    fn answer(
        &self,
        freshness: Option<Freshness>,
        request: &FetchRequest,
    ) -> Result<Obtained, Failure> {
        let image = self.0.value.clone();
        answer(image, freshness, Some(&request.headers), request.max_bytes)
    }
}

/// A source as a request with these conditions and this limit gets it.
fn answer(
    image: SourceImage,
    freshness: Option<Freshness>,
    conditions: Option<&HeaderMap>,
    limit: u64,
) -> Result<Obtained, Failure> {
    let fetched = match conditions {
        Some(conditions) if validators::is_unmodified(&image.headers, conditions) => {
            Fetched::NotModified(image.headers)
        }
        _ => Fetched::Image(image),
    };
    let claim = None;
    within(
        limit,
        Obtained {
            fetched,
            freshness,
            claim,
        },
    )
}

/// Headers of a source that count later.
const KEPT_HEADERS: &[http::HeaderName] = &[CACHE_CONTROL, ETAG, EXPIRES, LAST_MODIFIED];
