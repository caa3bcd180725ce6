//! What a family of metrics is, and short forms for the rows of the table.

/// Prometheus type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Never decreases.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets with a sum and a count.
    Histogram,
}

/// Which bounds a histogram has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buckets {
    /// Not a histogram.
    None,
    /// `buckets_http` of the configuration.
    Http,
    /// `buckets_processing` of the configuration.
    Processing,
    /// `buckets_fetch` of the configuration.
    Fetch,
    /// imgproxy's fixed bounds.
    Imgproxy,
}

/// One family.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name without namespace.
    pub name: &'static str,
    /// Type.
    pub kind: MetricKind,
    /// Help text: one sentence.
    pub help: &'static str,
    /// Label names, in order.
    pub labels: &'static [&'static str],
    /// Bounds.
    pub buckets: Buckets,
    /// Whether `PROMETHEUS_NAMESPACE` is put in front.
    pub namespaced: bool,
}

/// Bounds of imgproxy's histograms, in seconds.
pub const IMGPROXY_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

pub(super) const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: MetricKind::Counter,
        help,
        labels,
        buckets: Buckets::None,
        namespaced: false,
    }
}

pub(super) const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        kind: MetricKind::Gauge,
        ..counter(name, labels, help)
    }
}

pub(super) const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    buckets: Buckets,
    help: &'static str,
) -> Metric {
    Metric {
        kind: MetricKind::Histogram,
        buckets,
        ..counter(name, labels, help)
    }
}

pub(super) const fn namespaced(metric: Metric) -> Metric {
    Metric {
        namespaced: true,
        ..metric
    }
}
