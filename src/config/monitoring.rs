//! The metrics listener.

/// Where metrics are served. Rule: `spec/monitoring.md` B1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsBind {
    /// No listener.
    Off,
    /// All addresses, port 9000; only a warning where that is taken.
    Default,
    /// `host:port`, `:port` or `port` from the configuration; a failure stops the start.
    Explicit(String),
}

/// Metrics settings.
#[derive(Clone, Debug)]
pub struct MonitoringConfig {
    /// `PROMETHEUS_BIND`.
    pub bind: MetricsBind,
    /// `PROMETHEUS_NAMESPACE`: prefix of imgproxy's own family; empty is none.
    pub namespace: String,
    /// `IMGFORGE_PROMETHEUS_BUCKETS_HTTP` in seconds, ascending.
    pub buckets_http: Vec<f64>,
    /// `IMGFORGE_PROMETHEUS_BUCKETS_PROCESSING` in seconds, ascending.
    pub buckets_processing: Vec<f64>,
    /// `IMGFORGE_PROMETHEUS_BUCKETS_FETCH` in seconds, ascending.
    pub buckets_fetch: Vec<f64>,
}
