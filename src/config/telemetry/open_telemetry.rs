//! OpenTelemetry: imgproxy's own variables, and those of the OpenTelemetry specification that are honoured.

mod exporter;

use std::time::Duration;

use tracing::Level;

use super::super::draft::Draft;
use super::super::errors::ConfigError;
use super::super::lists::format::LIST;
use super::super::lists::strings;
use super::super::types::format::{BOOL, FLOAT, INT, STRING};
use super::super::types::{boolean, choice, float, positive};
use super::super::var::{Scope, Var};

pub(in crate::config) use self::exporter::VARS as EXPORTER_VARS;
pub use self::exporter::{ExporterConfig, Protocol, Signal};

/// OTLP to a collector. Rule: `spec/monitoring.md` A2.
#[derive(Clone, Debug, Default)]
pub struct OpenTelemetryConfig {
    /// `OPEN_TELEMETRY_ENABLE`: traces; nothing else works without it.
    pub enable: bool,
    /// `OPEN_TELEMETRY_ENABLE_METRICS`.
    pub metrics: bool,
    /// `OPEN_TELEMETRY_ENABLE_LOGS`.
    pub logs: bool,
    /// `OPEN_TELEMETRY_LOGGER_NAME`: instrumentation scope of logs.
    pub logger_name: String,
    /// `OPEN_TELEMETRY_TRACE_ID_GENERATOR` is `xray`: trace ids begin with the time.
    pub xray_ids: bool,
    /// `OPEN_TELEMETRY_PROPAGATE_EXTERNAL`: source requests carry the trace.
    pub propagate_external: bool,
    /// `OPEN_TELEMETRY_SERVER_CERT`: PEM; turns TLS on.
    pub server_cert: String,
    /// `OPEN_TELEMETRY_CLIENT_CERT`: PEM.
    pub client_cert: String,
    /// `OPEN_TELEMETRY_CLIENT_KEY`: PEM.
    pub client_key: Secret,
    /// `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `_KEY`: paths to PEM; empty is none.
    pub client_files: (String, String),
    /// `OTEL_PROPAGATORS`, in the order in which they are asked.
    pub propagators: Vec<Propagator>,
    /// `OTEL_SERVICE_NAME`.
    pub service_name: String,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: Vec<(String, String)>,
    /// `OTEL_LOG_LEVEL`; `None` is the level of the log.
    pub log_level: Option<Level>,
    /// `OTEL_TRACES_SAMPLER`.
    pub sampler: Sampler,
    /// `OTEL_TRACES_SAMPLER_ARG`: share of sampled traces for the ratio samplers.
    pub sampler_ratio: f64,
    /// `OTEL_METRIC_EXPORT_INTERVAL`.
    pub metric_interval: Duration,
    /// `OTEL_BSP_MAX_QUEUE_SIZE`: requests whose traces wait to be sent.
    pub queue_size: usize,
    /// `OTEL_BSP_SCHEDULE_DELAY`: longest time between two batches.
    pub schedule_delay: Duration,
    /// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`.
    pub batch_size: usize,
    /// How each signal is sent, by [`Signal`], and in front of them what holds for all.
    pub exporters: [ExporterConfig; 4],
    sdk_disabled: bool,
    trace_id_generator: String,
    propagator_names: Vec<String>,
}

/// Text that is not shown.
#[derive(Clone, Default)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { "(hidden)" })
    }
}

/// A form in which a trace's identity travels in headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagator {
    /// W3C `traceparent` and `tracestate`.
    TraceContext,
    /// W3C `baggage`, passed on as it came.
    Baggage,
    /// `b3` in one header.
    B3,
    /// `x-b3-*`.
    B3Multi,
    /// `uber-trace-id`.
    Jaeger,
    /// `x-amzn-trace-id`.
    XRay,
    /// `ot-tracer-*`.
    OtTrace,
}

/// Which traces are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampler {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// A share.
    Ratio,
    /// As the caller decided, else all.
    #[default]
    ParentOrOn,
    /// As the caller decided, else none.
    ParentOrOff,
    /// As the caller decided, else a share.
    ParentOrRatio,
}

impl OpenTelemetryConfig {
    /// How `signal` is sent, and whether it is sent at all.
    pub fn exporter(&self, signal: Signal) -> Option<&ExporterConfig> {
        let wanted = match signal {
            Signal::Traces => true,
            Signal::Metrics => self.metrics,
            Signal::Logs => self.logs,
        };
        let [_, traces, metrics, logs] = &self.exporters;
        let exporter = match signal {
            Signal::Traces => traces,
            Signal::Metrics => metrics,
            Signal::Logs => logs,
        };
        (self.enable && wanted && !exporter.off).then_some(exporter)
    }
}

/// What only counts where OpenTelemetry is on.
pub(super) fn complete(draft: &mut Draft) {
    let config = &mut draft.config.telemetry.open_telemetry;
    exporter::complete(&mut config.exporters);
    config.enable &= !config.sdk_disabled;
    if !config.enable {
        return;
    }
    let mut mistakes = Vec::new();
    config.xray_ids = config.trace_id_generator == "xray";
    if !config.xray_ids && config.trace_id_generator != "random" {
        mistakes.push(format!(
            "invalid IMGPROXY_OPEN_TELEMETRY_TRACE_ID_GENERATOR value: unknown Trace ID generator: {} (use xray or random)",
            config.trace_id_generator
        ));
    }
    config.propagators.clear();
    for name in &config.propagator_names {
        match PROPAGATORS.iter().find(|(known, _)| known == name) {
            Some((_, propagator)) => config.propagators.extend(*propagator),
            None => mistakes.push(format!(
                "invalid OTEL_PROPAGATORS value: unknown propagator {name:?} (use {})",
                PROPAGATORS.map(|(name, _)| name).join(", ")
            )),
        }
    }
    if config.client_files.0.is_empty() != config.client_files.1.is_empty() {
        let text = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY need each other";
        mistakes.push(text.to_owned());
    }
    mistakes.extend(exporter::mistakes(&config.exporters));
    draft
        .errors
        .extend(mistakes.into_iter().map(ConfigError::Together));
}

pub(in crate::config) const VARS: &[Var] = &[
    Var::new(
        "OPEN_TELEMETRY_ENABLE",
        "false",
        BOOL,
        "Send a trace of every image request to an OpenTelemetry collector. Nothing else of this section works without it.",
        |d, v| boolean(v).map(|b| d.config.telemetry.open_telemetry.enable = b),
    ),
    Var::new(
        "OPEN_TELEMETRY_ENABLE_METRICS",
        "false",
        BOOL,
        "Send metrics as well.",
        |d, v| boolean(v).map(|b| d.config.telemetry.open_telemetry.metrics = b),
    ),
    Var::new(
        "OPEN_TELEMETRY_ENABLE_LOGS",
        "false",
        BOOL,
        "Send log lines as well.",
        |d, v| boolean(v).map(|b| d.config.telemetry.open_telemetry.logs = b),
    ),
    Var::new(
        "OPEN_TELEMETRY_LOGGER_NAME",
        "imgproxy",
        STRING,
        "Instrumentation scope of log lines.",
        |d, v| store(&mut d.config.telemetry.open_telemetry.logger_name, v),
    ),
    Var::new(
        "OPEN_TELEMETRY_TRACE_ID_GENERATOR",
        "xray",
        "xray|random",
        "How new trace ids are made: `xray` begins with the time, as AWS X-Ray wants it.",
        |d, v| store(&mut d.config.telemetry.open_telemetry.trace_id_generator, v),
    ),
    Var::new(
        "OPEN_TELEMETRY_PROPAGATE_EXTERNAL",
        "false",
        BOOL,
        "Send the trace's identity on to sources, in the headers of `OTEL_PROPAGATORS`.",
        |d, v| boolean(v).map(|b| d.config.telemetry.open_telemetry.propagate_external = b),
    ),
    Var::new(
        "OPEN_TELEMETRY_SERVER_CERT",
        "",
        "PEM text, `\\n` for line breaks",
        "Certificate of the authority that the collector is checked against; turns TLS on.",
        |d, v| store(&mut d.config.telemetry.open_telemetry.server_cert, &lines(v)),
    ),
    Var::new(
        "OPEN_TELEMETRY_CLIENT_CERT",
        "",
        "PEM text, `\\n` for line breaks",
        "Certificate that is shown to the collector. Read only beside a server certificate and a client key.",
        |d, v| store(&mut d.config.telemetry.open_telemetry.client_cert, &lines(v)),
    ),
    Var::new(
        "OPEN_TELEMETRY_CLIENT_KEY",
        "",
        "PEM text, `\\n` for line breaks",
        "Private key of the client certificate.",
        |d, v| store(&mut d.config.telemetry.open_telemetry.client_key.0, &lines(v)),
    )
    .secret(),
    Var::new(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "",
        "path to PEM",
        "Certificate that is shown to the collector where none is given as text.",
        |d, v| store(&mut d.config.telemetry.open_telemetry.client_files.0, v),
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "",
        "path to PEM",
        "Private key of that certificate.",
        |d, v| store(&mut d.config.telemetry.open_telemetry.client_files.1, v),
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_SDK_DISABLED",
        "",
        "true|false",
        "`true`, in any case, turns OpenTelemetry off whatever else says; everything else does nothing, as its \
specification has it.",
        |d, v| {
            d.config.telemetry.open_telemetry.sdk_disabled = v.trim().eq_ignore_ascii_case("true");
            Ok(())
        },
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_PROPAGATORS",
        "tracecontext,baggage",
        LIST,
        "Headers in which the identity of a trace comes and goes: `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, \
         `xray`, `ottrace` or `none`.",
        |d, v| {
            d.config.telemetry.open_telemetry.propagator_names = strings(v);
            Ok(())
        },
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_SERVICE_NAME",
        "imgproxy",
        STRING,
        "Attribute `service.name` of everything that is sent.",
        |d, v| store(&mut d.config.telemetry.open_telemetry.service_name, v),
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_RESOURCE_ATTRIBUTES",
        "",
        "key=value pairs separated by commas",
        "Further attributes of everything that is sent; values may be percent-encoded.",
        |d, v| {
            d.config.telemetry.open_telemetry.resource = exporter::pairs(v)?;
            Ok(())
        },
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_LOG_LEVEL",
        "",
        "debug|info|warn|error",
        "Least severe level of log lines that are sent. Default: the level of the log.",
        |d, v| choice(v, LEVELS).map(|level| d.config.telemetry.open_telemetry.log_level = Some(level)),
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_TRACES_SAMPLER",
        "parentbased_always_on",
        "always_on|always_off|traceidratio|parentbased_always_on|parentbased_always_off|parentbased_traceidratio",
        "Which traces are sent.",
        |d, v| choice(v, SAMPLERS).map(|s| d.config.telemetry.open_telemetry.sampler = s),
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_TRACES_SAMPLER_ARG",
        "1",
        FLOAT,
        "Share of the traces that the samplers with a ratio keep, 0 to 1.",
        |d, v| float(v).map(|f| d.config.telemetry.open_telemetry.sampler_ratio = f.clamp(0.0, 1.0)),
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_METRIC_EXPORT_INTERVAL",
        "10000",
        MILLISECONDS,
        "Time between two exports of metrics.",
        |d, v| milliseconds(v).map(|t| d.config.telemetry.open_telemetry.metric_interval = t),
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "2048",
        INT,
        "Traces that wait to be sent, and as many log lines; further ones are dropped and counted.",
        |d, v| positive(v).map(|n| d.config.telemetry.open_telemetry.queue_size = n),
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_BSP_SCHEDULE_DELAY",
        "5000",
        MILLISECONDS,
        "Longest time for which traces and log lines are gathered before they are sent.",
        |d, v| milliseconds(v).map(|t| d.config.telemetry.open_telemetry.schedule_delay = t),
    )
    .scope(Scope::Bare),
    Var::new(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "512",
        INT,
        "Traces or log lines that are sent at once.",
        |d, v| positive(v).map(|n| d.config.telemetry.open_telemetry.batch_size = n),
    )
    .scope(Scope::Bare),
];

fn store(field: &mut String, value: &str) -> Result<(), super::super::var::Invalid> {
    value.clone_into(field);
    Ok(())
}

/// PEM in one line, as environments hold it.
fn lines(text: &str) -> String {
    text.replace("\\n", "\n")
}

fn milliseconds(text: &str) -> Result<Duration, super::super::var::Invalid> {
    positive(text).map(Duration::from_millis)
}

const MILLISECONDS: &str = "milliseconds";

/// `none` has no headers.
const PROPAGATORS: [(&str, Option<Propagator>); 8] = [
    ("tracecontext", Some(Propagator::TraceContext)),
    ("baggage", Some(Propagator::Baggage)),
    ("b3", Some(Propagator::B3)),
    ("b3multi", Some(Propagator::B3Multi)),
    ("jaeger", Some(Propagator::Jaeger)),
    ("xray", Some(Propagator::XRay)),
    ("ottrace", Some(Propagator::OtTrace)),
    ("none", None),
];

const LEVELS: &[(&str, Level)] = &[
    ("debug", Level::DEBUG),
    ("info", Level::INFO),
    ("warn", Level::WARN),
    ("error", Level::ERROR),
];

const SAMPLERS: &[(&str, Sampler)] = &[
    ("always_on", Sampler::AlwaysOn),
    ("always_off", Sampler::AlwaysOff),
    ("traceidratio", Sampler::Ratio),
    ("parentbased_always_on", Sampler::ParentOrOn),
    ("parentbased_always_off", Sampler::ParentOrOff),
    ("parentbased_traceidratio", Sampler::ParentOrRatio),
];

#[cfg(test)]
mod tests {
    use super::super::super::Config;
    use super::*;

    const ON: (&str, &str) = ("IMGPROXY_OPEN_TELEMETRY_ENABLE", "1");

    fn load(pairs: &[(&str, &str)]) -> OpenTelemetryConfig {
        let pairs = [&[ON], pairs].concat();
        Config::from_pairs(&pairs).unwrap().telemetry.open_telemetry
    }

    #[test]
    fn what_only_counts_where_it_is_on() {
        for (name, value, text) in [
            (
                "OTEL_PROPAGATORS",
                "tracecontext,foo",
                "unknown propagator \"foo\"",
            ),
            (
                "IMGPROXY_OPEN_TELEMETRY_TRACE_ID_GENERATOR",
                "Random",
                "unknown Trace ID generator: Random",
            ),
            (
                "OTEL_EXPORTER_OTLP_CLIENT_KEY",
                "/key.pem",
                "need each other",
            ),
            (
                "OTEL_EXPORTER_OTLP_TIMEOUT",
                "0",
                "OTEL_EXPORTER_OTLP_TIMEOUT",
            ),
            (
                "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
                "-1",
                "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
            ),
        ] {
            assert!(Config::from_pairs(&[(name, value)]).is_ok(), "{name}");
            let errors = Config::from_pairs(&[ON, (name, value)]).unwrap_err();
            assert!(errors.to_string().contains(text), "{errors}");
        }
    }

    #[test]
    fn what_always_has_to_parse() {
        for (name, value) in [
            ("OTEL_LOG_LEVEL", "trace"),
            ("OTEL_LOG_LEVEL", "warning"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
        ] {
            assert!(
                Config::from_pairs(&[(name, value)]).is_err(),
                "{name}={value}"
            );
        }
    }

    #[test]
    fn signals_inherit_what_holds_for_all() {
        let config = load(&[
            ("IMGPROXY_OPEN_TELEMETRY_ENABLE_METRICS", "1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/base/"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/own"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x=y"),
        ]);
        let traces = config.exporter(Signal::Traces).unwrap();
        assert_eq!(traces.url(Signal::Traces), "http://t/own");
        assert_eq!(
            traces.headers.0,
            [("api-key".into(), "a b".into()), ("x".into(), "y".into())]
        );
        let metrics = config.exporter(Signal::Metrics).unwrap();
        assert_eq!(metrics.protocol, Some(Protocol::Grpc));
        assert_eq!(metrics.url(Signal::Metrics), "http://c:4318/base/");
        assert!(config.exporter(Signal::Logs).is_none());
        let http = load(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]);
        let http = http.exporter(Signal::Traces).unwrap();
        assert_eq!(http.url(Signal::Traces), "https://localhost:4318/v1/traces");
    }

    #[test]
    fn one_switch_turns_it_off() {
        for (value, on) in [("true", false), ("TRUE", false), ("1", true), ("no", true)] {
            let config = load(&[("OTEL_SDK_DISABLED", value)]);
            assert_eq!(config.exporter(Signal::Traces).is_some(), on, "{value}");
        }
    }

    #[test]
    fn propagators_keep_their_order() {
        let config = load(&[("OTEL_PROPAGATORS", "xray, b3,none")]);
        assert_eq!(config.propagators, [Propagator::XRay, Propagator::B3]);
    }
}
