//! Every metric: the table, the handles, the record functions, the text of a scrape. Rule: `spec/monitoring.md` part B.
//!
//! This module alone touches the metrics library. Each label set has a handle that is looked up once, so that recording
//! is an index and an atomic. Before [`register_metrics`] every record function does nothing, so a server without a
//! metrics listener pays nothing and collects nothing.

mod labels;
mod process;
mod table;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::config::MonitoringConfig;
use crate::error::Category;
use crate::format::ImageFormat;

pub use labels::{CacheKind, FetchOutcome, Reason, Route, Scheme, Span, Verb};
pub use process::PROCESS_METRICS;
pub use table::{Buckets, METRICS, Metric, MetricKind};

/// What the initial series depend on. Rule: `spec/monitoring.md` B4.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Formats that this build can save.
    pub formats: Vec<ImageFormat>,
    /// Cache layers that are on.
    pub caches: Vec<CacheKind>,
    /// Configured workers.
    pub workers: usize,
    /// Version of the linked libvips.
    pub libvips: String,
}

/// Describes every metric, sets its buckets, creates the initial series. The first call of a process decides: later ones
/// change nothing, because there is one recorder per process.
///
/// # Errors
/// A text for the operator when a list of buckets is empty.
pub fn register_metrics(config: &MonitoringConfig, facts: &Facts) -> Result<(), String> {
    if SERIES.get().is_some() {
        return Ok(());
    }
    let series = Series::new(config, facts)?;
    // A concurrent first call has won; its series are as good.
    let _ = SERIES.set(series);
    Ok(())
}

/// The whole exposition text, gauges refreshed; `None` before [`register_metrics`].
pub fn render() -> Option<String> {
    let series = SERIES.get()?;
    series.refresh();
    let mut text = series.handle.render();
    process::render(&mut text);
    Some(text)
}

/// Moves recorded samples into their buckets; to be called every few seconds, or samples pile up between scrapes.
pub fn upkeep() {
    if let Some(series) = SERIES.get() {
        series.handle.run_upkeep();
    }
}

/// Sets where the three libvips gauges come from: tracked bytes, their high-water mark, live allocations.
pub fn set_vips_probe(probe: fn() -> (u64, u64, u64)) {
    *VIPS_PROBE.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
}

/// State of a cache layer at scrape time.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheState {
    /// Entries held.
    pub entries: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Entries dropped to make room since the start.
    pub evictions: u64,
}

/// Sets where the gauges of the result cache come from.
pub fn set_cache_probe(kind: CacheKind, probe: impl Fn() -> CacheState + Send + 'static) {
    *CACHE_PROBE.lock().unwrap_or_else(PoisonError::into_inner) = Some((kind, Box::new(probe)));
}

/// One request on the main listener has ended, `seconds` after its head was complete.
pub fn http_request(verb: Verb, route: Route, seconds: f64) {
    with(|s| {
        s.http
            .record(verb.index() * Route::ALL.len() + route.index(), |h| {
                h.record(seconds)
            })
    });
}

/// One answer of the image or the unmatched route.
pub fn status(code: u16) {
    with(|s| s.status.record(usize::from(code), |c| c.increment(1)));
}

/// One answer of the image route, for imgproxy's own family where a namespace sets it apart.
pub fn image_status(code: u16) {
    with(|s| {
        if let Some(codes) = &s.image_status {
            codes.record(usize::from(code), |c| c.increment(1));
        }
    });
}

/// An image request has begun.
pub fn request_started() {
    with(|s| s.requests.increment(1));
}

/// A whole image request took `seconds`.
pub fn request_finished(seconds: f64) {
    with(|s| s.request_duration.record(seconds));
}

/// An image request failed. Cancellations by the client are not to be counted.
pub fn error(category: Category) {
    let index = Category::ALL
        .iter()
        .position(|c| *c == category)
        .unwrap_or_default();
    with(|s| s.errors.record(index, |c| c.increment(1)));
}

/// A stage of an image request took `seconds`.
pub fn span(span: Span, seconds: f64) {
    with(|s| s.spans.record(span.index(), |h| h.record(seconds)));
}

/// A source download has ended.
pub fn source_fetched(success: bool, seconds: f64) {
    with(|s| {
        s.fetched.record(usize::from(!success), |c| c.increment(1));
        s.fetch_duration.record(seconds);
    });
}

/// The same event as [`source_fetched`], by cause.
pub fn source_outcome(scheme: Scheme, outcome: FetchOutcome) {
    let index = scheme.index() * FetchOutcome::ALL.len() + outcome.index();
    with(|s| s.source_fetches.record(index, |c| c.increment(1)));
}

/// Bytes of a source body have arrived.
pub fn source_bytes(scheme: Scheme, bytes: u64) {
    with(|s| {
        s.source_bytes
            .record(scheme.index(), |c| c.increment(bytes))
    });
}

/// An image was encoded; `seconds` from the start of decoding to the encoded bytes.
pub fn image_processed(format: ImageFormat, seconds: f64) {
    with(|s| {
        s.processed.record(format as usize, |c| c.increment(1));
        s.processing.record(format as usize, |h| h.record(seconds));
    });
}

/// A cache layer answered a lookup.
pub fn cache_hit(kind: CacheKind) {
    with(|s| s.cache_hits.record(kind.index(), |c| c.increment(1)));
}

/// A cache layer could not answer a lookup.
pub fn cache_miss(kind: CacheKind) {
    with(|s| s.cache_misses.record(kind.index(), |c| c.increment(1)));
}

/// A request was answered by a job that was already running.
pub fn collapsed() {
    with(|s| s.collapsed.increment(1));
}

/// An image request was refused.
pub fn rejected(reason: Reason) {
    with(|s| s.rejected.record(reason.index(), |c| c.increment(1)));
}

/// The address guard refused to dial.
pub fn ssrf_blocked() {
    with(|s| s.ssrf_blocked.increment(1));
}

/// Bytes of a response body were handed to the connection.
pub fn response_bytes(bytes: u64) {
    with(|s| s.response_bytes.increment(bytes));
}

/// Requests now waiting for a worker.
pub fn queue_length(length: u64) {
    QUEUE_LENGTH.store(length, Ordering::Relaxed);
}

/// Configured workers.
pub fn set_workers(workers: u64) {
    WORKERS.store(workers, Ordering::Relaxed);
}

/// Counts one thing as in progress until dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the count"]
pub struct InProgress(&'static AtomicU64);

impl InProgress {
    /// An image request inside the handler.
    pub fn requests() -> Self {
        Self::new(&REQUESTS_IN_PROGRESS)
    }

    /// An image request that holds a worker, or a raw stream.
    pub fn images() -> Self {
        Self::new(&IMAGES_IN_PROGRESS)
    }

    fn new(count: &'static AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn with(record: impl FnOnce(&Series)) {
    if let Some(series) = SERIES.get() {
        record(series);
    }
}

/// The handles of one family, one per label set, made on first use.
struct Handles<T> {
    labels: fn(usize) -> Vec<Label>,
    cells: Vec<OnceLock<T>>,
    register: Box<dyn Fn(Vec<Label>) -> T + Send + Sync>,
}

impl<T> Handles<T> {
    fn record(&self, index: usize, record: impl FnOnce(&T)) {
        if let Some(cell) = self.cells.get(index) {
            record(cell.get_or_init(|| (self.register)((self.labels)(index))));
        }
    }

    fn create(self, indices: impl IntoIterator<Item = usize>) -> Self {
        for index in indices {
            self.record(index, |_| ());
        }
        self
    }
}

struct Series {
    handle: PrometheusHandle,
    http: Handles<Histogram>,
    processing: Handles<Histogram>,
    processed: Handles<Counter>,
    fetch_duration: Histogram,
    fetched: Handles<Counter>,
    cache_hits: Handles<Counter>,
    cache_misses: Handles<Counter>,
    status: Handles<Counter>,
    image_status: Option<Handles<Counter>>,
    requests: Counter,
    errors: Handles<Counter>,
    request_duration: Histogram,
    spans: Handles<Histogram>,
    source_fetches: Handles<Counter>,
    source_bytes: Handles<Counter>,
    response_bytes: Counter,
    collapsed: Counter,
    rejected: Handles<Counter>,
    ssrf_blocked: Counter,
    cache_entries: Handles<Gauge>,
    cache_bytes: Handles<Gauge>,
    cache_evictions: Handles<Counter>,
    /// Gauges set at scrape time, in the order of [`Series::refresh`].
    workers: Gauge,
    requests_in_progress: Gauge,
    images_in_progress: Gauge,
    utilization: Gauge,
    queue_length: Gauge,
    vips: [[Gauge; 2]; 3],
}

impl Series {
    fn new(config: &MonitoringConfig, facts: &Facts) -> Result<Self, String> {
        let registry = Registry::new(config)?;
        let caches = || facts.caches.iter().map(|c| c.index());
        let formats = || facts.formats.iter().map(|f| *f as usize);
        let statuses = || INITIAL_STATUSES.iter().map(|s| usize::from(*s));
        let verbs = Verb::ALL.len() * Route::ALL.len();
        let build = registry.gauge(
            &table::BUILD_INFO,
            vec![
                Label::new("version", env!("CARGO_PKG_VERSION")),
                Label::new(
                    "revision",
                    option_env!("IMGFORGE_REVISION").unwrap_or("unknown"),
                ),
                Label::new("libvips", facts.libvips.clone()),
            ],
        );
        build.set(1.0);
        set_workers(facts.workers.try_into().unwrap_or(u64::MAX));
        let gauge = |metric| registry.gauge(metric, Vec::new());
        Ok(Self {
            handle: registry.recorder.handle(),
            // GET is Verb 0, so its routes are the first cells.
            http: registry
                .histograms(&table::HTTP_DURATION, verbs, http_labels)
                .create(0..Route::ALL.len()),
            processing: registry
                .histograms(
                    &table::PROCESSING_DURATION,
                    ImageFormat::ALL.len(),
                    format_labels,
                )
                .create(formats()),
            processed: registry
                .counters(&table::PROCESSED, ImageFormat::ALL.len(), format_labels)
                .create(formats()),
            fetch_duration: registry.histogram(&table::FETCH_DURATION, Vec::new()),
            fetched: registry
                .counters(&table::FETCHED, 2, fetched_labels)
                .create(0..2),
            cache_hits: registry
                .counters(&table::CACHE_HITS, CacheKind::ALL.len(), cache_labels)
                .create(caches()),
            cache_misses: registry
                .counters(&table::CACHE_MISSES, CacheKind::ALL.len(), cache_labels)
                .create(caches()),
            status: registry
                .counters(&table::STATUS_CODES, 1000, status_labels)
                .create(statuses()),
            image_status: (!config.namespace.is_empty()).then(|| {
                let metric = Metric {
                    namespaced: true,
                    ..table::STATUS_CODES
                };
                registry
                    .counters(&metric, 1000, status_labels)
                    .create(statuses())
            }),
            requests: registry.counter(&table::REQUESTS, Vec::new()),
            errors: registry
                .counters(&table::ERRORS, Category::ALL.len(), error_labels)
                .create(0..Category::ALL.len()),
            request_duration: registry.histogram(&table::REQUEST_DURATION, Vec::new()),
            spans: registry
                .histograms(&table::SPAN_DURATION, Span::ALL.len(), span_labels)
                .create(0..Span::ALL.len()),
            source_fetches: registry.counters(
                &table::SOURCE_FETCHES,
                Scheme::ALL.len() * FetchOutcome::ALL.len(),
                source_fetch_labels,
            ),
            source_bytes: registry
                .counters(&table::SOURCE_BYTES, Scheme::ALL.len(), scheme_labels)
                .create(0..Scheme::ALL.len()),
            response_bytes: registry.counter(&table::RESPONSE_BYTES, Vec::new()),
            collapsed: registry.counter(&table::COLLAPSED, Vec::new()),
            rejected: registry
                .counters(&table::REJECTED, Reason::ALL.len(), reason_labels)
                .create(0..Reason::ALL.len()),
            ssrf_blocked: registry.counter(&table::SSRF_BLOCKED, Vec::new()),
            cache_entries: registry
                .gauges(&table::CACHE_ENTRIES, CacheKind::ALL.len(), cache_labels)
                .create(caches()),
            cache_bytes: registry
                .gauges(&table::CACHE_BYTES, CacheKind::ALL.len(), cache_labels)
                .create(caches()),
            cache_evictions: registry
                .counters(&table::CACHE_EVICTIONS, CacheKind::ALL.len(), cache_labels)
                .create(caches()),
            workers: gauge(&table::WORKERS),
            requests_in_progress: gauge(&table::REQUESTS_IN_PROGRESS),
            images_in_progress: gauge(&table::IMAGES_IN_PROGRESS),
            utilization: gauge(&table::UTILIZATION),
            queue_length: gauge(&table::QUEUE_LENGTH),
            vips: [
                [gauge(&table::VIPS_TRACKED_MEM), gauge(&table::VIPS_MEMORY)],
                [
                    gauge(&table::VIPS_TRACKED_HIGHWATER),
                    gauge(&table::VIPS_MAX_MEMORY),
                ],
                [
                    gauge(&table::VIPS_TRACKED_ALLOCS),
                    gauge(&table::VIPS_ALLOCS),
                ],
            ],
        })
    }

    fn refresh(&self) {
        let (workers, requests) = (load(&WORKERS), load(&REQUESTS_IN_PROGRESS));
        self.workers.set(workers);
        self.requests_in_progress.set(requests);
        self.images_in_progress.set(load(&IMAGES_IN_PROGRESS));
        self.utilization.set(requests / workers.max(1.0) * 100.0);
        self.queue_length.set(load(&QUEUE_LENGTH));
        let probe = *VIPS_PROBE.lock().unwrap_or_else(PoisonError::into_inner);
        let (memory, highwater, allocs) = probe.map_or((0, 0, 0), |probe| probe());
        for (pair, value) in self.vips.iter().zip([memory, highwater, allocs]) {
            pair.iter().for_each(|gauge| gauge.set(float(value)));
        }
        if let Some((kind, probe)) = &*CACHE_PROBE.lock().unwrap_or_else(PoisonError::into_inner) {
            let state = probe();
            self.cache_entries
                .record(kind.index(), |g| g.set(float(state.entries)));
            self.cache_bytes
                .record(kind.index(), |g| g.set(float(state.bytes)));
            self.cache_evictions
                .record(kind.index(), |c| c.absolute(state.evictions));
        }
    }
}

/// The recorder with the namespace applied.
struct Registry {
    recorder: std::sync::Arc<PrometheusRecorder>,
    namespace: String,
}

impl Registry {
    fn new(config: &MonitoringConfig) -> Result<Self, String> {
        let mut builder = PrometheusBuilder::new();
        for metric in METRICS {
            let bounds: &[f64] = match metric.buckets {
                Buckets::None => continue,
                Buckets::Http => &config.buckets_http,
                Buckets::Processing => &config.buckets_processing,
                Buckets::Fetch => &config.buckets_fetch,
                Buckets::Imgproxy => table::IMGPROXY_BUCKETS,
            };
            let name = full_name(metric, &config.namespace);
            builder = builder
                .set_buckets_for_metric(Matcher::Full(name.clone()), bounds)
                .map_err(|error| format!("{name}: {error}"))?;
        }
        let registry = Self {
            recorder: std::sync::Arc::new(builder.build_recorder()),
            namespace: config.namespace.clone(),
        };
        for metric in METRICS {
            let name = full_name(metric, &registry.namespace).into();
            let help = metric.help.into();
            match metric.kind {
                MetricKind::Counter => registry.recorder.describe_counter(name, None, help),
                MetricKind::Gauge => registry.recorder.describe_gauge(name, None, help),
                MetricKind::Histogram => registry.recorder.describe_histogram(name, None, help),
            }
        }
        Ok(registry)
    }

    fn counter(&self, metric: &Metric, labels: Vec<Label>) -> Counter {
        let key = Key::from_parts(full_name(metric, &self.namespace), labels);
        self.recorder.register_counter(&key, &METADATA)
    }

    fn gauge(&self, metric: &Metric, labels: Vec<Label>) -> Gauge {
        let key = Key::from_parts(full_name(metric, &self.namespace), labels);
        self.recorder.register_gauge(&key, &METADATA)
    }

    fn histogram(&self, metric: &Metric, labels: Vec<Label>) -> Histogram {
        let key = Key::from_parts(full_name(metric, &self.namespace), labels);
        self.recorder.register_histogram(&key, &METADATA)
    }

    fn counters(
        &self,
        metric: &Metric,
        cells: usize,
        labels: fn(usize) -> Vec<Label>,
    ) -> Handles<Counter> {
        self.handles(metric, cells, labels, Self::counter)
    }

    fn gauges(
        &self,
        metric: &Metric,
        cells: usize,
        labels: fn(usize) -> Vec<Label>,
    ) -> Handles<Gauge> {
        self.handles(metric, cells, labels, Self::gauge)
    }

    fn histograms(
        &self,
        metric: &Metric,
        cells: usize,
        labels: fn(usize) -> Vec<Label>,
    ) -> Handles<Histogram> {
        self.handles(metric, cells, labels, Self::histogram)
    }

    fn handles<T: 'static>(
        &self,
        metric: &Metric,
        cells: usize,
        labels: fn(usize) -> Vec<Label>,
        register: fn(&Self, &Metric, Vec<Label>) -> T,
    ) -> Handles<T> {
        let (registry, metric) = (self.share(), *metric);
        Handles {
            labels,
            cells: (0..cells).map(|_| OnceLock::new()).collect(),
            register: Box::new(move |labels| register(&registry, &metric, labels)),
        }
    }

    fn share(&self) -> Self {
        Self {
            recorder: std::sync::Arc::clone(&self.recorder),
            namespace: self.namespace.clone(),
        }
    }
}

fn full_name(metric: &Metric, namespace: &str) -> String {
    if metric.namespaced && !namespace.is_empty() {
        format!("{namespace}_{}", metric.name)
    } else {
        metric.name.to_owned()
    }
}

fn http_labels(index: usize) -> Vec<Label> {
    let verb = Verb::ALL
        .get(index / Route::ALL.len())
        .map_or("", |v| v.label());
    let route = Route::ALL
        .get(index % Route::ALL.len())
        .map_or("", |r| r.label());
    vec![Label::new("method", verb), Label::new("path", route)]
}

fn format_labels(index: usize) -> Vec<Label> {
    vec![Label::new(
        "format",
        ImageFormat::ALL.get(index).map_or("", |f| f.name()),
    )]
}

fn fetched_labels(index: usize) -> Vec<Label> {
    vec![Label::new(
        "status",
        if index == 0 { "success" } else { "error" },
    )]
}

fn cache_labels(index: usize) -> Vec<Label> {
    vec![Label::new(
        "cache_type",
        CacheKind::ALL.get(index).map_or("", |c| c.label()),
    )]
}

fn status_labels(index: usize) -> Vec<Label> {
    vec![Label::new("status", format!("{index:03}"))]
}

fn error_labels(index: usize) -> Vec<Label> {
    vec![Label::new(
        "type",
        Category::ALL.get(index).map_or("", |c| c.label()),
    )]
}

fn span_labels(index: usize) -> Vec<Label> {
    vec![Label::new(
        "span",
        Span::ALL.get(index).map_or("", |s| s.label()),
    )]
}

fn reason_labels(index: usize) -> Vec<Label> {
    vec![Label::new(
        "reason",
        Reason::ALL.get(index).map_or("", |r| r.label()),
    )]
}

fn scheme_labels(index: usize) -> Vec<Label> {
    vec![Label::new(
        "scheme",
        Scheme::ALL.get(index).map_or("", |s| s.label()),
    )]
}

fn source_fetch_labels(index: usize) -> Vec<Label> {
    let outcomes = FetchOutcome::ALL.len();
    let outcome = FetchOutcome::ALL
        .get(index % outcomes)
        .map_or("", |o| o.label());
    let mut labels = scheme_labels(index / outcomes);
    labels.push(Label::new("outcome", outcome));
    labels
}

fn load(count: &AtomicU64) -> f64 {
    float(count.load(Ordering::Relaxed))
}

/// Exact up to 2^53, which no gauge here reaches.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are doubles in the exposition format"
)]
fn float(value: u64) -> f64 {
    value as f64
}

type CacheProbe = (CacheKind, Box<dyn Fn() -> CacheState + Send>);

static SERIES: OnceLock<Series> = OnceLock::new();
static VIPS_PROBE: Mutex<Option<fn() -> (u64, u64, u64)>> = Mutex::new(None);
static CACHE_PROBE: Mutex<Option<CacheProbe>> = Mutex::new(None);
static WORKERS: AtomicU64 = AtomicU64::new(0);
static REQUESTS_IN_PROGRESS: AtomicU64 = AtomicU64::new(0);
static IMAGES_IN_PROGRESS: AtomicU64 = AtomicU64::new(0);
static QUEUE_LENGTH: AtomicU64 = AtomicU64::new(0);
static METADATA: Metadata<'static> = Metadata::new("imgforge", Level::INFO, None);

/// Rule: `spec/monitoring.md` B4.
const INITIAL_STATUSES: &[u16] = &[200, 304, 400, 403, 404, 422, 429, 499, 500, 503, 504];
