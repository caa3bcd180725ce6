//! The metrics listener.

use super::draft::Draft;
use super::errors::ConfigError;
use super::lists::buckets;
use super::lists::format::BUCKETS;
use super::types::format::STRING;
use super::var::{Scope, Var};

/// Where metrics are served. Rule: `spec/monitoring.md` B1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MetricsBind {
    /// No listener.
    Off,
    /// All addresses, port 9000; only a warning where that is taken.
    #[default]
    Default,
    /// `host:port`, `:port` or `port` from the configuration; a failure stops the start.
    Explicit(String),
}

/// Metrics settings.
#[derive(Clone, Debug, Default)]
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

pub(super) const VARS: &[Var] = &[
    Var::new(
        "PROMETHEUS_BIND",
        "",
        "bind:port",
        "Where metrics are served: `host:port`, `:port`, `port`, or `off`. It has to differ from `BIND`. Keep the port on \
         a private network: it asks for no credentials. Where the default address is taken, only a warning is logged.",
        |d, v| {
            d.config.monitoring.bind = if v.eq_ignore_ascii_case("off") {
                MetricsBind::Off
            } else {
                MetricsBind::Explicit(v.to_owned())
            };
            Ok(())
        },
    )
    .computed("port 9000 at all addresses", |c| match &c.monitoring.bind {
        MetricsBind::Off => "off".to_owned(),
        MetricsBind::Default => ":9000".to_owned(),
        MetricsBind::Explicit(bind) => bind.clone(),
    }),
    Var::new(
        "PROMETHEUS_NAMESPACE",
        "",
        STRING,
        "Prefix of imgproxy's own metric names.",
        |d, v| {
            d.config.monitoring.namespace = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "PROMETHEUS_BUCKETS_HTTP",
        ".005,.01,.025,.05,.075,.1,.15,.25,.35,.5,.75,1,1.5,2.5,5,7.5,10,15,30",
        BUCKETS,
        "Bounds of `http_requests_duration_seconds`.",
        |d, v| buckets(v).map(|b| d.config.monitoring.buckets_http = b),
    )
    .scope(Scope::Own),
    Var::new(
        "PROMETHEUS_BUCKETS_PROCESSING",
        ".0025,.005,.01,.02,.035,.05,.075,.1,.15,.25,.5,.75,1,1.5,2.5,5,10,20,30",
        BUCKETS,
        "Bounds of `image_processing_duration_seconds`.",
        |d, v| buckets(v).map(|b| d.config.monitoring.buckets_processing = b),
    )
    .scope(Scope::Own),
    Var::new(
        "PROMETHEUS_BUCKETS_FETCH",
        ".001,.0025,.005,.01,.025,.05,.1,.2,.3,.5,.75,1,1.5,2.5,5,10,30",
        BUCKETS,
        "Bounds of `source_image_fetch_duration_seconds`.",
        |d, v| buckets(v).map(|b| d.config.monitoring.buckets_fetch = b),
    )
    .scope(Scope::Own),
];

/// The metrics address may not be the main one. Other spellings of it are found when the second of the two is bound.
pub(super) fn complete(draft: &mut Draft) {
    let main = &draft.config.server.bind;
    if let MetricsBind::Explicit(bind) = &draft.config.monitoring.bind
        && bind.trim_start_matches(':') == main.trim_start_matches(':')
    {
        draft.errors.push(ConfigError::Together(format!(
            "invalid IMGPROXY_PROMETHEUS_BIND value: should be different than IMGPROXY_BIND: {main}"
        )));
    }
}
