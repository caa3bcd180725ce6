//! Builds every component once, owns the listeners, stops them in order.
//!
//! It must not know what a request means; that is [`crate::http`] and [`crate::service`].

mod engine;
mod housekeeping;
mod reload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cache::{self, CacheKey, Store};
use crate::config::{Config, Env, ProcessingConfig};
use crate::format::ImageFormat;
use crate::http::admin::AdminServer;
use crate::http::metrics::{self, MetricsServer};
use crate::http::{App, BindError, HealthProbe, Listener, Readiness, Settings, serve};
use crate::monitoring::{self, Facts, QueueState, Scheme};
use crate::reporting::Reporters;
use crate::service::Images;
use crate::service::assets::Assets;
use crate::service::downloads::Downloads;
use crate::service::image::{ImageService, ImageWorkers, Parts, run_job};
use crate::service::purge::Purges;
use crate::service::rate_limits::RateLimits;
use crate::service::workers::Workers;
use crate::source::{self, Memory, Sources};
use crate::telemetry::Telemetry;
use crate::{encode, processing};
use housekeeping::Housekeeping;

pub use self::reload::ReloadError;
use self::reload::{Reloader, Reloads};

/// Why the server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A listening socket could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The histogram buckets are unusable.
    #[error("metrics: {0}")]
    Metrics(String),
    /// The system gave no thread, or no signal handler.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A component could not be built.
    #[error(transparent)]
    Component(Box<dyn std::error::Error + Send + Sync>),
    /// Every preferred format is one that the linked libvips cannot save.
    #[error("no supported preferred formats specified")]
    NoPreferredFormats,
}

/// The components below the HTTP layer.
struct Components {
    images: Arc<dyn Images>,
    purges: Arc<dyn Purges>,
    health: HealthProbe,
    readiness: Arc<Readiness>,
    facts: Facts,
    reloader: Reloader,
    reporters: Reporters,
}

/// Builds everything below the HTTP layer; the first part that cannot be built ends the start.
async fn build(config: &Config) -> Result<Components, StartError> {
    let libvips = engine::start(&config.processing, &config.debugging)?;
    let tls = source::tls::verified(&config.source).map_err(component)?;
    let reporters = Reporters::start(&config.reporting, tls).map_err(component)?;
    let sources = Sources::new(&config.source).map_err(component)?;
    sources.log_in().await.map_err(component)?;
    let mut downloads = Downloads::new(sources, config);
    let assets = Assets::load(&config.assets, &downloads)
        .await
        .map_err(component)?;
    let reloader = Reloader::new(config).map_err(component)?;
    // The operator's own pictures need not be among the allowed sources, nor what they redirect to.
    if config.source.check_redirects {
        let rules = reloader.rules.clone();
        downloads = downloads.checking_redirects(move |url| rules.get().allows_source(url));
    }
    let savable: Vec<_> = encode::savable().collect();
    let settings = processing::Settings {
        processing: with_savable_formats(&config.processing, &savable)?,
        limits: config.limits.clone(),
        watermark_opacity: config.assets.watermark_opacity,
        savable: savable.clone(),
    };
    let environment = environment(&settings, &assets, &libvips);
    let (source_cache, source_tiers) = downloads.cache_kinds();
    let cache = Store::open(&config.cache.results, cache::RESULTS);
    let workers = Workers::start(&config.workers, |job, cancel| run_job(&job, cancel))?;
    let memory = Memory::new(config.workers.max_source_memory);
    watch_queue(&workers, &downloads, &memory);
    let facts = Facts {
        formats: savable,
        caches: cache.kind().into_iter().chain(source_cache).collect(),
        cache_tiers: cache.tiers().chain(source_tiers).collect(),
        schemes: schemes(config),
        report_services: reporters.services(),
        workers: workers.count(),
        libvips,
    };
    let full = workers.clone();
    let readiness = Arc::new(Readiness::new(move || full.is_full()));
    let observed = Arc::clone(&readiness);
    monitoring::set_ready_probe(move || observed.takes_requests());
    let images = ImageService::new(Parts {
        rules: reloader.rules.clone(),
        rate_limits: RateLimits::new(&config.rate_limits),
        downloads,
        memory,
        assets,
        assets_config: config.assets.clone(),
        cache,
        environment,
        timeout: config.server.timeout,
        workers,
        settings: Arc::new(settings),
        delivery: config.delivery.clone(),
    });
    Ok(Components {
        purges: Arc::new(images.clone()),
        images: Arc::new(images),
        health: Arc::new(engine::works),
        readiness,
        facts,
        reloader,
        reporters,
    })
}

/// Lets a scrape see who waits for what.
fn watch_queue(workers: &ImageWorkers, downloads: &Downloads, memory: &Memory) {
    let (workers, hosts, memory) = (workers.clone(), downloads.hosts().clone(), memory.clone());
    monitoring::set_queue_probe(move || QueueState {
        worker: workers.waiting() as u64,
        work: workers.queue().work(),
        decoded_bytes: workers.queue().bytes(),
        host: hosts.waiting(),
        memory: memory.waiting(),
        delayed: hosts.delayed(),
        source_bytes: memory.held(),
    });
}

/// Digest of everything but the request that decides what a result looks like; results of another one are not used.
fn environment(settings: &processing::Settings, assets: &Assets, libvips: &str) -> String {
    let watermark = assets.watermark.as_ref().map(|image| &*image.bytes);
    let settings = format!("{settings:?}");
    let parts = [
        settings.as_bytes(),
        watermark.unwrap_or_default(),
        libvips.as_bytes(),
        env!("CARGO_PKG_VERSION").as_bytes(),
        processing::PIPELINE_VERSION.as_bytes(),
    ];
    CacheKey::of(&parts).to_string()
}

fn schemes(config: &Config) -> Vec<Scheme> {
    let local = config.source.local_root.as_ref().map(|_| Scheme::Local);
    let storage = &config.source.storage;
    let storages = [
        (storage.s3.enabled, Scheme::S3),
        (storage.gcs.enabled, Scheme::Gs),
        (storage.abs.enabled, Scheme::Abs),
        (storage.swift.enabled, Scheme::Swift),
    ];
    let on = storages.into_iter().filter(|(on, _)| *on);
    [Scheme::Http, Scheme::Https]
        .into_iter()
        .chain(local)
        .chain(on.map(|(_, scheme)| scheme))
        .collect()
}

/// The configuration without preferred formats that this build cannot write.
fn with_savable_formats(
    config: &ProcessingConfig,
    savable: &[ImageFormat],
) -> Result<ProcessingConfig, StartError> {
    let mut config = config.clone();
    config.preferred_formats.retain(|format| {
        let kept = savable.contains(format);
        if !kept {
            tracing::warn!(
                format = format.name(),
                "can't be a preferred format, this libvips does not save it"
            );
        }
        kept
    });
    if config.preferred_formats.is_empty() {
        return Err(StartError::NoPreferredFormats);
    }
    Ok(config)
}

fn component(error: impl std::error::Error + Send + Sync + 'static) -> StartError {
    StartError::Component(Box::new(error))
}

/// Starts servers.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Binds both listeners and starts to serve, inside the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(config: &Config) -> Result<Running, StartError> {
        let components = build(config).await?;
        let server = &config.server;
        let listener = Listener::bind(server)?;
        let metrics = start_metrics(config, &components.facts)?;
        let telemetry =
            Telemetry::start(&config.telemetry, &components.facts).map_err(component)?;
        let admin = AdminServer::start(&config.admin, &server.path_prefix, components.purges)?;
        let addr = listener.local_addr();
        let settings = Settings {
            server: server.clone(),
            delivery: config.delivery.clone(),
            negotiation: config.processing.negotiation,
            client_hints: config.processing.client_hints,
            secrets: components.reloader.secrets.clone(),
            redaction: components.reloader.redaction.clone(),
            reporters: components.reporters.clone(),
        };
        let readiness = components.readiness;
        let app = App::new(
            &settings,
            components.images,
            components.health,
            Arc::clone(&readiness),
        );
        let app = Arc::new(app.traced(telemetry.tracer()));
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
            telemetry,
            reloader: components.reloader,
            readiness,
            drain_delay: server.drain_delay,
            admin_addr: admin.as_ref().and_then(AdminServer::address),
            _admin: admin,
            stop,
            task,
            reporters: components.reporters,
            leak_check: config.debugging.leak_check,
            _housekeeping: Housekeeping::start(&config.debugging),
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
    /// Bound address of the admin listener; `None` where it is off.
    pub admin_addr: Option<SocketAddr>,
    metrics: Option<MetricsServer>,
    telemetry: Telemetry,
    reloader: Reloader,
    readiness: Arc<Readiness>,
    drain_delay: Duration,
    _admin: Option<AdminServer>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    reporters: Reporters,
    leak_check: bool,
    _housekeeping: Housekeeping,
}

impl Running {
    /// Replaces what decides whether a request is accepted: signing keys, presets, allowed sources and options, tokens.
    /// Requests that have begun are not affected. Returns the variables that have changed too and that only a restart
    /// reads.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing has changed then.
    pub fn reload(&mut self, config: &Config) -> Result<Vec<String>, ReloadError> {
        self.reloader.reload(config)
    }

    /// Stops gracefully: turns unready, goes on for the drain delay, then accepts no more; returns when every request has
    /// ended or the graceful time is over. Metrics are served until then.
    pub async fn stop(self) {
        self.readiness.drain();
        tokio::time::sleep(self.drain_delay).await;
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "server task");
        }
        tokio::join!(self.telemetry.stop(), self.reporters.stop(LAST_REPORTS));
        if self.leak_check {
            engine::log_leaks().await;
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

/// Serves until SIGINT or SIGTERM, then stops gracefully; a second signal changes nothing. SIGHUP reads `env` again and
/// reloads.
///
/// # Errors
/// [`StartError`] when the server could not start.
pub async fn run(config: Config, env: Arc<dyn Env + Send + Sync>) -> Result<(), StartError> {
    // Registered first, so that a signal during the start is not lost.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut running = Server::start(&config).await?;
    drop(config);
    let mut reloads = Reloads::new(env);
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => reloads.ask(),
            loaded = reloads.loaded() => reload::apply(&mut running, loaded),
            () = running.failed() => {
                tracing::error!("the metrics listener has ended");
                break;
            }
        }
    }
    tracing::info!("Shutting down the server...");
    running.stop().await;
    Ok(())
}

/// How long reports may take after the last request: imgproxy's time.
const LAST_REPORTS: Duration = Duration::from_secs(5);

fn start_metrics(config: &Config, facts: &Facts) -> Result<Option<MetricsServer>, StartError> {
    let Some(listener) = metrics::bind(&config.monitoring, &config.server.bind)? else {
        return Ok(None);
    };
    monitoring::register_metrics(&config.monitoring, facts).map_err(StartError::Metrics)?;
    Ok(Some(listener.start()?))
}
