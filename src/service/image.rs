//! The image use case: from a raw request target to the answer, in the order of `spec/http.md` section 5.
//!
//! Owns the order of work and what is counted on the way. It does not know HTTP beyond header maps, and not pixels.

use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, COOKIE, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName};

use super::answer::{Answer, Finished, empty};
use super::assets::Assets;
use super::downloads::{Downloads, Failure};
use super::fetch_count::FetchCount;
use super::rules::Rules;
use super::validators;
use super::workers::{CancelHandle, Workers};
use super::{Asked, Body, CacheStatus, ImageRequest, ImageResponse, Images, ReplyKind, Sizes};
use crate::cache::{CacheKey, KeyParts, Lookup, ResultCache};
use crate::config::{AssetsConfig, DeliveryConfig};
use crate::error::{Error, Kind};
use crate::format::ImageFormat;
use crate::live::Live;
use crate::monitoring::{self, CacheKind, InProgress, Span};
use crate::options::{Options, ParsedRequest};
use crate::processing::{self, Job, Processed, Settings};
use crate::source::{FetchRequest, Fetched};
use crate::vips::{Cancel, ThreadGuard};

/// Worker threads that run image jobs.
pub type ImageWorkers = Workers<Job, Result<Processed, Error>, Cancel>;

/// What the service is made of.
#[derive(Debug)]
pub struct Parts {
    /// What a URL has to satisfy.
    pub rules: Live<Rules>,
    /// Fetches sources.
    pub downloads: Downloads,
    /// Watermark and fallback image.
    pub assets: Assets,
    /// How the fallback image is answered.
    pub assets_config: AssetsConfig,
    /// Keeps results and shares running jobs.
    pub cache: ResultCache<Answer>,
    /// Whether results are kept.
    pub cache_is_on: bool,
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
    parts: Arc<Parts>,
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
        let service = self.clone();
        async move { service.answer(request).await }.boxed()
    }
}

impl ImageService {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    async fn answer(&self, request: ImageRequest) -> Result<ImageResponse, Error> {
        let parsed = self.parts.rules.get().parse(&request)?;
        if let Some(noted) = &request.noted {
            noted.get_or_init(|| Asked {
                source_url: parsed.source_url.clone(),
                processing_options: parsed.options.to_string(),
            });
        }
        if parsed.options.raw {
            return self.stream(&request, parsed).await;
        }
        self.check_result_format(&parsed.options)?;
        let conditions = validators::conditional_headers(&request.headers, &self.parts.delivery);
        let (answer, cache_status) = self.shared(&request, &parsed, conditions).await?;
        let cache_status =
            Some(cache_status).filter(|s| self.parts.cache_is_on || *s == CacheStatus::Collapsed);
        Ok(answer.into_response(parsed, cache_status, &self.parts.assets_config))
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

    /// The answer from the cache, from a job that is running already, or from a job of this request's own.
    async fn shared(
        &self,
        request: &ImageRequest,
        parsed: &ParsedRequest,
        conditions: HeaderMap,
    ) -> Result<(Answer, CacheStatus), Error> {
        let options = parsed.options.cache_form();
        let sources = self.parts.downloads.sources();
        let cookie = sources.cookies(&parsed.source_url, &request.headers);
        let forwarded = cookie
            .as_ref()
            .map_or("", |value| value.to_str().unwrap_or(""));
        let key = |conditions: &HeaderMap| {
            CacheKey::new(&KeyParts {
                options: &options,
                source_url: &parsed.source_url,
                features: &format!("{:?}", request.features),
                forwarded,
                conditions: &if conditions.is_empty() {
                    String::new()
                } else {
                    format!("{conditions:?}")
                },
                limits: "",
            })
        };
        let unconditional = key(&HeaderMap::new());
        if !conditions.is_empty()
            && let Some(answer) = self.parts.cache.get(&unconditional)
        {
            self.count(true);
            let answer = validators::unless_modified(answer, &conditions);
            return Ok((answer, CacheStatus::Hit));
        }
        match self.parts.cache.get_or_lead(key(&conditions)).await {
            Lookup::Hit(answer) => {
                self.count(true);
                Ok((answer, CacheStatus::Hit))
            }
            Lookup::Shared(answer) => Ok((answer?, CacheStatus::Collapsed)),
            Lookup::Lead(guard) => {
                let mut headers = conditions.clone();
                headers.extend(cookie.map(|value| (COOKIE, value)));
                match self.work(request, parsed, headers).await {
                    Ok(answer) => {
                        // An answer to a condition is nobody else's; what stands in for an error is not kept.
                        if conditions.is_empty() && answer.is_kept() {
                            guard.complete(answer.clone());
                        } else {
                            guard.complete_unkept(answer.clone());
                        }
                        Ok((answer, CacheStatus::Miss))
                    }
                    Err(error) => {
                        guard.fail(error.clone());
                        Err(error)
                    }
                }
            }
        }
    }

    fn count(&self, hit: bool) {
        match (self.parts.cache_is_on, hit) {
            (false, _) => {}
            (true, true) => monitoring::cache_hit(CacheKind::Memory),
            (true, false) => monitoring::cache_miss(CacheKind::Memory),
        }
    }

    /// Waits for a worker, fetches the source and processes it.
    async fn work(
        &self,
        request: &ImageRequest,
        parsed: &ParsedRequest,
        headers: HeaderMap,
    ) -> Result<Answer, Error> {
        // Before the queue, so that all who wait for a worker share one download.
        let download = self.parts.downloads.expect(&parsed.source_url, &headers);
        let queued = Instant::now();
        let slot = self.parts.workers.acquire().await?;
        let waited = queued.elapsed().as_secs_f64();
        monitoring::span(Span::Queue, waited);
        monitoring::operation_waited(waited);
        // Only now: a request that the queue refuses counts in no other family.
        self.count(false);
        let _images = InProgress::images();
        let limits = &parsed.options.limits;
        let fetch = FetchRequest {
            url: parsed.source_url.clone(),
            headers,
            max_bytes: limits
                .max_src_file_size
                .unwrap_or(self.parts.settings.limits.max_src_file_size),
            deadline: request.deadline,
        };
        let (source, fallback_for) = match download.fetch(fetch).await {
            Ok(Fetched::Image(image)) => (image, None),
            Ok(Fetched::NotModified(headers)) => return Ok(Answer::NotModified(headers)),
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
                    (image.clone(), Some(error))
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
        let processed = slot.run(job, Cancel::new()).await??;
        let sizes = Sizes {
            origin: Some(processed.source_size),
            result: Some(processed.result_size),
            origin_bytes,
        };
        Ok(Answer::Image(Arc::new(Finished {
            body: processed.bytes,
            format: processed.format,
            headers,
            sizes,
            fallback_for,
        })))
    }

    /// Streams the source as it is, whatever its status.
    async fn stream(
        &self,
        request: &ImageRequest,
        parsed: ParsedRequest,
    ) -> Result<ImageResponse, Error> {
        let fetch = FetchCount::begin(&parsed.source_url);
        let sources = self.parts.downloads.sources();
        let mut headers = picked(&request.headers, RAW_REQUEST_HEADERS);
        let cookie = sources.cookies(&parsed.source_url, &request.headers);
        headers.extend(cookie.map(|value| (COOKIE, value)));
        let result = sources
            .stream(FetchRequest {
                url: parsed.source_url.clone(),
                headers,
                max_bytes: 0,
                deadline: request.deadline,
            })
            .await;
        let raw = match result {
            Ok(raw) => fetch.follow(raw),
            Err(error) => {
                fetch.failed(&error);
                return Err(error.into());
            }
        };
        Ok(ImageResponse {
            status: raw.status,
            body: Body::Stream(raw.body),
            source_headers: raw.headers,
            ..empty(ReplyKind::Raw, parsed)
        })
    }
}

fn kept_headers(source: &HeaderMap, fallback: bool) -> HeaderMap {
    picked(
        source,
        if fallback {
            &[CACHE_CONTROL]
        } else {
            SOURCE_HEADERS
        },
    )
}

fn picked(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut out = HeaderMap::new();
    for name in names {
        for value in headers.get_all(name) {
            out.append(name, value.clone());
        }
    }
    out
}

/// Headers of a source that decide headers of a processed image.
const SOURCE_HEADERS: &[HeaderName] = &[CACHE_CONTROL, ETAG, EXPIRES, LAST_MODIFIED];
/// Headers of a client that a raw source gets to see. Rule: `spec/http.md` section 9.
const RAW_REQUEST_HEADERS: &[HeaderName] =
    &[IF_NONE_MATCH, IF_MODIFIED_SINCE, ACCEPT_ENCODING, RANGE];
