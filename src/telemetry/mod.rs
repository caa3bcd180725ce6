//! Sends traces, metrics and log lines to the integrations that are on. Rules: `spec/monitoring.md` A2 and A3.
//!
//! Owns everything between [`crate::monitoring::trace`], which hands over finished requests, and the network. Requests
//! never wait for it: queues are bounded, and what does not fit or cannot be sent is dropped and counted.

mod cloud_watch;
mod datadog;
mod gauges;
mod identity;
pub mod log;
mod otlp;
mod propagation;
mod queue;
mod tls;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::TelemetryConfig;
use crate::config::telemetry::OpenTelemetryConfig;
use crate::config::telemetry::open_telemetry::Sampler;
use crate::monitoring::trace::{self, Finished, Identity, Tracer};
use crate::monitoring::{self, Facts};
use crate::redact;
use identity::Identities;
use propagation::Format;

/// Why an integration could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// `OPEN_TELEMETRY_SERVER_CERT` has no certificate.
    #[error("can't load OpenTelemetry server cert: {0}")]
    ServerCert(String),
    /// `OPEN_TELEMETRY_CLIENT_CERT` and `_KEY` do not give an identity.
    #[error("can't load OpenTelemetry client cert/key pair: {0}")]
    ClientPair(String),
    /// CloudWatch cannot be asked.
    #[error("can't load CloudWatch config: {0}")]
    CloudWatch(String),
    /// A client or an exporter could not be built.
    #[error("can't set up {integration}: {reason}")]
    Exporter {
        /// Which one.
        integration: &'static str,
        /// Why.
        reason: String,
    },
}

/// Takes finished requests; it may not wait for anything.
trait Sink: Send + Sync {
    /// `request` has ended.
    fn finished(&self, request: &Arc<Finished>);
}

/// The running integrations.
#[derive(Default)]
pub struct Telemetry {
    tracer: Option<Arc<Hub>>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    last: Vec<Box<dyn FnOnce() + Send>>,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry")
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

/// What an integration adds while it is set up.
#[derive(Default)]
struct Setup {
    sinks: Vec<Box<dyn Sink>>,
    extract: Vec<Format>,
    inject: Vec<Format>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// Blocking work at the very end.
    last: Vec<Box<dyn FnOnce() + Send>>,
}

impl Telemetry {
    /// Starts every integration that is on, inside the current tokio runtime. Nothing is tried: a collector that is not
    /// there shows later, in the log and in `imgforge_telemetry_dropped_total`.
    ///
    /// # Errors
    /// [`TelemetryError`] for what can be seen to be wrong without the network.
    pub fn start(config: &TelemetryConfig, facts: &Facts) -> Result<Self, TelemetryError> {
        // The metrics listener, which sets it too, may be off.
        monitoring::set_workers(u64::try_from(facts.workers).unwrap_or(u64::MAX));
        if !config.is_on() {
            return Ok(Self::default());
        }
        let mut setup = Setup::default();
        if config.open_telemetry.enable {
            otlp::start(&config.open_telemetry, &mut setup)?;
        }
        if config.datadog.enable {
            datadog::start(&config.datadog, &mut setup)?;
        }
        if !config.new_relic.key.is_empty() {
            otlp::new_relic::start(&config.new_relic, &mut setup)?;
        }
        if !config.cloud_watch.service_name.is_empty() {
            cloud_watch::start(&config.cloud_watch, &mut setup)?;
        }
        let tracer = config.has_traces().then(|| {
            Arc::new(Hub {
                identities: identities(&config.open_telemetry),
                sinks: setup.sinks,
                extract: each_once(setup.extract),
                inject: each_once(setup.inject),
            })
        });
        Ok(Self {
            tracer,
            stop: setup.stop,
            tasks: setup.tasks,
            last: setup.last,
        })
    }

    /// What the HTTP layer is to hand requests to; `None` where nothing is traced.
    pub fn tracer(&self) -> Option<Arc<dyn Tracer>> {
        let hub = Arc::clone(self.tracer.as_ref()?);
        Some(hub)
    }

    /// Sends what is left, for at most [`FLUSH_TIME`].
    pub async fn stop(self) {
        self.stop.cancel();
        let last = tokio::task::spawn_blocking(move || {
            for work in self.last {
                work();
            }
        });
        let all = futures_util::future::join_all(self.tasks.into_iter().chain([last]));
        if tokio::time::timeout(FLUSH_TIME, all).await.is_err() {
            tracing::warn!("telemetry was left unsent");
        }
    }
}

fn identities(config: &OpenTelemetryConfig) -> Identities {
    if config.enable {
        Identities {
            xray: config.xray_ids,
            sampler: config.sampler,
            ratio: config.sampler_ratio,
        }
    } else {
        Identities {
            xray: true,
            sampler: Sampler::ParentOrOn,
            ratio: 1.0,
        }
    }
}

/// Takes secrets out of `text`.
fn hide(text: &mut String) {
    if let Cow::Owned(changed) = redact::text(text) {
        *text = changed;
    }
}

/// Integrations share formats, and a header is written once.
fn each_once(formats: Vec<Format>) -> Vec<Format> {
    let mut once = Vec::new();
    for format in formats {
        if !once.contains(&format) {
            once.push(format);
        }
    }
    once
}

/// Names traces and passes them to every integration.
struct Hub {
    identities: Identities,
    sinks: Vec<Box<dyn Sink>>,
    extract: Vec<Format>,
    inject: Vec<Format>,
}

impl Tracer for Hub {
    fn begin(&self, headers: &HeaderMap) -> Identity {
        let parent = propagation::extract(&self.extract, headers);
        let asked = parent.as_ref().and_then(|p| p.sampled);
        let (trace, span, mut carried) = match parent {
            Some(parent) => (parent.trace, Some(parent.span), parent.carried),
            None => (self.identities.trace(), None, HeaderMap::new()),
        };
        propagation::extract_baggage(&self.extract, headers, &mut carried);
        Identity {
            trace,
            root: trace::new_id(),
            parent: span,
            asked,
            sampled: self.identities.is_sampled(trace, asked),
            carried,
        }
    }

    fn finish(&self, mut request: Finished) {
        hide(&mut request.source_url);
        for exception in &mut request.exceptions {
            hide(&mut exception.message);
            hide(&mut exception.stack);
        }
        let request = Arc::new(request);
        for sink in &self.sinks {
            sink.finished(&request);
        }
    }

    fn inject(&self, identity: &Identity, span: u64, headers: &mut HeaderMap) {
        propagation::inject(&self.inject, identity, span, headers);
    }
}

/// Time for the last exports.
const FLUSH_TIME: Duration = Duration::from_secs(5);
