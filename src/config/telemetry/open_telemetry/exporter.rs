//! The variables of the OTLP exporters: one form for all signals and one for each.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::super::super::draft::Draft;
use super::super::super::types::format::STRING;
use super::super::super::types::{choice, integer};
use super::super::super::var::{Invalid, Scope, Var};

/// One kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Numbers.
    Metrics,
    /// Log lines.
    Logs,
}

/// How OTLP is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    #[default]
    Grpc,
    /// Protobuf in HTTP requests.
    Http,
}

/// How one signal is sent.
#[derive(Clone, Debug, Default)]
pub struct ExporterConfig {
    /// `OTEL_*_EXPORTER` is `none`.
    pub off: bool,
    /// `OTEL_EXPORTER_OTLP_*PROTOCOL`; never `None` once the configuration is complete.
    pub protocol: Option<Protocol>,
    /// `OTEL_EXPORTER_OTLP_*TIMEOUT` in milliseconds.
    timeout: Option<i64>,
    /// `OTEL_EXPORTER_OTLP_*HEADERS`.
    pub headers: Headers,
    /// `OTEL_EXPORTER_OTLP_*COMPRESSION` is `gzip`.
    pub gzip: Option<bool>,
    /// `OTEL_EXPORTER_OTLP_*CERTIFICATE`: path to PEM.
    pub certificate: Option<String>,
    /// `OTEL_EXPORTER_OTLP_*ENDPOINT`.
    endpoint: Option<String>,
    /// The endpoint is the signal's own and already has its full path.
    full_path: bool,
}

/// Headers of the exporters; they hold keys, so they are not shown.
#[derive(Clone, Default)]
pub struct Headers(pub Vec<(String, String)>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl ExporterConfig {
    /// Where `signal` is sent.
    pub fn url(&self, signal: Signal) -> String {
        let is_http = self.protocol == Some(Protocol::Http);
        let endpoint = self.endpoint.as_deref().unwrap_or(if is_http {
            "https://localhost:4318"
        } else {
            "https://localhost:4317"
        });
        if !is_http || self.full_path {
            return endpoint.to_owned();
        }
        let path = match signal {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        };
        format!("{}/v1/{path}", endpoint.trim_end_matches('/'))
    }

    /// Time for one export.
    pub fn timeout(&self) -> Duration {
        let milliseconds = u64::try_from(self.timeout.unwrap_or_default());
        Duration::from_millis(milliseconds.unwrap_or_default())
    }
}

/// Fills in for each signal what holds for all.
pub(super) fn complete(exporters: &mut [ExporterConfig; 4]) {
    let [all, signals @ ..] = exporters;
    for signal in signals {
        signal.protocol = Some(signal.protocol.or(all.protocol).unwrap_or_default());
        signal.timeout = signal.timeout.or(all.timeout);
        signal.gzip = signal.gzip.or(all.gzip);
        signal.full_path = signal.endpoint.is_some();
        if signal.headers.0.is_empty() {
            signal.headers = all.headers.clone();
        }
        if signal.certificate.is_none() {
            signal.certificate.clone_from(&all.certificate);
        }
        if signal.endpoint.is_none() {
            signal.endpoint.clone_from(&all.endpoint);
        }
    }
}

/// Times that are no times.
pub(super) fn mistakes(exporters: &[ExporterConfig; 4]) -> Vec<String> {
    let [all, signals @ ..] = exporters;
    let names = ["TRACES_", "METRICS_", "LOGS_"];
    let own = names.iter().zip(signals);
    // What a signal has from all is reported once.
    let own = own.filter(|(_, signal)| signal.timeout != all.timeout);
    own.chain([(&"", all)])
        .filter(|(_, exporter)| exporter.timeout.is_some_and(|timeout| timeout <= 0))
        .map(|(name, _)| {
            format!("invalid OTEL_EXPORTER_OTLP_{name}TIMEOUT value (format: milliseconds): cannot be zero or negative")
        })
        .collect()
}

/// `key=value` pairs between commas, percent-encoded.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, Invalid> {
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| Invalid::parse("a part without ="))?;
            let value = percent_decode_str(value.trim()).decode_utf8_lossy();
            Ok((key.trim().to_owned(), value.into_owned()))
        })
        .collect()
}

const ALL: usize = 0;
const TRACES: usize = 1;
const METRICS: usize = 2;
const LOGS: usize = 3;

pub(in crate::config) const VARS: &[Var] = &[
    endpoint(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "Where the collector listens. Over HTTP, `/v1/traces` and the like are added. Default: `https://localhost:4317`, \
         over HTTP port 4318.",
        set_endpoint::<ALL>,
    ),
    endpoint(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "Where traces go, with the full path.",
        set_endpoint::<TRACES>,
    ),
    endpoint(
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "Where metrics go, with the full path.",
        set_endpoint::<METRICS>,
    ),
    endpoint(
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        "Where log lines go, with the full path.",
        set_endpoint::<LOGS>,
    ),
    protocol(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "How OTLP is carried. Default: `grpc`.",
        set_protocol::<ALL>,
    ),
    protocol(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "The same for traces.",
        set_protocol::<TRACES>,
    ),
    protocol(
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        "The same for metrics.",
        set_protocol::<METRICS>,
    ),
    protocol(
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
        "The same for log lines.",
        set_protocol::<LOGS>,
    ),
    Var::new(
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "10000",
        "milliseconds",
        "Time for one export.",
        set_timeout::<ALL>,
    )
    .scope(Scope::Bare),
    timeout(
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        "The same for traces.",
        set_timeout::<TRACES>,
    ),
    timeout(
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
        "The same for metrics.",
        set_timeout::<METRICS>,
    ),
    timeout(
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
        "The same for log lines.",
        set_timeout::<LOGS>,
    ),
    headers(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "Headers of every export, such as an API key.",
        set_headers::<ALL>,
    ),
    headers(
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "The same for traces.",
        set_headers::<TRACES>,
    ),
    headers(
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
        "The same for metrics.",
        set_headers::<METRICS>,
    ),
    headers(
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
        "The same for log lines.",
        set_headers::<LOGS>,
    ),
    compression(
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "Whether exports are compressed. Default: `none`.",
        set_gzip::<ALL>,
    ),
    compression(
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "The same for traces.",
        set_gzip::<TRACES>,
    ),
    compression(
        "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
        "The same for metrics.",
        set_gzip::<METRICS>,
    ),
    compression(
        "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION",
        "The same for log lines.",
        set_gzip::<LOGS>,
    ),
    certificate(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "Certificate of the authority that the collector is checked against, as a file.",
        set_certificate::<ALL>,
    ),
    certificate(
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        "The same for traces.",
        set_certificate::<TRACES>,
    ),
    certificate(
        "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
        "The same for metrics.",
        set_certificate::<METRICS>,
    ),
    certificate(
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE",
        "The same for log lines.",
        set_certificate::<LOGS>,
    ),
    exporter(
        "OTEL_TRACES_EXPORTER",
        "`none` sends no traces; everything else is OTLP.",
        set_off::<TRACES>,
    ),
    exporter(
        "OTEL_METRICS_EXPORTER",
        "`none` sends no metrics; everything else is OTLP.",
        set_off::<METRICS>,
    ),
    exporter(
        "OTEL_LOGS_EXPORTER",
        "`none` sends no log lines; everything else is OTLP.",
        set_off::<LOGS>,
    ),
];

type Apply = fn(&mut Draft, &str) -> Result<(), Invalid>;

const fn endpoint(name: &'static str, help: &'static str, apply: Apply) -> Var {
    Var::new(name, "", "URL", help, apply).scope(Scope::Bare)
}

const fn protocol(name: &'static str, help: &'static str, apply: Apply) -> Var {
    Var::new(name, "", "grpc|http/protobuf|http|https", help, apply).scope(Scope::Bare)
}

const fn timeout(name: &'static str, help: &'static str, apply: Apply) -> Var {
    Var::new(name, "", "milliseconds", help, apply).scope(Scope::Bare)
}

const fn headers(name: &'static str, help: &'static str, apply: Apply) -> Var {
    Var::new(name, "", "key=value pairs separated by commas", help, apply)
        .scope(Scope::Bare)
        .secret()
}

const fn compression(name: &'static str, help: &'static str, apply: Apply) -> Var {
    Var::new(name, "", "gzip|none", help, apply).scope(Scope::Bare)
}

const fn certificate(name: &'static str, help: &'static str, apply: Apply) -> Var {
    Var::new(name, "", "path to PEM", help, apply).scope(Scope::Bare)
}

const fn exporter(name: &'static str, help: &'static str, apply: Apply) -> Var {
    Var::new(name, "", STRING, help, apply).scope(Scope::Bare)
}

fn of<const SIGNAL: usize>(draft: &mut Draft) -> Option<&mut ExporterConfig> {
    draft
        .config
        .telemetry
        .open_telemetry
        .exporters
        .get_mut(SIGNAL)
}

fn set<const SIGNAL: usize>(
    draft: &mut Draft,
    set: impl FnOnce(&mut ExporterConfig),
) -> Result<(), Invalid> {
    if let Some(exporter) = of::<SIGNAL>(draft) {
        set(exporter);
    }
    Ok(())
}

fn set_endpoint<const SIGNAL: usize>(draft: &mut Draft, text: &str) -> Result<(), Invalid> {
    set::<SIGNAL>(draft, |e| e.endpoint = Some(text.to_owned()))
}

fn set_protocol<const SIGNAL: usize>(draft: &mut Draft, text: &str) -> Result<(), Invalid> {
    let protocol = choice(text, PROTOCOLS)?;
    set::<SIGNAL>(draft, |e| e.protocol = Some(protocol))
}

fn set_timeout<const SIGNAL: usize>(draft: &mut Draft, text: &str) -> Result<(), Invalid> {
    let timeout = integer(text)?;
    set::<SIGNAL>(draft, |e| e.timeout = Some(timeout))
}

fn set_headers<const SIGNAL: usize>(draft: &mut Draft, text: &str) -> Result<(), Invalid> {
    let headers = Headers(pairs(text)?);
    set::<SIGNAL>(draft, |e| e.headers = headers)
}

fn set_gzip<const SIGNAL: usize>(draft: &mut Draft, text: &str) -> Result<(), Invalid> {
    let gzip = choice(text, &[("gzip", true), ("none", false)])?;
    set::<SIGNAL>(draft, |e| e.gzip = Some(gzip))
}

fn set_certificate<const SIGNAL: usize>(draft: &mut Draft, text: &str) -> Result<(), Invalid> {
    set::<SIGNAL>(draft, |e| e.certificate = Some(text.to_owned()))
}

fn set_off<const SIGNAL: usize>(draft: &mut Draft, text: &str) -> Result<(), Invalid> {
    set::<SIGNAL>(draft, |e| e.off = text.eq_ignore_ascii_case("none"))
}

const PROTOCOLS: &[(&str, Protocol)] = &[
    ("grpc", Protocol::Grpc),
    ("http/protobuf", Protocol::Http),
    ("http", Protocol::Http),
    ("https", Protocol::Http),
];
