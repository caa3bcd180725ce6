//! Datadog: traces to the agent's own endpoint, gauges over DogStatsD. Rule: `spec/monitoring.md` A3.

mod statsd;
mod traces;

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;

use super::gauges;
use super::propagation::Format;
use super::queue::{Batching, Export, Queue};
use super::tls;
use super::{Setup, Sink, TelemetryError};
use crate::config::telemetry::DatadogConfig;
use crate::config::telemetry::open_telemetry::Propagator;
use crate::monitoring::Integration;
use crate::monitoring::trace::Finished;

/// Sets up traces, and gauges where they are on.
pub(super) fn start(config: &DatadogConfig, setup: &mut Setup) -> Result<(), TelemetryError> {
    let formats = [Format::Open(Propagator::TraceContext), Format::Datadog];
    setup.extract.extend(formats);
    if config.propagate_external {
        setup.inject.extend(formats);
    }
    let agent = Agent::new(config).map_err(|reason| TelemetryError::Exporter {
        integration: "Datadog",
        reason,
    })?;
    if config.startup_logs {
        tracing::info!(
            agent_url = agent.url,
            service = config.service,
            env = config.env,
            version = agent.tags.version,
            additional_metrics = config.metrics,
            "DATADOG TRACER CONFIGURATION"
        );
    }
    let (queue, task) = Queue::start(Integration::Datadog, BATCHING, setup.stop.clone(), agent);
    setup.tasks.push(task);
    setup.sinks.push(Box::new(All(queue)));
    if config.metrics {
        let statsd = statsd::Statsd::new(config);
        let stop = setup.stop.clone();
        let task = gauges::start(Integration::Datadog, gauges::INTERVAL, stop, statsd);
        setup.tasks.push(task);
    }
    Ok(())
}

/// Every request: the agent does the sampling.
struct All(Queue<Arc<Finished>>);

impl Sink for All {
    fn finished(&self, request: &Arc<Finished>) {
        self.0.push(Arc::clone(request));
    }
}

/// The agent's endpoint for traces.
struct Agent {
    client: reqwest::Client,
    url: String,
    tags: traces::Tags,
}

impl Agent {
    fn new(config: &DatadogConfig) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(tls::none()?)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| error.to_string())?;
        let authority = authority(&config.agent_host, config.trace_port);
        Ok(Self {
            client,
            url: format!("http://{authority}/v0.4/traces"),
            tags: traces::Tags::new(config),
        })
    }
}

impl Export<Arc<Finished>> for Agent {
    async fn export(&mut self, batch: Vec<Arc<Finished>>) -> Result<(), String> {
        let request = self
            .client
            .put(&self.url)
            .header(CONTENT_TYPE, "application/msgpack")
            .header("X-Datadog-Trace-Count", batch.len().to_string())
            .header("Datadog-Meta-Lang", "rust")
            .header("Datadog-Meta-Tracer-Version", env!("CARGO_PKG_VERSION"))
            .body(traces::encode(&batch, &self.tags));
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("the agent answered {status}"))
        }
    }
}

/// `host:port`; an IPv6 address gets its brackets.
fn authority(host: &str, port: i64) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

const BATCHING: Batching = Batching {
    queue: 2048,
    batch: 256,
    delay: Duration::from_secs(1),
};
const TIMEOUT: Duration = Duration::from_secs(10);
