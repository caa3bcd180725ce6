//! The image use case: from a raw request target to the answer, in the order of `spec/http.md` section 5.
//!
//! Owns the order of work and what is counted on the way. It does not know HTTP beyond header maps, and not pixels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{CACHE_CONTROL, COOKIE, ETAG, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName};

use super::answer::{Answer, Finished};
use super::assets::Assets;
use super::downloads::{Downloads, Failure, Obtained, Use};
use super::known::Understood;
use super::lookup::{Made, Wanted};
use super::process::Seen;
use super::rate_limits::RateLimits;
use super::rules::Rules;
use super::validators;
use super::workers::{CancelHandle, Workers};
use super::{CacheOutcome, ImageRequest, ImageResponse, Images, Sizes};
use crate::cache::{Freshness, SingleFlight, Store};
use crate::config::{AssetsConfig, DeliveryConfig};
use crate::error::{Error, Kind, Quota};
use crate::format::ImageFormat;
use crate::live::Live;
use crate::monitoring::trace;
use crate::monitoring::{self, Span};
use crate::options::Options;
use crate::processing::{self, Job, Processed, Settings};
use crate::source::{FetchRequest, Fetched, Memory};
use crate::vips::{Cancel, ThreadGuard};

/// Worker threads that run image jobs.
pub type ImageWorkers = Workers<Job, Result<Processed, Error>, Cancel>;

/// What the service is made of.
#[derive(Debug)]
pub struct Parts {
    /// What a URL has to satisfy.
    pub rules: Live<Rules>,
    /// How often may be asked.
    pub rate_limits: RateLimits,
    /// Fetches sources.
    pub downloads: Downloads,
    /// Bounds the bytes of all sources.
    pub memory: Memory,
    /// Watermark and fallback image.
    pub assets: Assets,
    /// How the fallback image is answered.
    pub assets_config: AssetsConfig,
    /// Keeps results.
    pub cache: Store<Arc<Finished>>,
    /// Digest of everything besides the request that decides what a result looks like.
    pub environment: String,
    /// How long a revalidation may take that no client waits for.
    pub timeout: Duration,
    /// Runs jobs.
    pub workers: ImageWorkers,
    /// What every job needs to know.
    pub settings: Arc<Settings>,
    /// How validators are passed on.
    pub delivery: DeliveryConfig,
}

/// Serves images. Cloning shares everything.
#[derive(Clone, Debug)]
pub struct ImageService {
    pub(super) parts: Arc<Parts>,
    /// Results that are being made.
    pub(super) flights: SingleFlight<Result<Answer, Error>>,
    /// Sources that need not be fetched to know what their jobs cost.
    pub(super) seen: Arc<Seen>,
}

impl CancelHandle for Cancel {
    fn cancel(&self) {
        Self::cancel(self);
    }

    fn is_cancelled(&self) -> bool {
        Self::is_cancelled(self)
    }
}

/// Runs one job on a worker thread.
pub fn run_job(job: &Job, cancel: &Cancel) -> Result<Processed, Error> {
    let _thread = ThreadGuard::new();
    let _images = cancel.scope();
    let started = Instant::now();
    let result = processing::process(job, cancel);
    let elapsed = started.elapsed().as_secs_f64();
    monitoring::span(Span::ProcessingImage, elapsed);
    if let Ok(processed) = &result
        && !processed.skipped
    {
        monitoring::image_processed(processed.format, elapsed);
    }
    result
}

impl Images for ImageService {
    fn handle(&self, request: ImageRequest) -> BoxFuture<'static, Result<ImageResponse, Error>> {
        self.clone().answer(request).boxed()
    }

    fn retry_after(&self) -> u32 {
        self.parts.workers.retry_after()
    }
}

impl ImageService {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            flights: SingleFlight::default(),
            seen: Arc::default(),
        }
    }

    async fn answer(self, request: ImageRequest) -> Result<ImageResponse, Error> {
        let mut quota = None;
        // The same until the end: what one set of rules has verified is nothing to another.
        let rules = self.parts.rules.get();
        let answer = match self.admit(&rules, &request, &mut quota) {
            Ok(understood) => {
                let answer = self.respond(&request, &understood).await;
                if let Ok(answer) = &answer
                    && answer.cache_status.map(|status| status.outcome) == Some(CacheOutcome::Hit)
                {
                    rules.learn(&request.target, &request.features, &understood);
                }
                answer
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => Ok(ImageResponse { quota, ..answer }),
            Err(error) => Err(error.with_quota(quota)),
        }
    }

    /// What the request asks for, if it may ask at all. Nothing is parsed before the signature is right, and only what
    /// is signed counts for the limit of all, so that nobody can use it up with invented URLs.
    fn admit(
        &self,
        rules: &Rules,
        request: &ImageRequest,
        quota: &mut Option<Quota>,
    ) -> Result<Arc<Understood>, Error> {
        let limits = &self.parts.rate_limits;
        let client = limits.take_of_client(request.client)?;
        *quota = client;
        let verified = rules.verify(&request.target, &request.features)?;
        let all = limits.take()?;
        *quota = [client, all]
            .into_iter()
            .flatten()
            .min_by_key(|q| q.remaining);
        rules.parse(verified, &request.features)
    }

    async fn respond(
        &self,
        request: &ImageRequest,
        understood: &Arc<Understood>,
    ) -> Result<ImageResponse, Error> {
        let parsed = &understood.parsed;
        trace::describe(&parsed.source_url, || understood.canonical().to_owned());
        if let Some(noted) = &request.noted {
            noted.get_or_init(|| Arc::clone(understood));
        }
        if parsed.options.raw {
            // Boxed, so that a hit on the cache does not carry the state of everything that it is spared.
            return Box::pin(self.stream(request, understood)).await;
        }
        self.check_result_format(&parsed.options)?;
        let (answer, status) = self.look_up(request, understood).await?;
        let is_told = self.parts.cache.is_on() || status.outcome == CacheOutcome::Collapsed;
        let cache_status = Some(status).filter(|_| is_told);
        Ok(answer.into_response(understood, cache_status, &self.parts.assets_config))
    }

    /// A format that this build cannot write is refused before anything is fetched. SVG may pass through.
    fn check_result_format(&self, options: &Options) -> Result<(), Error> {
        match options.output.format {
            None | Some(ImageFormat::Svg) => Ok(()),
            Some(format) if self.parts.settings.savable.contains(&format) => Ok(()),
            Some(format) => Err(Error::new(
                Kind::ResultFormatUnsupported,
                format!("Resulting image format is not supported: {format}"),
            )),
        }
    }

    /// `IMGFORGE_ALLOWED_MIME_TYPES`.
    fn check_type(&self, format: ImageFormat) -> Result<(), Error> {
        let allowed = &self.parts.settings.limits.allowed_formats;
        if allowed.is_empty() || allowed.contains(&format) {
            return Ok(());
        }
        Err(Error::new(
            Kind::SourceTypeNotAllowed,
            format!("Source image type is not allowed: {}", format.info().mime),
        ))
    }

    /// Takes a place in the system, fetches the source, then waits for a worker to process it.
    pub(super) async fn work(&self, wanted: &Wanted) -> Result<Made, Error> {
        let (request, parsed) = (&wanted.request, &wanted.understood.parsed);
        let conditions = match &wanted.previous {
            Some(kept) => validators::revalidation(&kept.value.headers),
            None => wanted.conditions.clone(),
        };
        let mut headers = conditions.clone();
        headers.extend(wanted.cookie.clone().map(|value| (COOKIE, value)));
        let purpose = if parsed.options.delivery.bypass_cache {
            Use::Bypass
        } else {
            Use::Request
        };
        // First, so that all who download or wait share one download.
        let download = self
            .parts
            .downloads
            .expect(&parsed.source_url, &headers, purpose);
        let place = self.parts.workers.enter()?;
        self.check_time(wanted)?;
        // Only now: a request that the queue refuses counts in no other family.
        if wanted.is_request && !parsed.options.delivery.bypass_cache {
            self.parts.cache.count(false);
        }
        let claim = Arc::new(self.parts.memory.claim());
        let limits = &parsed.options.limits;
        let fetch = FetchRequest {
            url: parsed.source_url.clone(),
            headers,
            max_bytes: limits
                .max_src_file_size
                .unwrap_or(self.parts.settings.limits.max_src_file_size),
            deadline: request.deadline,
            claim: Some(Arc::clone(&claim)),
        };
        let (source, freshness, fallback_for, shared) = match download.fetch(fetch).await {
            Ok(Obtained {
                fetched,
                freshness,
                claim: shared,
            }) => match fetched {
                // A source that ignores conditions need not be processed for who has the result.
                Fetched::Image(image)
                    if wanted.previous.is_none()
                        && validators::is_unmodified(&image.headers, &conditions) =>
                {
                    let headers = kept_headers(&image.headers, false);
                    return Ok(not_modified(wanted, headers, freshness));
                }
                Fetched::Image(image) => (image, freshness, None, shared),
                Fetched::NotModified(headers) => {
                    return Ok(not_modified(wanted, headers, freshness));
                }
            },
            // What was kept is better than what stands in for everything.
            Err(failure) if wanted.instead_of(&failure.error).is_some() => {
                return Err(failure.error);
            }
            Err(Failure {
                error,
                allows_fallback,
                ..
            }) => match &self.parts.assets.fallback {
                Some(image) if allows_fallback => {
                    tracing::warn!(
                        error = error.detail(),
                        image_url = parsed.source_url,
                        "could not load the image, using the fallback image"
                    );
                    monitoring::error(error.outcome().category);
                    trace::exception(&error);
                    (image.clone(), None, Some(error), None)
                }
                _ => return Err(error),
            },
        };
        drop(download);
        if fallback_for.is_none() {
            self.check_type(source.format)?;
        }
        let origin_bytes = source.bytes.len() as u64;
        let headers = kept_headers(&source.headers, fallback_for.is_some());
        let wants_watermark = parsed.options.pipeline.watermark.opacity > 0.0;
        let job = Job {
            source,
            options: parsed.options.clone(),
            features: request.features,
            settings: Arc::clone(&self.parts.settings),
            watermark: self
                .parts
                .assets
                .watermark
                .clone()
                .filter(|_| wants_watermark),
        };
        let processed = self.process(place, wanted, job).await?;
        drop((claim, shared));
        let sizes = Sizes {
            origin: Some(processed.source_size),
            result: Some(processed.result_size),
            origin_bytes,
        };
        Ok(Made {
            answer: Answer::Image(Arc::new(Finished {
                body: self.body(processed.bytes),
                format: processed.format,
                headers: headers.into(),
                sizes,
                fallback_for,
            })),
            freshness,
            confirmed: false,
        })
    }
}

impl ImageService {
    /// The body of a result. One that may be kept takes no more memory than it has bytes; the buffers of encoders are up to
    /// twice as long.
    fn body(&self, bytes: Bytes) -> Bytes {
        if self.parts.cache.is_on() {
            Bytes::copy_from_slice(&bytes)
        } else {
            bytes
        }
    }
}

/// The client's copy is still good, or ours.
fn not_modified(wanted: &Wanted, headers: HeaderMap, freshness: Option<Freshness>) -> Made {
    match wanted.confirmed_by(&headers) {
        Some(answer) => Made {
            answer,
            freshness,
            confirmed: true,
        },
        None => Made {
            answer: Answer::NotModified(headers.into()),
            freshness: None,
            confirmed: false,
        },
    }
}

fn kept_headers(source: &HeaderMap, fallback: bool) -> HeaderMap {
    validators::picked(
        source,
        if fallback {
            &[CACHE_CONTROL]
        } else {
            SOURCE_HEADERS
        },
    )
}

/// Headers of a source that decide headers of a processed image.
const SOURCE_HEADERS: &[HeaderName] = &[CACHE_CONTROL, ETAG, EXPIRES, LAST_MODIFIED];
