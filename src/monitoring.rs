//! Every metric: the table, the handles, the record functions, the text of a scrape. Rule: `spec/monitoring.md` part B.
//!
//! This module alone touches the metrics library. Each label set has a handle that is looked up once, so that recording
//! is an index and an atomic. Before [`register_metrics`] every record function does nothing, so a server without a
//! metrics listener pays nothing and collects nothing.

mod labels;
mod metric;
mod process;
mod progress;
mod registry;
mod series;
mod table;
pub mod trace;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::config::MonitoringConfig;
use crate::error::Category;
use crate::format::ImageFormat;
use series::Series;

pub use labels::{
    AuxiliaryKind, CacheFault, CacheKind, Delivery, FetchOutcome, Integration, Phase, Reason,
    ReportService, Route, Scheme, Span, Verb,
};
pub use metric::{Buckets, IMGPROXY_BUCKETS, Metric, MetricKind};
pub use process::{PROCESS_METRICS, memory as process_memory};
pub use progress::InProgress;
pub use table::METRICS;

/// What the initial series depend on. Rule: `spec/monitoring.md` B4.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Formats that this build can save.
    pub formats: Vec<ImageFormat>,
    /// Caches that are on, as their look-ups are counted.
    pub caches: Vec<CacheKind>,
    /// Their tiers.
    pub cache_tiers: Vec<CacheKind>,
    /// Schemes of sources that are on.
    pub schemes: Vec<Scheme>,
    /// Services that errors are reported to.
    pub report_services: Vec<ReportService>,
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

/// Resident memory of the process in bytes; `None` where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    process::resident_bytes()
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

/// Sets where the gauges of a cache's tier come from, in place of what was set for it before.
pub fn set_cache_probe(kind: CacheKind, probe: impl Fn() -> CacheState + Send + 'static) {
    let mut probes = CACHE_PROBES.lock().unwrap_or_else(PoisonError::into_inner);
    probes.retain(|(other, _)| *other != kind);
    probes.push((kind, Box::new(probe)));
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
    trace::status(code);
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
    trace::child(span, seconds);
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

/// The watermark or the fallback image was downloaded, or could not be. Kept until there is a recorder, because this
/// happens before the listeners are up.
pub fn auxiliary_fetched(kind: AuxiliaryKind, success: bool) {
    if let Some(count) = AUXILIARY.get(2 * kind.index() + usize::from(!success)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request got a worker after `seconds`.
pub fn operation_waited(seconds: f64) {
    with(|s| s.operation_wait.record(seconds));
}

/// A worker thread took an image `seconds` after it was handed over.
pub fn operation_queued(seconds: f64) {
    with(|s| s.operation_queue.record(seconds));
}

/// A worker thread was busy with one image for `seconds`.
pub fn operation_executed(seconds: f64) {
    with(|s| s.operation_execution.record(seconds));
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

/// A tier on a disk did not do what it was asked.
pub fn cache_fault(kind: CacheKind, fault: CacheFault) {
    let index = kind.index() * CacheFault::ALL.len() + fault.index();
    with(|s| s.cache_errors.record(index, |c| c.increment(1)));
}

/// A purge has removed so many entries of a cache.
pub fn cache_purged(kind: CacheKind, entries: u64) {
    with(|s| {
        s.cache_purged
            .record(kind.index(), |c| c.increment(entries))
    });
}

/// A request was answered by a job that was already running.
pub fn collapsed() {
    with(|s| s.collapsed.increment(1));
}

/// A request was given a source that another one has downloaded.
pub fn download_shared() {
    with(|s| s.shared_downloads.increment(1));
}

/// An image request was refused.
pub fn rejected(reason: Reason) {
    with(|s| s.rejected.record(reason.index(), |c| c.increment(1)));
}

/// SIGHUP was followed by a reload, or by none because the new configuration is wrong.
pub fn reloaded(success: bool) {
    with(|s| {
        s.reloads.record(usize::from(!success), |c| c.increment(1));
        if success {
            series::set_to_now(&s.last_reload);
        }
    });
}

/// The address guard refused to dial.
pub fn ssrf_blocked() {
    with(|s| s.ssrf_blocked.increment(1));
}

/// Something could not be sent to an integration.
pub fn telemetry_dropped(integration: Integration, count: u64) {
    with(|s| {
        s.telemetry_dropped
            .record(integration.index(), |c| c.increment(count))
    });
}

/// A warning or an error was not logged because of a flood.
pub fn log_line_suppressed() {
    with(|s| s.log_suppressed.increment(1));
}

/// A log line did not reach syslog.
pub fn syslog_line_dropped() {
    with(|s| s.syslog_dropped.increment(1));
}

/// What became of an error report.
pub fn error_report(service: ReportService, delivery: Delivery) {
    let index = service.index() * Delivery::ALL.len() + delivery.index();
    with(|s| s.error_reports.record(index, |c| c.increment(1)));
}

/// Bytes of a response body were handed to the connection.
pub fn response_bytes(bytes: u64) {
    with(|s| s.response_bytes.increment(bytes));
}

/// Who waits for what at scrape time.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueState {
    /// Requests that wait for a worker.
    pub worker: u64,
    /// Time that the jobs of these should take, added up.
    pub work: Duration,
    /// Bytes that the jobs on workers should take for pixels.
    pub decoded_bytes: u64,
    /// Downloads that wait for their host.
    pub host: u64,
    /// Downloads that wait for memory.
    pub memory: u64,
    /// Downloads that have had to wait for their host since the start.
    pub delayed: u64,
    /// Bytes of sources in memory.
    pub source_bytes: u64,
}

/// Sets where the gauges of the queue come from.
pub fn set_queue_probe(probe: impl Fn() -> QueueState + Send + 'static) {
    *QUEUE_PROBE.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(probe));
}

/// Sets where the gauge of readiness comes from: whether requests are welcome.
pub fn set_ready_probe(probe: impl Fn() -> bool + Send + 'static) {
    *READY_PROBE.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(probe));
}

/// What is in progress right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Configured workers.
    pub workers: u64,
    /// Image requests inside the handler.
    pub requests: u64,
    /// Image requests that hold a worker, and raw streams.
    pub images: u64,
    /// Bytes, high-water mark and live allocations of libvips.
    pub vips: (u64, u64, u64),
}

impl Load {
    /// Requests in progress for each hundred workers; above 100 where requests queue.
    pub fn utilization(&self) -> f64 {
        float(self.requests) / float(self.workers.max(1)) * 100.0
    }
}

/// Reads the gauges that every integration sends.
pub fn load() -> Load {
    let probe = *VIPS_PROBE.lock().unwrap_or_else(PoisonError::into_inner);
    Load {
        workers: WORKERS.load(Ordering::Relaxed),
        requests: REQUESTS_IN_PROGRESS.load(Ordering::Relaxed),
        images: IMAGES_IN_PROGRESS.load(Ordering::Relaxed),
        vips: probe.map(|probe| probe()).unwrap_or_default(),
    }
}

/// Exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "gauges need no more")]
pub fn float(value: u64) -> f64 {
    value as f64
}

/// Configured workers.
pub fn set_workers(workers: u64) {
    WORKERS.store(workers, Ordering::Relaxed);
}

fn with(record: impl FnOnce(&Series)) {
    if let Some(series) = SERIES.get() {
        record(series);
    }
}

type VipsProbe = fn() -> (u64, u64, u64);
type QueueProbe = Box<dyn Fn() -> QueueState + Send>;
type ReadyProbe = Box<dyn Fn() -> bool + Send>;
type CacheProbe = (CacheKind, Box<dyn Fn() -> CacheState + Send>);

static SERIES: OnceLock<Series> = OnceLock::new();
static VIPS_PROBE: Mutex<Option<VipsProbe>> = Mutex::new(None);
static CACHE_PROBES: Mutex<Vec<CacheProbe>> = Mutex::new(Vec::new());
static WORKERS: AtomicU64 = AtomicU64::new(0);
static REQUESTS_IN_PROGRESS: AtomicU64 = AtomicU64::new(0);
static IMAGES_IN_PROGRESS: AtomicU64 = AtomicU64::new(0);
static OPERATIONS_ACTIVE: AtomicU64 = AtomicU64::new(0);
/// By kind, then success before error.
static AUXILIARY: [AtomicU64; 2 * AuxiliaryKind::ALL.len()] =
    [const { AtomicU64::new(0) }; 2 * AuxiliaryKind::ALL.len()];
static QUEUE_PROBE: Mutex<Option<QueueProbe>> = Mutex::new(None);
static READY_PROBE: Mutex<Option<ReadyProbe>> = Mutex::new(None);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_well_formed() {
        let mut names = HashSet::new();
        for metric in METRICS {
            assert!(names.insert(metric.name), "{} twice", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            let is_counter = metric.kind == MetricKind::Counter;
            assert_eq!(
                metric.name.ends_with("_total"),
                is_counter,
                "{}",
                metric.name
            );
            let is_histogram = metric.kind == MetricKind::Histogram;
            assert_eq!(
                metric.buckets != Buckets::None,
                is_histogram,
                "{}",
                metric.name
            );
        }
    }

    /// Cells of the format families are numbered by the enum's own values.
    #[test]
    fn positions_match() {
        for (position, format) in ImageFormat::ALL.into_iter().enumerate() {
            assert_eq!(format as usize, position, "{format}");
        }
        assert_eq!(Verb::Get.index(), 0);
    }

    #[test]
    fn recording_without_a_recorder_does_nothing() {
        // Whichever test comes first; neither order may panic.
        cache_hit(CacheKind::Memory);
        status(9999);
        let before = REQUESTS_IN_PROGRESS.load(Ordering::Relaxed);
        let guard = InProgress::requests();
        assert!(REQUESTS_IN_PROGRESS.load(Ordering::Relaxed) > before.saturating_sub(1));
        drop(guard);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn process_metrics_are_plausible() {
        let mut text = String::new();
        process::render(&mut text);
        for (name, kind, _) in PROCESS_METRICS {
            assert!(
                text.contains(&format!("# TYPE {name} {kind}\n{name} ")),
                "{name} in {text}"
            );
        }
    }
}
