//! Log lines over OTLP.

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::{SpanId, TraceFlags, TraceId};
use opentelemetry_otlp::LogExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    LogBatch, LogExporter as _, LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider,
};

use super::super::Setup;
use super::super::log::{self, Line, Value};
use super::super::queue::{Batching, Export, Queue};
use crate::config::telemetry::OpenTelemetryConfig;
use crate::monitoring::Integration;

/// Sends log lines from now on. The first server of a process gets them.
pub(super) fn start(
    mut exporter: LogExporter,
    resource: Resource,
    config: &OpenTelemetryConfig,
    batching: Batching,
    setup: &mut Setup,
) {
    exporter.set_resource(&resource);
    let (queue, task) = Queue::start(
        Integration::OpenTelemetry,
        batching,
        setup.stop.clone(),
        Lines(exporter),
    );
    setup.tasks.push(task);
    let provider = SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_log_processor(Processor(queue))
        .build();
    let logger = provider.logger(config.logger_name.clone());
    log::send_to(Box::new(move |line| {
        // The provider lives as long as its logger is used.
        let _ = &provider;
        logger.emit(record(&logger, line));
    }));
}

type Item = (SdkLogRecord, InstrumentationScope);

/// Hands records to the queue.
#[derive(Debug)]
struct Processor(Queue<Item>);

impl LogProcessor for Processor {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.0.push((record.clone(), scope.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }
}

struct Lines(LogExporter);

impl Export<Item> for Lines {
    async fn export(&mut self, batch: Vec<Item>) -> Result<(), String> {
        let items: Vec<_> = batch
            .iter()
            .map(|(record, scope)| (record, scope))
            .collect();
        let sent = self.0.export(LogBatch::new(&items)).await;
        sent.map_err(|error| error.to_string())
    }
}

fn record(logger: &SdkLogger, line: Line) -> SdkLogRecord {
    let mut record = logger.create_log_record();
    let (number, text) = match line.level {
        tracing::Level::ERROR => (Severity::Error, "ERROR"),
        tracing::Level::WARN => (Severity::Warn, "WARNING"),
        tracing::Level::INFO => (Severity::Info, "INFO"),
        _ => (Severity::Debug, "DEBUG"),
    };
    record.set_timestamp(line.time);
    record.set_observed_timestamp(line.time);
    record.set_severity_number(number);
    record.set_severity_text(text);
    record.set_body(AnyValue::from(line.message));
    for (name, value) in line.fields {
        record.add_attribute(
            name,
            match value {
                Value::Text(text) => AnyValue::from(text),
                Value::Int(number) => AnyValue::from(number),
                Value::Float(number) => AnyValue::from(number),
                Value::Bool(truth) => AnyValue::from(truth),
            },
        );
    }
    if let Some((trace, span)) = line.trace {
        record.set_trace_context(
            TraceId::from(trace),
            SpanId::from(span),
            Some(TraceFlags::SAMPLED),
        );
    }
    record
}
