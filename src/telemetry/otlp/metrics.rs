//! Metrics over OTLP: imgproxy's family. Rule: `spec/monitoring.md` A2.

use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider as _};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use tokio::runtime::Handle;

use super::super::queue::Failures;
use super::super::{Setup, Sink};
use crate::monitoring::trace::Finished;
use crate::monitoring::{self, Integration, Load};

/// Starts to collect and to send every `interval`.
pub(super) fn start(
    exporter: MetricExporter,
    resource: Resource,
    interval: Duration,
    setup: &mut Setup,
) {
    let integration = Integration::OpenTelemetry;
    let provider = provider(exporter, resource, interval, integration, setup);
    let meter = provider.meter("imgproxy");
    observe(&meter, GAUGES);
    observe_process(&meter);
    setup.sinks.push(Box::new(Instruments::new(&meter)));
}

/// Collects and sends every `interval`, and once more at the end.
pub(super) fn provider(
    exporter: MetricExporter,
    resource: Resource,
    interval: Duration,
    integration: Integration,
    setup: &mut Setup,
) -> SdkMeterProvider {
    let exporter = Exporter {
        exporter,
        runtime: Handle::current(),
        failures: Mutex::new(Failures::new(integration)),
    };
    let reader = PeriodicReader::builder(exporter)
        .with_interval(interval)
        .build();
    let provider = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_reader(reader)
        .build();
    let last = provider.clone();
    setup.last.push(Box::new(move || {
        // It sends once more; a failure has been noted by the exporter.
        drop(last.shutdown());
    }));
    provider
}

struct Instruments {
    requests: Counter<u64>,
    statuses: Counter<u64>,
    errors: Counter<u64>,
    duration: Histogram<f64>,
    spans: Histogram<f64>,
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let counter = |name, help| {
            let builder = meter.u64_counter(name).with_unit("1");
            builder.with_description(help).build()
        };
        let histogram = |name, help| {
            let builder = meter.f64_histogram(name).with_unit("s");
            let builder = builder.with_boundaries(monitoring::IMGPROXY_BUCKETS.to_vec());
            builder.with_description(help).build()
        };
        Self {
            requests: counter("requests_total", "Image requests."),
            statuses: counter("status_codes_total", "Answers by status."),
            errors: counter("errors_total", "Errors by type."),
            duration: histogram("request_duration_seconds", "Whole image requests."),
            spans: histogram("request_span_duration_seconds", "Parts of image requests."),
        }
    }
}

impl Sink for Instruments {
    fn finished(&self, request: &Arc<Finished>) {
        self.requests.add(1, &[]);
        self.duration.record(request.duration.as_secs_f64(), &[]);
        if let Some(status) = request.status {
            let status = KeyValue::new("status", status.to_string());
            self.statuses.add(1, &[status]);
        }
        for exception in &request.exceptions {
            let kind = KeyValue::new("type", exception.category.label());
            self.errors.add(1, &[kind]);
        }
        for child in &request.children {
            let span = KeyValue::new("span", child.span.label());
            self.spans.record(child.duration.as_secs_f64(), &[span]);
        }
    }
}

/// Name, unit, value.
pub(super) type Gauge = (&'static str, &'static str, fn(&Load) -> f64);

const GAUGES: &[Gauge] = &[
    ("workers", "1", |l| monitoring::float(l.workers)),
    ("requests_in_progress", "1", |l| {
        monitoring::float(l.requests)
    }),
    ("images_in_progress", "1", |l| monitoring::float(l.images)),
    ("workers_utilization", "%", Load::utilization),
    ("vips_memory_bytes", "By", |l| monitoring::float(l.vips.0)),
    ("vips_max_memory_bytes", "By", |l| {
        monitoring::float(l.vips.1)
    }),
    ("vips_allocs", "1", |l| monitoring::float(l.vips.2)),
];

/// Observes gauges at every collection.
pub(super) fn observe(meter: &Meter, gauges: &'static [Gauge]) {
    for (name, unit, value) in gauges {
        meter
            .f64_observable_gauge(*name)
            .with_unit(*unit)
            .with_callback(move |gauge| gauge.observe(value(&monitoring::load()), &[]))
            .build();
    }
}

fn observe_process(meter: &Meter) {
    let memory = |name: &'static str, value: fn((f64, f64)) -> f64| {
        meter
            .f64_observable_gauge(name)
            .with_unit("By")
            .with_callback(move |gauge| {
                if let Some(memory) = monitoring::process_memory() {
                    gauge.observe(value(memory), &[]);
                }
            })
            .build();
    };
    memory("process_resident_memory_bytes", |m| m.0);
    memory("process_virtual_memory_bytes", |m| m.1);
}

/// The exporter on the server's runtime: the reader has a thread of its own, which knows no runtime.
struct Exporter {
    exporter: MetricExporter,
    runtime: Handle,
    failures: Mutex<Failures>,
}

impl PushMetricExporter for Exporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut export = pin!(self.exporter.export(metrics));
        let result = std::future::poll_fn(|context| {
            let _runtime = self.runtime.enter();
            export.as_mut().poll(context)
        })
        .await;
        let noted = result.as_ref().map(|&()| ()).map_err(ToString::to_string);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.note(1, noted);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
