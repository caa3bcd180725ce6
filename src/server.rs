//! Builds every component once, owns the listeners, stops them in order.
//!
//! It must not know what a request means; that is [`crate::http`] and [`crate::service`].

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::config::monitoring::MetricsBind;
use crate::http::metrics::{self, MetricsServer};
use crate::http::{App, BindError, HealthProbe, Listener, serve};
use crate::monitoring::{self, Facts};
use crate::service::Images;

/// Why the server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A listening socket could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The metrics listener equals the main one, or its buckets are unusable.
    #[error("metrics: {0}")]
    Metrics(String),
    /// The system gave no thread, or no signal handler.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A component could not be built.
    #[error("{0}")]
    Component(String),
}

/// The components below the HTTP layer.
pub struct Components {
    /// The image use case.
    pub images: Arc<dyn Images>,
    /// Whether image processing works.
    pub health: HealthProbe,
    /// What the initial metric series depend on.
    pub facts: Facts,
}

impl std::fmt::Debug for Components {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Components")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

/// Starts servers.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Binds both listeners and starts to serve, inside the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub fn start(config: &Config, components: Components) -> Result<Running, StartError> {
        let server = &config.server;
        let listener = Listener::bind(server.network, &server.bind, server.so_reuseport)?;
        let metrics = start_metrics(config, &components.facts)?;
        let addr = listener.local_addr();
        let app = Arc::new(App::new(config, components.images, components.health));
        let stop = CancellationToken::new();
        let task = {
            let (config, stop) = (server.clone(), stop.clone());
            tokio::spawn(async move { serve::serve(listener, app, &config, stop).await })
        };
        tracing::info!("Starting server at {}", server.bind);
        Ok(Running {
            addr,
            metrics_addr: metrics.as_ref().and_then(MetricsServer::address),
            metrics,
            stop,
            task,
        })
    }
}

/// A running server.
#[derive(Debug)]
pub struct Running {
    /// Bound address of the main listener; `None` for a Unix socket.
    pub addr: Option<SocketAddr>,
    /// Bound address of the metrics listener; `None` where it is off.
    pub metrics_addr: Option<SocketAddr>,
    metrics: Option<MetricsServer>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Stops gracefully; returns when every request has ended or the graceful time is over. Metrics are served until
    /// then.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "server task");
        }
    }

    /// Returns when a listener has ended although nobody asked it to.
    async fn failed(&mut self) {
        let metrics = match &mut self.metrics {
            Some(metrics) => metrics.ended().boxed(),
            None => std::future::pending().boxed(),
        };
        metrics.await;
    }
}

/// Serves until SIGINT or SIGTERM, then stops gracefully. A second signal changes nothing.
///
/// # Errors
/// [`StartError`] when the server could not start.
pub async fn run(config: &Config, components: Components) -> Result<(), StartError> {
    // Registered first, so that a signal during the start is not lost.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut running = Server::start(config, components)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = running.failed() => tracing::error!("the metrics listener has ended"),
    }
    tracing::info!("Shutting down the server...");
    running.stop().await;
    Ok(())
}

fn start_metrics(config: &Config, facts: &Facts) -> Result<Option<MetricsServer>, StartError> {
    if let MetricsBind::Explicit(address) = &config.monitoring.bind
        && *address == config.server.bind
    {
        let text = "can't use the same address for the main server and for metrics";
        return Err(StartError::Metrics(text.to_owned()));
    }
    let Some(listener) = metrics::bind(&config.monitoring)? else {
        return Ok(None);
    };
    monitoring::register_metrics(&config.monitoring, facts).map_err(StartError::Metrics)?;
    Ok(Some(listener.start()?))
}
