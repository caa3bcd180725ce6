//! A finished request as spans. Rule: `spec/monitoring.md` A2: names, kinds and attributes of semantic conventions 1.20.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{Event, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, SpanId, TraceId};
use opentelemetry_sdk::trace::{SpanData, SpanEvents};

use crate::monitoring::Span;
use crate::monitoring::trace::{Child, Finished};

/// How spans are called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// The request's own span.
    pub(super) root: &'static str,
    /// Its parts.
    pub(super) part: fn(Span) -> &'static str,
}

/// As imgproxy calls them in OpenTelemetry.
pub(super) const NAMES: Names = Names {
    root: "/request",
    part: Span::label,
};

/// The request's own span and those of its parts.
pub(super) fn of(request: &Finished, names: Names) -> Vec<SpanData> {
    let mut spans = vec![root(request, names)];
    let parts = request.children.iter();
    spans.extend(parts.map(|part| child(request, part, names)));
    spans
}

fn root(request: &Finished, names: Names) -> SpanData {
    let mut attributes = head(request);
    attributes.extend(source(request));
    attributes.extend(options(request));
    let events = request.exceptions.iter().map(|exception| {
        let attributes = vec![
            KeyValue::new("exception.type", exception.kind.clone()),
            KeyValue::new("exception.message", exception.message.clone()),
            KeyValue::new("exception.stacktrace", exception.stack.clone()),
        ];
        Event::new("exception", exception.time, attributes, 0)
    });
    let status = match (request.exceptions.last(), request.status) {
        (Some(exception), _) => Status::error(exception.message.clone()),
        (None, Some(500..)) => Status::error(""),
        (None, _) => Status::Unset,
    };
    let mut data = span(
        request,
        names.root.into(),
        request.identity.root,
        request.start,
        request.start + request.duration,
    );
    data.parent_span_id = SpanId::from(request.identity.parent.unwrap_or_default());
    data.parent_span_is_remote = request.identity.parent.is_some();
    data.span_kind = SpanKind::Server;
    data.attributes = attributes;
    data.events.events = events.collect();
    data.status = status;
    data
}

fn child(request: &Finished, part: &Child, names: Names) -> SpanData {
    let name = (names.part)(part.span).into();
    let mut data = span(
        request,
        name,
        part.id,
        part.start,
        part.start + part.duration,
    );
    data.parent_span_id = SpanId::from(request.identity.root);
    data.attributes = match part.span {
        Span::DownloadingSourceImage => source(request).collect(),
        Span::ProcessingImage => options(request).collect(),
        Span::Queue | Span::StreamingImage => Vec::new(),
    };
    data
}

fn span(
    request: &Finished,
    name: Cow<'static, str>,
    id: u64,
    start: SystemTime,
    end: SystemTime,
) -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(request.identity.trace),
            SpanId::from(id),
            TraceFlags::SAMPLED,
            false,
            state(request),
        ),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name,
        start_time: start,
        end_time: end,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: Default::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("imgproxy")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

fn state(request: &Finished) -> TraceState {
    let header = request.identity.carried.get("tracestate");
    let text = header.and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// What the request was, and how it was answered.
fn head(request: &Finished) -> Vec<KeyValue> {
    let head = &request.head;
    let mut attributes = vec![
        KeyValue::new("http.method", head.method.clone()),
        KeyValue::new("http.scheme", "http"),
        KeyValue::new("http.url", head.target.clone()),
        KeyValue::new("net.protocol.version", head.version),
    ];
    for (name, text) in [
        ("net.host.name", &head.host),
        ("net.sock.peer.addr", &head.peer),
        ("user_agent.original", &head.user_agent),
        ("http.client_ip", &head.client_ip),
    ] {
        if !text.is_empty() {
            attributes.push(KeyValue::new(name, text.clone()));
        }
    }
    if let Some(port) = head.port {
        attributes.push(KeyValue::new("net.host.port", i64::from(port)));
    }
    if let Some(status) = request.status {
        attributes.push(KeyValue::new("http.status_code", i64::from(status)));
    }
    attributes
}

fn source(request: &Finished) -> impl Iterator<Item = KeyValue> + use<> {
    request.source().into_iter().flat_map(|(url, origin)| {
        [
            KeyValue::new("imgproxy.source_image_url", url),
            KeyValue::new("imgproxy.source_image_origin", origin),
        ]
    })
}

/// Each option of the canonical form under its name: one argument in its own type, several as one text.
fn options(request: &Finished) -> impl Iterator<Item = KeyValue> {
    request.options().map(|(name, arguments)| {
        let key = format!("imgproxy.options.{name}");
        match (arguments.parse::<i64>(), arguments.parse::<f64>()) {
            (Ok(number), _) => KeyValue::new(key, number),
            (_, Ok(number)) => KeyValue::new(key, number),
            _ => KeyValue::new(key, arguments.to_owned()),
        }
    })
}
