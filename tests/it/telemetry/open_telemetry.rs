//! OTLP over HTTP and gRPC.

use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::origin;
use crate::common::server::image_path;
use crate::common::{Process, Recorder, Sent, Server};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Spans and the attributes of who sends them.
fn spans(sent: &[Sent]) -> Option<(Vec<Span>, HashMap<String, String>)> {
    let mut spans = Vec::new();
    let mut resource = HashMap::new();
    for request in sent {
        let message = ExportTraceServiceRequest::decode(request.message()).unwrap();
        for group in message.resource_spans {
            resource = texts(&group.resource.unwrap().attributes);
            for scope in group.scope_spans {
                spans.extend(scope.spans);
            }
        }
    }
    (!spans.is_empty()).then_some((spans, resource))
}

fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let pair = |kv: &KeyValue| (kv.key.clone(), text(kv.value.as_ref()));
    attributes.iter().map(pair).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => format!("int {number}"),
        Some(Value::DoubleValue(number)) => format!("double {number}"),
        other => format!("{other:?}"),
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {spans:?}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test]
async fn a_request_is_a_trace() {
    let (origin, recorder) = (origin().await, Recorder::start().await);
    let url = recorder.url();
    let server = Server::start(&[
        ("IMGPROXY_OPEN_TELEMETRY_ENABLE", "true"),
        ("IMGPROXY_OPEN_TELEMETRY_PROPAGATE_EXTERNAL", "true"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%20e"),
        ("OTEL_SERVICE_NAME", "pictures"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
    ])
    .await;
    let source = origin.url("/grid.png");
    let path = image_path("w:8/q:70", &source);
    let headers = [
        ("traceparent", PARENT),
        ("tracestate", "a=b"),
        ("baggage", "k=v"),
    ];
    assert_eq!(server.get_with(&path, &headers).await.status, 200);
    let addr = server.addr;
    server.stop().await;

    let sent = recorder.at("/v1/traces");
    assert_eq!(
        (sent[0].method.as_str(), sent[0].header("api-key")),
        ("POST", "s e")
    );
    assert_eq!(sent[0].header("content-type"), "application/x-protobuf");
    let (spans, resource) = spans(&sent).unwrap();
    assert_eq!(resource["service.name"], "pictures");
    assert_eq!(resource["deployment.environment"], "test");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));

    let root = named(&spans, "/request");
    assert_eq!(hex(&root.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex(&root.parent_span_id), "00f067aa0ba902b7");
    assert_eq!((root.kind, root.trace_state.as_str()), (2, "a=b"), "server");
    assert_eq!(root.status.as_ref().map_or(0, |s| s.code), 0);
    let attributes = texts(&root.attributes);
    for (name, value) in [
        ("http.method", "GET"),
        ("http.url", path.as_str()),
        ("http.scheme", "http"),
        ("http.status_code", "int 200"),
        ("net.host.name", "127.0.0.1"),
        ("net.host.port", &format!("int {}", addr.port())),
        ("net.sock.peer.addr", "127.0.0.1"),
        ("net.protocol.version", "1.1"),
        ("imgproxy.source_image_url", &source),
        ("imgproxy.source_image_origin", &origin.url("")),
        ("imgproxy.options.quality", "int 70"),
    ] {
        assert_eq!(
            attributes.get(name).map(String::as_str),
            Some(value),
            "{name}: {attributes:?}"
        );
    }
    for (name, attribute) in [
        ("queue", None),
        (
            "downloading_source_image",
            Some("imgproxy.source_image_url"),
        ),
        ("processing_image", Some("imgproxy.options.quality")),
    ] {
        let child = named(&spans, name);
        assert_eq!(
            (&child.trace_id, &child.parent_span_id),
            (&root.trace_id, &root.span_id)
        );
        assert_eq!(child.kind, 1, "internal");
        let within = root.start_time_unix_nano..=root.end_time_unix_nano;
        // The clock is read when a part ends, so that its start may be off by that reading.
        assert!(within.contains(&child.end_time_unix_nano), "{name}");
        assert!(child.start_time_unix_nano <= child.end_time_unix_nano);
        let attributes = texts(&child.attributes);
        assert!(
            attribute.is_none_or(|a| attributes.contains_key(a)),
            "{name}: {attributes:?}"
        );
    }

    let asked = &origin.asked("/grid.png")[0];
    let download = hex(&named(&spans, "downloading_source_image").span_id);
    let expected = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{download}-01");
    assert_eq!(asked.header("traceparent"), Some(expected.as_str()));
    assert_eq!(
        (asked.header("tracestate"), asked.header("baggage")),
        (Some("a=b"), Some("k=v"))
    );
}

#[tokio::test]
async fn errors_are_exceptions() {
    let (origin, recorder) = (origin().await, Recorder::start().await);
    let url = recorder.url();
    let server = Server::start(&[
        ("IMGPROXY_OPEN_TELEMETRY_ENABLE", "true"),
        ("IMGPROXY_OPEN_TELEMETRY_TRACE_ID_GENERATOR", "random"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ])
    .await;
    assert_eq!(server.image("", &origin.url("/none.png")).await.status, 404);
    assert_eq!(server.get("/health").await.status, 200);
    server.stop().await;

    let sent = recorder.at("/v1/traces");
    assert_eq!(
        (sent.len(), sent[0].header("content-encoding")),
        (1, "gzip")
    );
    let mut plain = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&*sent[0].body);
    std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
    let sent = Sent {
        body: plain.into(),
        ..sent[0].clone()
    };
    let (spans, _) = spans(&[sent]).unwrap();
    let root = named(&spans, "/request");
    assert_eq!(root.status.as_ref().unwrap().code, 2, "error");
    assert!(root.parent_span_id.is_empty());
    let event = texts(&root.events[0].attributes);
    assert_eq!(root.events[0].name, "exception");
    assert!(
        event["exception.type"].starts_with("download_error ("),
        "{event:?}"
    );
    assert!(event["exception.message"].contains("404"), "{event:?}");
    assert!(!event["exception.stacktrace"].is_empty());
    assert_eq!(
        spans.iter().filter(|s| s.name == "/request").count(),
        1,
        "no health"
    );
    named(&spans, "downloading_source_image");
    assert!(origin.asked("/none.png")[0].header("traceparent").is_none());
}

/// All three signals over gRPC, from the program itself.
#[tokio::test]
async fn all_signals_over_grpc() {
    let (origin, recorder) = (origin().await, Recorder::start().await);
    let url = recorder.url();
    let mut process = Process::start(&[
        ("IMGPROXY_OPEN_TELEMETRY_ENABLE", "true"),
        ("IMGPROXY_OPEN_TELEMETRY_ENABLE_METRICS", "true"),
        ("IMGPROXY_OPEN_TELEMETRY_ENABLE_LOGS", "true"),
        ("IMGPROXY_OPEN_TELEMETRY_LOGGER_NAME", "mine"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret"),
        ("OTEL_LOG_LEVEL", "info"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ])
    .await;
    let path = image_path("w:8", &origin.url("/grid.png"));
    assert_eq!(process.get(&path).await.status, 200);

    let traces = recorder.wait("TraceService/Export", spans).await;
    let root = named(&traces.0, "/request");
    assert_eq!(
        recorder.at("TraceService/Export")[0].header("api-key"),
        "secret"
    );
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let time = u64::from_str_radix(&hex(&root.trace_id[..4]), 16).unwrap();
    assert!(
        now.abs_diff(time) < 60,
        "xray ids begin with the time: {now} {time}"
    );

    let metrics = recorder
        .wait("MetricsService/Export", requests_counted)
        .await;
    for name in METRICS {
        assert!(
            metrics.iter().any(|m| m.name == *name),
            "{name} in {metrics:?}"
        );
    }

    let lines = recorder
        .wait("LogsService/Export", |sent| {
            lines(sent).filter(|l| l.len() >= 2)
        })
        .await;
    let (scope, severity, body, trace) = lines
        .iter()
        .find(|l| l.2.starts_with("Completed in"))
        .unwrap();
    assert_eq!((scope.as_str(), severity.as_str()), ("mine", "INFO"));
    assert!(body.ends_with(&path), "{body}");
    assert_eq!(trace, &hex(&root.trace_id));

    process.signal("TERM");
    assert!(process.exit().await.success());
}

/// The metrics, once they tell of a request.
fn requests_counted(sent: &[Sent]) -> Option<Vec<Metric>> {
    let last = ExportMetricsServiceRequest::decode(sent.last()?.message()).unwrap();
    let groups = last
        .resource_metrics
        .into_iter()
        .flat_map(|r| r.scope_metrics);
    let metrics: Vec<_> = groups.flat_map(|s| s.metrics).collect();
    let requests = metrics.iter().find(|m| m.name == "requests_total")?;
    let Some(Data::Sum(sum)) = &requests.data else {
        panic!("{requests:?}");
    };
    assert!(sum.is_monotonic);
    Some(metrics)
}

type LogLine = (String, String, String, String);

/// Scope, severity, text and trace of every line, once there is one.
fn lines(sent: &[Sent]) -> Option<Vec<LogLine>> {
    let mut lines = Vec::new();
    for request in sent {
        let message = ExportLogsServiceRequest::decode(request.message()).unwrap();
        for scope in message.resource_logs.into_iter().flat_map(|r| r.scope_logs) {
            let name = scope.scope.unwrap().name;
            lines.extend(scope.log_records.iter().map(|record| {
                let body = text(record.body.as_ref());
                (
                    name.clone(),
                    record.severity_text.clone(),
                    body,
                    hex(&record.trace_id),
                )
            }));
        }
    }
    let completed = lines
        .iter()
        .any(|(_, _, body, _)| body.starts_with("Completed in"));
    completed.then_some(lines)
}

const METRICS: &[&str] = &[
    "requests_total",
    "status_codes_total",
    "request_duration_seconds",
    "request_span_duration_seconds",
    "workers",
    "requests_in_progress",
    "images_in_progress",
    "workers_utilization",
    "vips_memory_bytes",
    "vips_max_memory_bytes",
    "vips_allocs",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
];
