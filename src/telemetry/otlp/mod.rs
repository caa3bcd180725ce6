//! OpenTelemetry: traces, metrics and log lines over OTLP, with the exporters of the OpenTelemetry project.

mod client;
mod exporters;
mod logs;
mod metrics;
pub(super) mod new_relic;
mod spans;

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;

use self::exporters::Target;
use super::propagation::Format;
use super::queue::{Batching, Export, Queue};
use super::tls::Material;
use super::{Setup, Sink, TelemetryError};
use crate::config::telemetry::OpenTelemetryConfig;
use crate::config::telemetry::open_telemetry::Signal;
use crate::monitoring::Integration;
use crate::monitoring::trace::Finished;

/// Sets up every signal that is on.
pub(super) fn start(config: &OpenTelemetryConfig, setup: &mut Setup) -> Result<(), TelemetryError> {
    let tls = Material::new(config)?;
    let resource = resource(&config.service_name, &config.resource);
    let formats = config.propagators.iter().copied().map(Format::Open);
    setup.extract.extend(formats.clone());
    if config.propagate_external {
        setup.inject.extend(formats);
    }
    let batching = Batching {
        queue: config.queue_size,
        batch: config.batch_size.min(config.queue_size),
        delay: config.schedule_delay,
    };
    if let Some(exporter) = config.exporter(Signal::Traces) {
        let exporter = exporters::spans(&Target::new(exporter, Signal::Traces)?, &tls)?;
        let integration = Integration::OpenTelemetry;
        add_spans(
            exporter,
            &resource,
            spans::NAMES,
            integration,
            batching,
            setup,
        );
    }
    if let Some(exporter) = config.exporter(Signal::Metrics) {
        let exporter = exporters::metrics(&Target::new(exporter, Signal::Metrics)?, &tls)?;
        metrics::start(exporter, resource.clone(), config.metric_interval, setup);
    }
    if let Some(exporter) = config.exporter(Signal::Logs) {
        let exporter = exporters::logs(&Target::new(exporter, Signal::Logs)?, &tls)?;
        logs::start(exporter, resource, config, batching, setup);
    }
    Ok(())
}

/// Sends the spans of sampled requests through `exporter`.
fn add_spans(
    mut exporter: opentelemetry_otlp::SpanExporter,
    resource: &Resource,
    names: spans::Names,
    integration: Integration,
    batching: Batching,
    setup: &mut Setup,
) {
    exporter.set_resource(resource);
    let (queue, task) = Queue::start(
        integration,
        batching,
        setup.stop.clone(),
        Spans { exporter, names },
    );
    setup.tasks.push(task);
    setup.sinks.push(Box::new(Sampled(queue)));
}

/// Requests that the sampler keeps.
struct Sampled(Queue<Arc<Finished>>);

impl Sink for Sampled {
    fn finished(&self, request: &Arc<Finished>) {
        if request.identity.sampled {
            self.0.push(Arc::clone(request));
        }
    }
}

struct Spans {
    exporter: opentelemetry_otlp::SpanExporter,
    names: spans::Names,
}

impl Export<Arc<Finished>> for Spans {
    async fn export(&mut self, batch: Vec<Arc<Finished>>) -> Result<(), String> {
        let spans = batch
            .iter()
            .flat_map(|request| spans::of(request, self.names));
        let sent = self.exporter.export(spans.collect()).await;
        sent.map_err(|error| error.to_string())
    }
}

/// Who sends: the service, and what the operator adds.
fn resource(service: &str, attributes: &[(String, String)]) -> Resource {
    let own = attributes
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("telemetry.sdk.language", "rust"),
            KeyValue::new("telemetry.sdk.name", "opentelemetry"),
            KeyValue::new("telemetry.sdk.version", SDK_VERSION),
        ])
        .with_attributes(own)
        .with_attributes([KeyValue::new("service.name", service.to_owned())])
        .build()
}

/// Of `opentelemetry_sdk`, which does not tell.
const SDK_VERSION: &str = "0.33";
