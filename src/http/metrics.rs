//! The metrics listener: its own socket, thread and limits, so that a scrape never waits for images. Rule:
//! `spec/monitoring.md` B1.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use super::connection::{self, ResponseBody};
use super::exchange::{Exchange, Timeouts};
use super::listener::{BindError, bind_tcp};
use crate::config::MonitoringConfig;
use crate::config::monitoring::MetricsBind;
use crate::config::server::Network;
use crate::monitoring;

/// A bound metrics socket, not yet served.
#[derive(Debug)]
pub struct MetricsListener(std::net::TcpListener);

/// The running listener; it ends when this is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    address: Option<SocketAddr>,
    _stop: tokio_util::sync::DropGuard,
    ended: oneshot::Receiver<()>,
}

/// Binds as configured, after the main listener, whose address as written is `main`. The default address only warns when
/// it is taken, because an imgproxy user may serve images there.
///
/// # Errors
/// [`BindError`] for an explicit address: taken, wrong, or equal to `main`.
pub fn bind(config: &MonitoringConfig, main: &str) -> Result<Option<MetricsListener>, BindError> {
    match &config.bind {
        MetricsBind::Off => Ok(None),
        MetricsBind::Default => match bind_tcp(Network::Tcp, DEFAULT_ADDRESS, false) {
            Ok(listener) => Ok(Some(MetricsListener(listener))),
            Err(error) => {
                tracing::warn!(%error, "metrics are off");
                Ok(None)
            }
        },
        MetricsBind::Explicit(address) if address == main => Err(BindError::Same(address.clone())),
        MetricsBind::Explicit(address) => {
            bind_tcp(Network::Tcp, address, false).map(|listener| Some(MetricsListener(listener)))
        }
    }
}

impl MetricsListener {
    /// Serves on a thread of its own.
    ///
    /// # Errors
    /// The system's, when it gives no thread.
    pub fn start(self) -> std::io::Result<MetricsServer> {
        let address = self.0.local_addr().ok();
        let (stop, (ending, ended)) = (CancellationToken::new(), oneshot::channel());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stopped = stop.clone();
        std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                let _ending: oneshot::Sender<()> = ending;
                runtime.block_on(serve(self.0, stopped));
            })?;
        Ok(MetricsServer {
            address,
            _stop: stop.drop_guard(),
            ended,
        })
    }
}

impl MetricsServer {
    /// The bound address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Returns when the listener has ended by itself; then the process has to stop as well.
    pub async fn ended(&mut self) {
        // An error says that the thread is gone, which is what is awaited.
        let _ = (&mut self.ended).await;
    }
}

async fn serve(listener: std::net::TcpListener, stop: CancellationToken) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "metrics listener");
            return;
        }
    };
    let mut upkeep = tokio::time::interval(UPKEEP);
    let permits = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = upkeep.tick() => monitoring::upkeep(),
            accepted = accept(&listener, &permits) => {
                let Some((stream, permit)) = accepted else { continue };
                let stop = stop.clone();
                tokio::spawn(async move {
                    let _permit = permit;
                    let handler = |request: Request<Incoming>, exchange: Arc<Exchange>| {
                        std::future::ready(answer(&request, &exchange))
                    };
                    connection::run(stream, TIMEOUTS, stop.clone(), stop, handler).await;
                });
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a metrics connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn answer(request: &Request<Incoming>, exchange: &Exchange) -> Response<ResponseBody> {
    let has_body = !hyper::body::Body::is_end_stream(request.body());
    exchange.work(has_body);
    let mut response = if matches!(*request.method(), Method::GET | Method::HEAD) {
        scrape(request.headers())
    } else {
        let mut response = Response::new(full(Bytes::from_static(b"method not allowed\n")));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        response
    };
    if has_body {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn scrape(request: &HeaderMap) -> Response<ResponseBody> {
    let text = monitoring::render().unwrap_or_default();
    let packed = accepts_gzip(request)
        .then(|| gzip(text.as_bytes()))
        .and_then(Result::ok);
    let is_packed = packed.is_some();
    let mut response = Response::new(full(packed.unwrap_or_else(|| text.into_bytes()).into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let named = parts.next() == Some("gzip");
            let refused = parts.any(|p| {
                p.strip_prefix("q=")
                    .is_some_and(|q| q.parse() == Ok(0.0_f64))
            });
            named && !refused
        })
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn full(bytes: Bytes) -> ResponseBody {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// All addresses, port 9000.
const DEFAULT_ADDRESS: &str = ":9000";
/// The one content type that every Prometheus version takes.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Rule: `spec/monitoring.md` B1; the idle time is above the usual scrape intervals.
const TIMEOUTS: Timeouts = Timeouts {
    read: Duration::from_secs(5),
    write: Duration::from_secs(10),
    idle: Duration::from_secs(120),
};
/// More scrapers than anybody has.
const MAX_CLIENTS: usize = 64;
/// How often recorded samples are moved into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
