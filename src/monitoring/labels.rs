//! Closed sets of label values. Rule: `spec/monitoring.md` B3. No label holds anything else taken from a request.

use http::Method;
use metrics::Label;

use crate::error::Category;
use crate::format::ImageFormat;

/// Declares a label: a closed enum with its texts in one place.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label text.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Position in [`Self::ALL`].
            pub(super) const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// `path` of the request histogram: a route, never the URL.
    Route {
        /// Landing page.
        Landing => "/",
        /// Health check, whatever its path.
        Health => "/health",
        /// JSON status.
        Status => "/status",
        /// Readiness.
        Ready => "/ready",
        /// Favicon.
        Favicon => "/favicon.ico",
        /// Well-known files.
        WellKnown => "/.well-known/{*path}",
        /// Images, raw streams, and HEAD and OPTIONS below the prefix.
        Image => "/{*path}",
        /// No route.
        Unmatched => "unmatched",
    }
}

label! {
    /// `method` of the request histogram.
    Verb {
        /// GET.
        Get => "GET",
        /// HEAD.
        Head => "HEAD",
        /// OPTIONS.
        Options => "OPTIONS",
        /// POST.
        Post => "POST",
        /// PUT.
        Put => "PUT",
        /// PATCH.
        Patch => "PATCH",
        /// DELETE.
        Delete => "DELETE",
        /// Any other method.
        Other => "OTHER",
    }
}

impl From<&Method> for Verb {
    fn from(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::OPTIONS => Self::Options,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }
}

label! {
    /// `cache_type` of the cache metrics.
    CacheKind {
        /// Results in memory.
        Memory => "memory",
        /// Results on a disk.
        Disk => "disk",
        /// Look-ups of results in both.
        Hybrid => "hybrid",
        /// Sources in memory.
        SourceMemory => "source-memory",
        /// Sources on a disk.
        SourceDisk => "source-disk",
        /// Look-ups of sources in both.
        SourceHybrid => "source-hybrid",
    }
}

label! {
    /// `reason` of `imgforge_cache_errors_total`.
    CacheFault {
        /// An entry could not be read.
        Read => "read",
        /// An entry could not be written or removed.
        Write => "write",
        /// An entry was not what had been written.
        Corrupted => "corrupted",
        /// The disk was not asked because it fails or has too much to do.
        Bypassed => "bypassed",
    }
}

label! {
    /// `span` of `request_span_duration_seconds`.
    Span {
        /// Waiting for a worker.
        Queue => "queue",
        /// Fetching the source.
        DownloadingSourceImage => "downloading_source_image",
        /// Decoding, transforming, encoding.
        ProcessingImage => "processing_image",
        /// Relaying a raw source.
        StreamingImage => "streaming_image",
    }
}

label! {
    /// `reason` of `imgforge_rejected_requests_total`.
    Reason {
        /// The queue is full.
        Queue => "queue",
        /// No time for the job before the deadline.
        Deadline => "deadline",
        /// Too many requests from everybody together.
        RateLimitGlobal => "rate_limit_global",
        /// Too many requests from one client.
        RateLimitClient => "rate_limit_client",
        /// Missing or wrong signature or token.
        Signature => "signature",
        /// Source not allowed.
        Source => "source",
        /// Source or result beyond a limit.
        Limits => "limits",
    }
}

label! {
    /// `phase` of `imgforge_waiting_requests`: what a request waits for.
    Phase {
        /// Its turn at the host of its source.
        Host => "host",
        /// Room for its source.
        Memory => "memory",
        /// A worker.
        Worker => "worker",
    }
}

label! {
    /// `integration` of `imgforge_telemetry_dropped_total`.
    Integration {
        /// An OpenTelemetry collector.
        OpenTelemetry => "open_telemetry",
        /// The Datadog agent.
        Datadog => "datadog",
        /// New Relic.
        NewRelic => "new_relic",
        /// Amazon CloudWatch.
        CloudWatch => "cloud_watch",
    }
}

label! {
    /// `kind` of `imgforge_auxiliary_fetches_total`.
    AuxiliaryKind {
        /// The watermark.
        Watermark => "watermark",
        /// The fallback image.
        Fallback => "fallback",
    }
}

label! {
    /// `service` of `imgforge_error_reports_total`.
    ReportService {
        /// Sentry.
        Sentry => "sentry",
        /// Honeybadger.
        Honeybadger => "honeybadger",
        /// Bugsnag.
        Bugsnag => "bugsnag",
        /// Airbrake.
        Airbrake => "airbrake",
    }
}

label! {
    /// `outcome` of `imgforge_error_reports_total`.
    Delivery {
        /// The service took it.
        Sent => "sent",
        /// The service refused it or did not answer in time.
        Failed => "failed",
        /// It was not sent: too many wait, or the service asked for a pause.
        Dropped => "dropped",
    }
}

label! {
    /// `scheme` of the source metrics.
    Scheme {
        /// Plain HTTP.
        Http => "http",
        /// HTTP over TLS.
        Https => "https",
        /// Local files.
        Local => "local",
        /// Amazon S3 and what speaks its protocol.
        S3 => "s3",
        /// Google Cloud Storage.
        Gs => "gs",
        /// Azure Blob Storage.
        Abs => "abs",
        /// OpenStack Swift.
        Swift => "swift",
    }
}

label! {
    /// `outcome` of `imgforge_source_fetches_total`.
    FetchOutcome {
        /// Fetched.
        Ok => "ok",
        /// The source answered "not modified".
        NotModified => "not_modified",
        /// 404 or 410, or no such file.
        NotFound => "not_found",
        /// 401 or 403, or no permission.
        Forbidden => "forbidden",
        /// Another 4xx.
        Upstream4xx => "upstream_4xx",
        /// 5xx.
        Upstream5xx => "upstream_5xx",
        /// The download deadline passed.
        Timeout => "timeout",
        /// The name did not resolve.
        Dns => "dns",
        /// No connection, or it broke.
        Connect => "connect",
        /// TLS failed.
        Tls => "tls",
        /// More bytes than allowed.
        TooLarge => "too_large",
        /// Not a usable answer.
        Invalid => "invalid",
        /// The address guard refused.
        Blocked => "blocked",
        /// The client went away.
        Cancelled => "cancelled",
    }
}

// Label sets by cell, for the families whose cells are numbered: see `Handles`.

pub(super) fn http_labels(index: usize) -> Vec<Label> {
    let verb = Verb::ALL
        .get(index / Route::ALL.len())
        .map_or("", |v| v.label());
    let route = Route::ALL
        .get(index % Route::ALL.len())
        .map_or("", |r| r.label());
    vec![Label::new("method", verb), Label::new("path", route)]
}

pub(super) fn format_labels(index: usize) -> Vec<Label> {
    vec![Label::new(
        "format",
        ImageFormat::ALL.get(index).map_or("", |f| f.name()),
    )]
}

pub(super) fn fetched_labels(index: usize) -> Vec<Label> {
    success_labels("status", index)
}

pub(super) fn reload_labels(index: usize) -> Vec<Label> {
    success_labels("result", index)
}

fn success_labels(name: &'static str, index: usize) -> Vec<Label> {
    let value = if index == 0 { "success" } else { "error" };
    vec![Label::new(name, value)]
}

pub(super) fn cache_labels(index: usize) -> Vec<Label> {
    vec![Label::new(
        "cache_type",
        CacheKind::ALL.get(index).map_or("", |c| c.label()),
    )]
}

pub(super) fn cache_fault_labels(index: usize) -> Vec<Label> {
    let faults = CacheFault::ALL.len();
    let mut labels = cache_labels(index / faults);
    let fault = CacheFault::ALL.get(index % faults);
    labels.push(Label::new("reason", fault.map_or("", |f| f.label())));
    labels
}

pub(super) fn status_labels(index: usize) -> Vec<Label> {
    vec![Label::new("status", format!("{index:03}"))]
}

pub(super) fn error_labels(index: usize) -> Vec<Label> {
    vec![Label::new(
        "type",
        Category::ALL.get(index).map_or("", |c| c.label()),
    )]
}

pub(super) fn span_labels(index: usize) -> Vec<Label> {
    let name = Span::ALL.get(index).map_or("", |s| s.label());
    vec![Label::new("span", name)]
}

pub(super) fn reason_labels(index: usize) -> Vec<Label> {
    let name = Reason::ALL.get(index).map_or("", |r| r.label());
    vec![Label::new("reason", name)]
}

pub(super) fn phase_labels(index: usize) -> Vec<Label> {
    let name = Phase::ALL.get(index).map_or("", |p| p.label());
    vec![Label::new("phase", name)]
}

pub(super) fn integration_labels(index: usize) -> Vec<Label> {
    let name = Integration::ALL.get(index).map_or("", |i| i.label());
    vec![Label::new("integration", name)]
}

pub(super) fn scheme_labels(index: usize) -> Vec<Label> {
    vec![Label::new(
        "scheme",
        Scheme::ALL.get(index).map_or("", |s| s.label()),
    )]
}

pub(super) fn auxiliary_labels(index: usize) -> Vec<Label> {
    let kind = AuxiliaryKind::ALL
        .get(index / 2)
        .map_or("", |kind| kind.label());
    let mut labels = fetched_labels(index % 2);
    labels.insert(0, Label::new("kind", kind));
    labels
}

/// The one operation there is; putting a watermark on is a part of it.
pub(super) fn operation_labels() -> Vec<Label> {
    vec![Label::new("operation", "process")]
}

pub(super) fn report_labels(index: usize) -> Vec<Label> {
    let outcomes = Delivery::ALL.len();
    let service = ReportService::ALL
        .get(index / outcomes)
        .map_or("", |s| s.label());
    let outcome = Delivery::ALL
        .get(index % outcomes)
        .map_or("", |d| d.label());
    vec![
        Label::new("service", service),
        Label::new("outcome", outcome),
    ]
}

pub(super) fn source_fetch_labels(index: usize) -> Vec<Label> {
    let outcomes = FetchOutcome::ALL.len();
    let outcome = FetchOutcome::ALL
        .get(index % outcomes)
        .map_or("", |o| o.label());
    let mut labels = scheme_labels(index / outcomes);
    labels.push(Label::new("outcome", outcome));
    labels
}
