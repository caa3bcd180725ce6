//! Requests in the agent's form: MessagePack, version 0.4 of its interface: a list of traces, each a list of spans.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rmp::encode::{
    ByteBuf, write_array_len, write_f64, write_map_len, write_sint, write_str, write_uint,
};

use super::super::propagation::low;
use crate::config::telemetry::DatadogConfig;
use crate::monitoring::Span;
use crate::monitoring::trace::{Child, Finished};

/// Who sends.
#[derive(Clone, Debug)]
pub(super) struct Tags {
    pub(super) service: String,
    pub(super) version: String,
    /// `env` and `DD_TAGS`.
    pub(super) more: Vec<(String, String)>,
}

impl Tags {
    pub(super) fn new(config: &DatadogConfig) -> Self {
        let version = match config.version.as_str() {
            "" => env!("CARGO_PKG_VERSION"),
            version => version,
        };
        let mut more = config.tags.clone();
        if !config.env.is_empty() {
            more.push(("env".to_owned(), config.env.clone()));
        }
        Self {
            service: config.service.clone(),
            version: version.to_owned(),
            more,
        }
    }
}

/// The body of a request to the agent.
pub(super) fn encode(batch: &[Arc<Finished>], tags: &Tags) -> Vec<u8> {
    let mut out = ByteBuf::new();
    array(&mut out, batch.len());
    for request in batch {
        array(&mut out, 1 + request.children.len());
        root(request, tags).write(&mut out, &tags.service);
        for part in &request.children {
            child(request, part, tags).write(&mut out, &tags.service);
        }
    }
    out.into_vec()
}

/// One span before it is written.
struct Item<'a> {
    name: &'a str,
    kind: &'a str,
    trace: u64,
    id: u64,
    parent: u64,
    start: i64,
    duration: i64,
    error: bool,
    meta: Vec<(String, String)>,
    metrics: Vec<(&'a str, f64)>,
}

fn root<'a>(request: &'a Finished, tags: &Tags) -> Item<'a> {
    let mut meta = common(tags);
    meta.push(pair("http.method", &request.head.method));
    meta.push(pair("http.url", &request.head.target));
    meta.push(pair("span.kind", "server"));
    if let Some(status) = request.status {
        meta.push(pair("http.status_code", &status.to_string()));
    }
    meta.extend(source(request));
    meta.extend(options(request));
    // The half of the identity that the span's own field has no room for.
    meta.push(pair(
        "_dd.p.tid",
        &format!("{:016x}", request.identity.trace >> 64),
    ));
    if let Some(exception) = request.exceptions.last() {
        meta.push(pair("error.type", &exception.kind));
        meta.push(pair("error.message", &exception.message));
        meta.push(pair("error.stack", &exception.stack));
    }
    let priority = f64::from(u8::from(request.identity.asked.unwrap_or(true)));
    Item {
        name: "request",
        kind: "web",
        trace: low(request.identity.trace),
        id: request.identity.root,
        parent: request.identity.parent.unwrap_or_default(),
        start: nanoseconds(request.start),
        duration: i64::try_from(request.duration.as_nanos()).unwrap_or(i64::MAX),
        error: !request.exceptions.is_empty() || request.status.is_some_and(|s| s >= 500),
        meta,
        metrics: vec![
            ("_sampling_priority_v1", priority),
            ("_dd.measured", 1.0),
            ("_dd.top_level", 1.0),
        ],
    }
}

fn child<'a>(request: &Finished, part: &'a Child, tags: &Tags) -> Item<'a> {
    let mut meta = common(tags);
    match part.span {
        Span::DownloadingSourceImage => meta.extend(source(request)),
        Span::ProcessingImage => meta.extend(options(request)),
        Span::Queue | Span::StreamingImage => {}
    }
    Item {
        name: part.span.label(),
        kind: "",
        trace: low(request.identity.trace),
        id: part.id,
        parent: request.identity.root,
        start: nanoseconds(part.start),
        duration: i64::try_from(part.duration.as_nanos()).unwrap_or(i64::MAX),
        error: false,
        meta,
        metrics: vec![("_dd.measured", 1.0)],
    }
}

impl Item<'_> {
    fn write(&self, out: &mut ByteBuf, service: &str) {
        map(out, 12);
        for (key, value) in [
            ("service", service),
            ("name", self.name),
            ("resource", self.name),
            ("type", self.kind),
        ] {
            text(out, key);
            text(out, value);
        }
        for (key, value) in [
            ("trace_id", self.trace),
            ("span_id", self.id),
            ("parent_id", self.parent),
        ] {
            text(out, key);
            // Writing to memory cannot fail, here and below.
            let _ = write_uint(out, value);
        }
        for (key, value) in [
            ("start", self.start),
            ("duration", self.duration),
            ("error", i64::from(self.error)),
        ] {
            text(out, key);
            let _ = write_sint(out, value);
        }
        text(out, "meta");
        map(out, self.meta.len());
        for (key, value) in &self.meta {
            text(out, key);
            text(out, value);
        }
        text(out, "metrics");
        map(out, self.metrics.len());
        for (key, value) in &self.metrics {
            text(out, key);
            let _ = write_f64(out, *value);
        }
    }
}

fn common(tags: &Tags) -> Vec<(String, String)> {
    let mut meta = vec![pair("version", &tags.version), pair("language", "rust")];
    meta.extend(tags.more.clone());
    meta
}

fn source(request: &Finished) -> impl Iterator<Item = (String, String)> + use<> {
    request.source().into_iter().flat_map(|(url, origin)| {
        [
            ("imgproxy.source_image_url".to_owned(), url),
            ("imgproxy.source_image_origin".to_owned(), origin),
        ]
    })
}

fn options(request: &Finished) -> impl Iterator<Item = (String, String)> {
    request
        .options()
        .map(|(name, value)| (format!("imgproxy.options.{name}"), value.to_owned()))
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn array(out: &mut ByteBuf, length: usize) {
    let _ = write_array_len(out, u32::try_from(length).unwrap_or(u32::MAX));
}

fn map(out: &mut ByteBuf, length: usize) {
    let _ = write_map_len(out, u32::try_from(length).unwrap_or(u32::MAX));
}

fn text(out: &mut ByteBuf, text: &str) {
    let _ = write_str(out, text);
}
