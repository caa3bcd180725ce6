//! The table of metrics: name, type, help, labels, buckets. Rules: `spec/monitoring.md` A1, B2, B5, B6.

use super::metric::{Buckets, Metric, counter, gauge, histogram, namespaced};

pub(super) const HTTP_DURATION: Metric = histogram(
    "http_requests_duration_seconds",
    &["method", "path"],
    Buckets::Http,
    "Time from a complete request head to the last byte of the answer.",
);
pub(super) const PROCESSING_DURATION: Metric = histogram(
    "image_processing_duration_seconds",
    &["format"],
    Buckets::Processing,
    "Time to decode, transform and encode one image.",
);
pub(super) const FETCH_DURATION: Metric = histogram(
    "source_image_fetch_duration_seconds",
    &[],
    Buckets::Fetch,
    "Time from sending a source request to the end of its body.",
);
pub(super) const PROCESSED: Metric = counter(
    "processed_images_total",
    &["format"],
    "Images successfully encoded, by result format.",
);
pub(super) const FETCHED: Metric = counter(
    "source_images_fetched_total",
    &["status"],
    "Source downloads, by success.",
);
pub(super) const CACHE_HITS: Metric = counter(
    "cache_hits_total",
    &["cache_type"],
    "Lookups answered by a cache layer.",
);
pub(super) const CACHE_MISSES: Metric = counter(
    "cache_misses_total",
    &["cache_type"],
    "Lookups that a cache layer could not answer.",
);
pub(super) const STATUS_CODES: Metric = counter(
    "status_codes_total",
    &["status"],
    "Answers of the image and unmatched routes, by HTTP status.",
);
pub(super) const VIPS_TRACKED_MEM: Metric =
    gauge("vips_tracked_mem_bytes", &[], "Memory that libvips tracks.");
pub(super) const VIPS_TRACKED_HIGHWATER: Metric = gauge(
    "vips_tracked_mem_highwater_bytes",
    &[],
    "The most memory that libvips has tracked so far.",
);
pub(super) const VIPS_TRACKED_ALLOCS: Metric = gauge(
    "vips_tracked_allocs",
    &[],
    "Live allocations that libvips tracks.",
);
pub(super) const REQUESTS: Metric =
    namespaced(counter("requests_total", &[], "Image requests started."));
pub(super) const ERRORS: Metric = namespaced(counter(
    "errors_total",
    &["type"],
    "Image requests that failed, by stage.",
));
pub(super) const REQUEST_DURATION: Metric = namespaced(histogram(
    "request_duration_seconds",
    &[],
    Buckets::Imgproxy,
    "Time of a whole image request, queueing and writing included.",
));
pub(super) const SPAN_DURATION: Metric = namespaced(histogram(
    "request_span_duration_seconds",
    &["span"],
    Buckets::Imgproxy,
    "Time of one stage of an image request.",
));
pub(super) const WORKERS: Metric = namespaced(gauge("workers", &[], "Configured workers."));
pub(super) const REQUESTS_IN_PROGRESS: Metric = namespaced(gauge(
    "requests_in_progress",
    &[],
    "Image requests inside the handler, queued ones included.",
));
pub(super) const IMAGES_IN_PROGRESS: Metric = namespaced(gauge(
    "images_in_progress",
    &[],
    "Image requests that hold a worker, and raw streams.",
));
pub(super) const UTILIZATION: Metric = namespaced(gauge(
    "workers_utilization",
    &[],
    "Requests in progress as a percentage of the workers; passes 100 when requests queue.",
));
pub(super) const VIPS_MEMORY: Metric = namespaced(gauge(
    "vips_memory_bytes",
    &[],
    "Memory that libvips tracks.",
));
pub(super) const VIPS_MAX_MEMORY: Metric = namespaced(gauge(
    "vips_max_memory_bytes",
    &[],
    "The most memory that libvips has tracked so far.",
));
pub(super) const VIPS_ALLOCS: Metric = namespaced(gauge(
    "vips_allocs",
    &[],
    "Live allocations that libvips tracks.",
));
pub(super) const BUILD_INFO: Metric = gauge(
    "imgforge_build_info",
    &["version", "revision", "libvips"],
    "Always 1; the labels say what is running.",
);
pub(super) const SOURCE_FETCHES: Metric = counter(
    "imgforge_source_fetches_total",
    &["scheme", "outcome"],
    "Source downloads, by scheme and outcome.",
);
pub(super) const SOURCE_BYTES: Metric = counter(
    "imgforge_source_bytes_total",
    &["scheme"],
    "Bytes of source bodies as they came, those of failed downloads included.",
);
pub(super) const AUXILIARY: Metric = counter(
    "imgforge_auxiliary_fetches_total",
    &["kind", "status"],
    "Downloads of the watermark and the fallback image.",
);
pub(super) const OPERATION_WAIT: Metric = histogram(
    "image_operation_semaphore_wait_duration_seconds",
    &["operation"],
    Buckets::Processing,
    "Time that a request waits for a worker.",
);
pub(super) const OPERATION_QUEUE: Metric = histogram(
    "image_operation_blocking_queue_duration_seconds",
    &["operation"],
    Buckets::Processing,
    "Time from handing an image over to its worker thread until the thread takes it.",
);
pub(super) const OPERATION_EXECUTION: Metric = histogram(
    "image_operation_execution_duration_seconds",
    &["operation"],
    Buckets::Processing,
    "Time on a worker thread, failed and cancelled images included.",
);
pub(super) const OPERATION_LIMIT: Metric = gauge(
    "image_operation_concurrency_limit",
    &[],
    "Images that may be worked on at once.",
);
pub(super) const OPERATIONS_ACTIVE: Metric = gauge(
    "image_operations_active",
    &["operation"],
    "Images on a worker thread.",
);
pub(super) const OPERATIONS_WAITING: Metric = gauge(
    "image_operations_waiting",
    &["operation"],
    "Requests that wait for a worker.",
);
pub(super) const RESPONSE_BYTES: Metric = counter(
    "imgforge_response_bytes_total",
    &[],
    "Bytes of response bodies sent by the main listener.",
);
pub(super) const COLLAPSED: Metric = counter(
    "imgforge_collapsed_requests_total",
    &[],
    "Requests answered by a job that was already running.",
);
pub(super) const SHARED_DOWNLOADS: Metric = counter(
    "imgforge_shared_downloads_total",
    &[],
    "Requests given a source that another request downloaded at the same time.",
);
pub(super) const REJECTED: Metric = counter(
    "imgforge_rejected_requests_total",
    &["reason"],
    "Image requests refused, by reason.",
);
pub(super) const CACHE_ENTRIES: Metric = gauge(
    "imgforge_cache_entries",
    &["cache_type"],
    "Entries in a cache.",
);
pub(super) const CACHE_BYTES: Metric = gauge(
    "imgforge_cache_bytes",
    &["cache_type"],
    "Bytes held by a cache.",
);
pub(super) const CACHE_EVICTIONS: Metric = counter(
    "imgforge_cache_evictions_total",
    &["cache_type"],
    "Entries that a cache dropped to make room.",
);
pub(super) const CACHE_ERRORS: Metric = counter(
    "imgforge_cache_errors_total",
    &["cache_type", "reason"],
    "Look-ups and writes of a cache on a disk that failed or were not tried; requests go on without it.",
);
pub(super) const CACHE_PURGED: Metric = counter(
    "imgforge_cache_purged_total",
    &["cache_type"],
    "Entries removed by purges.",
);
pub(super) const READY: Metric = gauge(
    "imgforge_ready",
    &[],
    "1 while requests are welcome, 0 while the server stops or its queue stays full; health is not part of it.",
);
pub(super) const QUEUE_LENGTH: Metric = gauge(
    "imgforge_queue_length",
    &[],
    "Image requests waiting for a worker.",
);
pub(super) const WAITING: Metric = gauge(
    "imgforge_waiting_requests",
    &["phase"],
    "Image requests that wait, by what they wait for.",
);
pub(super) const QUEUE_WORK: Metric = gauge(
    "imgforge_queue_work_seconds",
    &[],
    "Time that the jobs that wait for a worker should take on it, added up.",
);
pub(super) const DECODED_MEMORY: Metric = gauge(
    "imgforge_decoded_memory_bytes",
    &[],
    "Memory that the jobs on workers should take for pixels, counted against its budget.",
);
pub(super) const DELAYED_DOWNLOADS: Metric = counter(
    "imgforge_delayed_downloads_total",
    &[],
    "Downloads that had to wait for others from the same host.",
);
pub(super) const SOURCE_MEMORY: Metric = gauge(
    "imgforge_source_memory_bytes",
    &[],
    "Bytes of sources in memory, counted against their budget.",
);
pub(super) const RELOADS: Metric = counter(
    "imgforge_config_reloads_total",
    &["result"],
    "Reloads of the configuration, by success.",
);
pub(super) const LAST_RELOAD: Metric = gauge(
    "imgforge_config_last_reload_success_timestamp_seconds",
    &[],
    "When the configuration in use was read, in seconds since 1970.",
);
pub(super) const SSRF_BLOCKED: Metric = counter(
    "imgforge_ssrf_blocked_total",
    &[],
    "Source addresses that the address guard refused to dial.",
);
pub(super) const LOG_SUPPRESSED: Metric = counter(
    "imgforge_log_lines_suppressed_total",
    &[],
    "Warnings and errors that were not logged because there were too many of them.",
);
pub(super) const SYSLOG_DROPPED: Metric = counter(
    "imgforge_syslog_lines_dropped_total",
    &[],
    "Log lines that syslog did not get because its daemon was gone or too slow.",
);
pub(super) const ERROR_REPORTS: Metric = counter(
    "imgforge_error_reports_total",
    &["service", "outcome"],
    "Errors reported, by service and by what became of the report.",
);

pub(super) const TELEMETRY_DROPPED: Metric = counter(
    "imgforge_telemetry_dropped_total",
    &["integration"],
    "Traces, log lines and exports of metrics that could not be sent, by integration.",
);

/// Every family that the recorder holds; `process_*` is in [`super::process`].
pub const METRICS: &[Metric] = &[
    HTTP_DURATION,
    PROCESSING_DURATION,
    FETCH_DURATION,
    PROCESSED,
    FETCHED,
    CACHE_HITS,
    CACHE_MISSES,
    STATUS_CODES,
    VIPS_TRACKED_MEM,
    VIPS_TRACKED_HIGHWATER,
    VIPS_TRACKED_ALLOCS,
    REQUESTS,
    ERRORS,
    REQUEST_DURATION,
    SPAN_DURATION,
    WORKERS,
    REQUESTS_IN_PROGRESS,
    IMAGES_IN_PROGRESS,
    UTILIZATION,
    VIPS_MEMORY,
    VIPS_MAX_MEMORY,
    VIPS_ALLOCS,
    BUILD_INFO,
    SOURCE_FETCHES,
    SOURCE_BYTES,
    AUXILIARY,
    OPERATION_WAIT,
    OPERATION_QUEUE,
    OPERATION_EXECUTION,
    OPERATION_LIMIT,
    OPERATIONS_ACTIVE,
    OPERATIONS_WAITING,
    RESPONSE_BYTES,
    COLLAPSED,
    SHARED_DOWNLOADS,
    REJECTED,
    CACHE_ENTRIES,
    CACHE_BYTES,
    CACHE_EVICTIONS,
    CACHE_ERRORS,
    CACHE_PURGED,
    READY,
    QUEUE_LENGTH,
    QUEUE_WORK,
    DECODED_MEMORY,
    WAITING,
    DELAYED_DOWNLOADS,
    SOURCE_MEMORY,
    RELOADS,
    LAST_RELOAD,
    SSRF_BLOCKED,
    TELEMETRY_DROPPED,
    LOG_SUPPRESSED,
    SYSLOG_DROPPED,
    ERROR_REPORTS,
];
