//! A request and the result cache: when a kept result is served, when the source is asked again, and who does it.
//! Rules: `spec/http.md` section 14, RFC 9111, RFC 5861.
//!
//! Owns keys, the choice between hit and work, and what is kept afterwards. Whoever comes here may have the result: the
//! signature, the expiry, the source and the options have been checked.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue};

use super::answer::{Answer, Finished};
use super::image::ImageService;
use super::known::Understood;
use super::{CacheOutcome, CacheStatus, ImageRequest, validators};
use crate::cache::{CacheKey, Epoch, Freshness, Kept, KeyParts, Lifetime, State, Tags, Turn};
use crate::error::{Error, Kind};
use crate::options::{ClientFeatures, ParsedRequest};

/// A result that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) request: ImageRequest,
    pub(super) understood: Arc<Understood>,
    /// What the source is asked.
    pub(super) conditions: HeaderMap,
    /// The client's cookies that go to the source.
    pub(super) cookie: Option<HeaderValue>,
    /// A kept result that has to be asked for anew.
    pub(super) previous: Option<Kept<Arc<Finished>>>,
    /// Whether a client waits for it.
    pub(super) is_request: bool,
    key: CacheKey,
}

/// A result that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) answer: Answer,
    /// What the source allows; `None` keeps nothing.
    pub(super) freshness: Option<Freshness>,
    /// Whether the source has confirmed what was kept.
    pub(super) confirmed: bool,
}

impl ImageService {
    /// The answer from the cache, from a job that is running already, or from a job of this request's own.
    pub(super) async fn look_up(
        &self,
        request: &ImageRequest,
        understood: &Arc<Understood>,
    ) -> Result<(Answer, CacheStatus), Error> {
        let parsed = &understood.parsed;
        let conditions = validators::conditional_headers(&request.headers, &self.parts.delivery);
        let sources = self.parts.downloads.sources();
        let cookie = sources.cookies(&parsed.source_url, &request.headers);
        let key = match &cookie {
            None => understood.key(|| self.key(request, parsed, None)),
            Some(_) => self.key(request, parsed, cookie.as_ref()),
        };
        let wanted = |conditions, previous| Wanted {
            request: request.clone(),
            understood: Arc::clone(understood),
            conditions,
            cookie,
            previous,
            is_request: true,
            key,
        };
        if parsed.options.delivery.bypass_cache {
            return self.share(wanted(conditions, None)).await;
        }
        let Some(kept) = self.parts.cache.get(&key).await else {
            return self.share(wanted(conditions, None)).await;
        };
        // With something to compare with, the client's conditions are no question for the source.
        match kept.lifetime.state() {
            State::Fresh => return Ok(self.hit(&kept, &conditions, CacheOutcome::Hit)),
            State::Revalidate => {
                let hit = self.hit(&kept, &conditions, CacheOutcome::WhileRevalidate);
                self.revalidate_behind(wanted(HeaderMap::new(), Some(kept)));
                return Ok(hit);
            }
            State::IfError | State::Stale => {}
        }
        let wanted = wanted(HeaderMap::new(), Some(kept));
        let (answer, status) = self.share(wanted).await?;
        Ok((validators::unless_modified(answer, &conditions), status))
    }

    /// One job for all that want the same at the same time. Boxed, so that a hit does not carry the state of all that it
    /// is spared.
    fn share(&self, wanted: Wanted) -> BoxFuture<'_, Result<(Answer, CacheStatus), Error>> {
        async move { self.make(&wanted).await }.boxed()
    }

    async fn make(&self, wanted: &Wanted) -> Result<(Answer, CacheStatus), Error> {
        let seat = self.flights.join(wanted.flight());
        let lead = match seat.turn().await {
            Turn::Follow(answer) => {
                return answer.map(|answer| (answer, CacheOutcome::Collapsed.into()));
            }
            Turn::Lead(lead) => lead,
        };
        let cache = &self.parts.cache;
        // Whoever led before may have finished since the look-up.
        if !wanted.bypasses()
            && let Some(kept) = cache.peek_fresh(&wanted.key)
        {
            return Ok(self.hit(&kept, &wanted.conditions, CacheOutcome::Hit));
        }
        let epoch = cache.epoch();
        match self.work(wanted).await {
            Ok(made) => {
                let status = self.keep(wanted, &made, epoch);
                lead.land(Ok(made.answer.clone()));
                Ok((made.answer, status))
            }
            Err(error) => {
                if let Some((answer, status)) = wanted.instead_of(&error) {
                    tracing::warn!(
                        error = error.detail(),
                        image_url = wanted.understood.parsed.source_url,
                        "could not revalidate the image, serving the stale one"
                    );
                    lead.land(Ok(answer.clone()));
                    return Ok((answer, status));
                }
                // What is about this request alone leaves the work to the next.
                if !matches!(
                    error.kind(),
                    Kind::Timeout | Kind::Cancelled | Kind::QueueFull | Kind::NoTime
                ) {
                    lead.land(Err(error.clone()));
                }
                Err(error)
            }
        }
    }

    fn hit(
        &self,
        kept: &Kept<Arc<Finished>>,
        conditions: &HeaderMap,
        outcome: CacheOutcome,
    ) -> (Answer, CacheStatus) {
        self.parts.cache.count(true);
        let answer = Answer::Image(Arc::clone(&kept.value));
        let status = CacheStatus {
            outcome,
            ttl: Some(kept.lifetime.ttl()),
            age: Some(kept.lifetime.age().as_secs()),
        };
        (validators::unless_modified(answer, conditions), status)
    }

    /// Asks the source while the client already has its answer, unless somebody is at it.
    fn revalidate_behind(&self, mut wanted: Wanted) {
        if self.flights.is_open(&wanted.flight()) {
            return;
        }
        wanted.is_request = false;
        let deadline = tokio::time::Instant::now() + self.parts.timeout;
        wanted.request.deadline = Some(deadline);
        let service = self.clone();
        tokio::spawn(async move {
            match tokio::time::timeout_at(deadline, service.make(&wanted)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(
                    error = error.detail(),
                    image_url = wanted.understood.parsed.source_url,
                    "could not revalidate the image"
                ),
                Err(_) => tracing::debug!(
                    image_url = wanted.understood.parsed.source_url,
                    "gave up revalidating the image"
                ),
            }
        });
    }

    /// Keeps what may be kept; what that was for the client.
    fn keep(&self, wanted: &Wanted, made: &Made, epoch: Epoch) -> CacheStatus {
        let stored = match (&made.answer, made.freshness) {
            // An answer to a condition is nobody else's; what stands in for an error is not kept.
            (Answer::Image(finished), Some(freshness))
                if self.parts.cache.is_on()
                    && !wanted.bypasses()
                    && wanted.conditions.is_empty()
                    && finished.fallback_for.is_none() =>
            {
                let kept = Kept {
                    value: Arc::clone(finished),
                    lifetime: Lifetime::new(freshness),
                    tags: Tags {
                        source: wanted.understood.parsed.source_url.as_str().into(),
                        variant_of: self.variant_of_request(wanted),
                    },
                };
                self.parts.cache.put(wanted.key, kept, epoch);
                true
            }
            _ => false,
        };
        let ttl = made.freshness.filter(|_| stored);
        CacheStatus {
            outcome: match &wanted.previous {
                _ if wanted.bypasses() => CacheOutcome::Bypass,
                None => CacheOutcome::Miss { stored },
                Some(_) if made.confirmed => CacheOutcome::Confirmed { stored },
                Some(_) => CacheOutcome::Replaced { stored },
            },
            ttl: ttl.map(|freshness| i64::try_from(freshness.fresh.as_secs()).unwrap_or(i64::MAX)),
            age: None,
        }
    }

    /// What the URL of a request is called, whatever the client's headers say. `parsed` without client hints.
    pub(super) fn variant_of(parsed: &ParsedRequest) -> CacheKey {
        let options = parsed.options.cache_form();
        CacheKey::of(&[options.as_bytes(), parsed.source_url.as_bytes()])
    }

    /// The same for a request that may have come with client hints, which are defaults of options.
    fn variant_of_request(&self, wanted: &Wanted) -> CacheKey {
        let ImageRequest {
            target, features, ..
        } = &wanted.request;
        if features.dpr.is_none() && features.width.is_none() {
            return Self::variant_of(&wanted.understood.parsed);
        }
        let without_hints = self.parts.rules.get().parse_unsigned(target);
        Self::variant_of(without_hints.as_ref().unwrap_or(&wanted.understood.parsed))
    }

    fn key(
        &self,
        request: &ImageRequest,
        parsed: &ParsedRequest,
        cookie: Option<&HeaderValue>,
    ) -> CacheKey {
        let features = match &request.features {
            none if *none == ClientFeatures::default() => String::new(),
            some => format!("{some:?}"),
        };
        CacheKey::new(&KeyParts {
            options: &parsed.options.cache_form(),
            source_url: &parsed.source_url,
            features: &features,
            forwarded: cookie.map_or(&[], HeaderValue::as_bytes),
            conditions: "",
            environment: &self.parts.environment,
        })
    }
}

impl Wanted {
    /// Which requests this one shares its work with.
    fn flight(&self) -> CacheKey {
        let mut parts: Vec<&[u8]> = vec![self.key.as_bytes(), &[]];
        if self.bypasses() {
            parts = vec![self.key.as_bytes(), b"bypass"];
        }
        for (name, value) in &self.conditions {
            parts.extend([name.as_str().as_bytes(), value.as_bytes()]);
        }
        CacheKey::of(&parts)
    }

    fn bypasses(&self) -> bool {
        self.understood.parsed.options.delivery.bypass_cache
    }

    /// The kept result, where it may stand in for one that could not be had.
    pub(super) fn instead_of(&self, error: &Error) -> Option<(Answer, CacheStatus)> {
        let is_out_of_reach = matches!(
            error.kind(),
            Kind::SourceServerError
                | Kind::SourceUnreachable
                | Kind::SourceTimeout
                | Kind::QueueFull
                | Kind::NoTime
        );
        let kept = self.previous.as_ref().filter(|_| is_out_of_reach)?;
        let may = kept.lifetime.remaining().if_error > std::time::Duration::ZERO;
        may.then(|| {
            let status = CacheStatus {
                outcome: CacheOutcome::IfError,
                ttl: Some(kept.lifetime.ttl()),
                age: Some(kept.lifetime.age().as_secs()),
            };
            (Answer::Image(Arc::clone(&kept.value)), status)
        })
    }

    /// The kept result with the headers of a response that confirms it.
    pub(super) fn confirmed_by(&self, not_modified: &HeaderMap) -> Option<Answer> {
        let kept = self.previous.as_ref()?;
        Some(Answer::Image(Arc::new(Finished {
            body: kept.value.body.clone(),
            format: kept.value.format,
            headers: validators::confirmed(&kept.value.headers, not_modified).into(),
            sizes: kept.value.sizes,
            fallback_for: None,
        })))
    }
}
