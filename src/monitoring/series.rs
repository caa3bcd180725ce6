//! The handles of every family, and which of them exist from the start. Rule: `spec/monitoring.md` B4.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Histogram, Label};
use metrics_exporter_prometheus::PrometheusHandle;

use super::labels::{
    self, CacheFault, CacheKind, Delivery, FetchOutcome, Integration, Phase, Reason, ReportService,
    Route, Scheme, Span, Verb,
};
use super::registry::{Handles, NAMESPACED_STATUS_CODES, Registry};
use super::{
    AUXILIARY, CACHE_PROBES, Facts, IMAGES_IN_PROGRESS, OPERATIONS_ACTIVE, QUEUE_PROBE,
    READY_PROBE, REQUESTS_IN_PROGRESS, VIPS_PROBE, WORKERS, float, table,
};
use crate::config::MonitoringConfig;
use crate::error::Category;
use crate::format::ImageFormat;

pub(super) struct Series {
    pub(super) handle: PrometheusHandle,
    pub(super) http: Handles<Histogram>,
    pub(super) processing: Handles<Histogram>,
    pub(super) processed: Handles<Counter>,
    pub(super) fetch_duration: Histogram,
    pub(super) fetched: Handles<Counter>,
    pub(super) cache_hits: Handles<Counter>,
    pub(super) cache_misses: Handles<Counter>,
    pub(super) status: Handles<Counter>,
    pub(super) image_status: Option<Handles<Counter>>,
    pub(super) requests: Counter,
    pub(super) errors: Handles<Counter>,
    pub(super) request_duration: Histogram,
    pub(super) spans: Handles<Histogram>,
    pub(super) source_fetches: Handles<Counter>,
    pub(super) source_bytes: Handles<Counter>,
    pub(super) auxiliary: Handles<Counter>,
    pub(super) operation_wait: Histogram,
    pub(super) operation_queue: Histogram,
    pub(super) operation_execution: Histogram,
    pub(super) response_bytes: Counter,
    pub(super) collapsed: Counter,
    pub(super) shared_downloads: Counter,
    pub(super) rejected: Handles<Counter>,
    pub(super) reloads: Handles<Counter>,
    pub(super) last_reload: Gauge,
    pub(super) ssrf_blocked: Counter,
    pub(super) telemetry_dropped: Handles<Counter>,
    pub(super) log_suppressed: Counter,
    pub(super) syslog_dropped: Counter,
    pub(super) error_reports: Handles<Counter>,
    pub(super) cache_entries: Handles<Gauge>,
    pub(super) cache_bytes: Handles<Gauge>,
    pub(super) cache_evictions: Handles<Counter>,
    pub(super) cache_errors: Handles<Counter>,
    pub(super) cache_purged: Handles<Counter>,
    /// Gauges set at scrape time, in the order of [`Series::refresh`].
    pub(super) workers: Gauge,
    pub(super) requests_in_progress: Gauge,
    pub(super) images_in_progress: Gauge,
    pub(super) utilization: Gauge,
    pub(super) ready: Gauge,
    pub(super) queue_length: Gauge,
    pub(super) queue_work: Gauge,
    pub(super) decoded_memory: Gauge,
    pub(super) waiting: Handles<Gauge>,
    pub(super) delayed_downloads: Counter,
    pub(super) source_memory: Gauge,
    pub(super) operation_limit: Gauge,
    pub(super) operations_active: Gauge,
    pub(super) operations_waiting: Gauge,
    pub(super) vips: [[Gauge; 2]; 3],
}

impl Series {
    pub(super) fn new(config: &MonitoringConfig, facts: &Facts) -> Result<Self, String> {
        let registry = Registry::new(config)?;
        let caches = || facts.caches.iter().map(|c| c.index());
        let disks = || {
            let is_disk = |c: &&CacheKind| matches!(c, CacheKind::Disk | CacheKind::SourceDisk);
            facts.cache_tiers.iter().filter(is_disk)
        };
        let tiers = || facts.cache_tiers.iter().map(|c| c.index());
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
        super::set_workers(facts.workers.try_into().unwrap_or(u64::MAX));
        let gauge = |metric| registry.gauge(metric, Vec::new());
        let operation = |metric| registry.histogram(metric, labels::operation_labels());
        let last_reload = gauge(&table::LAST_RELOAD);
        set_to_now(&last_reload);
        let schemes = || facts.schemes.iter().map(|s| s.index());
        let outcomes = FetchOutcome::ALL.len();
        Ok(Self {
            handle: registry.handle(),
            // GET is Verb 0, so its routes are the first cells.
            http: registry
                .histograms(&table::HTTP_DURATION, verbs, labels::http_labels)
                .create(0..Route::ALL.len()),
            processing: registry
                .histograms(
                    &table::PROCESSING_DURATION,
                    ImageFormat::ALL.len(),
                    labels::format_labels,
                )
                .create(formats()),
            processed: registry
                .counters(
                    &table::PROCESSED,
                    ImageFormat::ALL.len(),
                    labels::format_labels,
                )
                .create(formats()),
            fetch_duration: registry.histogram(&table::FETCH_DURATION, Vec::new()),
            fetched: registry
                .counters(&table::FETCHED, 2, labels::fetched_labels)
                .create(0..2),
            cache_hits: registry
                .counters(
                    &table::CACHE_HITS,
                    CacheKind::ALL.len(),
                    labels::cache_labels,
                )
                .create(caches()),
            cache_misses: registry
                .counters(
                    &table::CACHE_MISSES,
                    CacheKind::ALL.len(),
                    labels::cache_labels,
                )
                .create(caches()),
            status: registry
                .counters(&table::STATUS_CODES, 1000, labels::status_labels)
                .create(statuses()),
            image_status: (!config.namespace.is_empty()).then(|| {
                registry
                    .counters(&NAMESPACED_STATUS_CODES, 1000, labels::status_labels)
                    .create(statuses())
            }),
            requests: registry.counter(&table::REQUESTS, Vec::new()),
            errors: registry
                .counters(&table::ERRORS, Category::ALL.len(), labels::error_labels)
                .create(0..Category::ALL.len()),
            request_duration: registry.histogram(&table::REQUEST_DURATION, Vec::new()),
            spans: registry
                .histograms(&table::SPAN_DURATION, Span::ALL.len(), labels::span_labels)
                .create(0..Span::ALL.len()),
            source_fetches: registry
                .counters(
                    &table::SOURCE_FETCHES,
                    Scheme::ALL.len() * outcomes,
                    labels::source_fetch_labels,
                )
                .create(schemes().flat_map(|s| s * outcomes..(s + 1) * outcomes)),
            source_bytes: registry
                .counters(
                    &table::SOURCE_BYTES,
                    Scheme::ALL.len(),
                    labels::scheme_labels,
                )
                .create(schemes()),
            auxiliary: registry.counters(
                &table::AUXILIARY,
                AUXILIARY.len(),
                labels::auxiliary_labels,
            ),
            operation_wait: operation(&table::OPERATION_WAIT),
            operation_queue: operation(&table::OPERATION_QUEUE),
            operation_execution: operation(&table::OPERATION_EXECUTION),
            response_bytes: registry.counter(&table::RESPONSE_BYTES, Vec::new()),
            collapsed: registry.counter(&table::COLLAPSED, Vec::new()),
            shared_downloads: registry.counter(&table::SHARED_DOWNLOADS, Vec::new()),
            rejected: registry
                .counters(&table::REJECTED, Reason::ALL.len(), labels::reason_labels)
                .create(0..Reason::ALL.len()),
            reloads: registry
                .counters(&table::RELOADS, 2, labels::reload_labels)
                .create(0..2),
            last_reload,
            ssrf_blocked: registry.counter(&table::SSRF_BLOCKED, Vec::new()),
            telemetry_dropped: registry
                .counters(
                    &table::TELEMETRY_DROPPED,
                    Integration::ALL.len(),
                    labels::integration_labels,
                )
                .create(0..Integration::ALL.len()),
            log_suppressed: registry.counter(&table::LOG_SUPPRESSED, Vec::new()),
            syslog_dropped: registry.counter(&table::SYSLOG_DROPPED, Vec::new()),
            error_reports: registry
                .counters(
                    &table::ERROR_REPORTS,
                    ReportService::ALL.len() * Delivery::ALL.len(),
                    labels::report_labels,
                )
                .create(facts.report_services.iter().flat_map(|service| {
                    let first = service.index() * Delivery::ALL.len();
                    first..first + Delivery::ALL.len()
                })),
            cache_entries: registry
                .gauges(
                    &table::CACHE_ENTRIES,
                    CacheKind::ALL.len(),
                    labels::cache_labels,
                )
                .create(tiers()),
            cache_bytes: registry
                .gauges(
                    &table::CACHE_BYTES,
                    CacheKind::ALL.len(),
                    labels::cache_labels,
                )
                .create(tiers()),
            cache_evictions: registry
                .counters(
                    &table::CACHE_EVICTIONS,
                    CacheKind::ALL.len(),
                    labels::cache_labels,
                )
                .create(tiers()),
            cache_errors: registry
                .counters(
                    &table::CACHE_ERRORS,
                    CacheKind::ALL.len() * CacheFault::ALL.len(),
                    labels::cache_fault_labels,
                )
                .create(disks().flat_map(|disk| {
                    let faults = CacheFault::ALL.len();
                    (0..faults).map(move |fault| disk.index() * faults + fault)
                })),
            cache_purged: registry
                .counters(
                    &table::CACHE_PURGED,
                    CacheKind::ALL.len(),
                    labels::cache_labels,
                )
                .create(caches()),
            workers: gauge(&table::WORKERS),
            requests_in_progress: gauge(&table::REQUESTS_IN_PROGRESS),
            images_in_progress: gauge(&table::IMAGES_IN_PROGRESS),
            utilization: gauge(&table::UTILIZATION),
            ready: gauge(&table::READY),
            queue_length: gauge(&table::QUEUE_LENGTH),
            queue_work: gauge(&table::QUEUE_WORK),
            decoded_memory: gauge(&table::DECODED_MEMORY),
            waiting: registry
                .gauges(&table::WAITING, Phase::ALL.len(), labels::phase_labels)
                .create(0..Phase::ALL.len()),
            delayed_downloads: registry.counter(&table::DELAYED_DOWNLOADS, Vec::new()),
            source_memory: gauge(&table::SOURCE_MEMORY),
            operation_limit: gauge(&table::OPERATION_LIMIT),
            operations_active: registry
                .gauge(&table::OPERATIONS_ACTIVE, labels::operation_labels()),
            operations_waiting: registry
                .gauge(&table::OPERATIONS_WAITING, labels::operation_labels()),
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

    pub(super) fn refresh(&self) {
        let (workers, requests) = (load(&WORKERS), load(&REQUESTS_IN_PROGRESS));
        self.workers.set(workers);
        self.requests_in_progress.set(requests);
        self.images_in_progress.set(load(&IMAGES_IN_PROGRESS));
        self.utilization.set(requests / workers.max(1.0) * 100.0);
        if let Some(probe) = &*READY_PROBE.lock().unwrap_or_else(PoisonError::into_inner) {
            self.ready.set(if probe() { 1.0 } else { 0.0 });
        }
        if let Some(probe) = &*QUEUE_PROBE.lock().unwrap_or_else(PoisonError::into_inner) {
            let state = probe();
            self.queue_length.set(float(state.worker));
            self.operations_waiting.set(float(state.worker));
            self.queue_work.set(state.work.as_secs_f64());
            self.decoded_memory.set(float(state.decoded_bytes));
            for (phase, waiting) in [
                (Phase::Host, state.host),
                (Phase::Memory, state.memory),
                (Phase::Worker, state.worker),
            ] {
                self.waiting
                    .record(phase.index(), |g| g.set(float(waiting)));
            }
            self.delayed_downloads.absolute(state.delayed);
            self.source_memory.set(float(state.source_bytes));
        }
        self.operation_limit.set(workers);
        self.operations_active.set(load(&OPERATIONS_ACTIVE));
        for (cell, count) in AUXILIARY.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            self.auxiliary.record(cell, |c| c.absolute(count));
        }
        let probe = *VIPS_PROBE.lock().unwrap_or_else(PoisonError::into_inner);
        let (memory, highwater, allocs) = probe.map_or((0, 0, 0), |probe| probe());
        for (pair, value) in self.vips.iter().zip([memory, highwater, allocs]) {
            pair.iter().for_each(|gauge| gauge.set(float(value)));
        }
        let probes = CACHE_PROBES.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, probe) in &*probes {
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

/// The time at which something happened, which is now.
pub(super) fn set_to_now(gauge: &Gauge) {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    gauge.set(since.as_secs_f64());
}

fn load(count: &AtomicU64) -> f64 {
    float(count.load(Ordering::Relaxed))
}

/// Rule: `spec/monitoring.md` B4.
const INITIAL_STATUSES: &[u16] = &[200, 304, 400, 403, 404, 422, 429, 499, 500, 503, 504];
