//! The HTTP surface over real sockets, with a scripted use case behind it.

mod connections;
mod headers;
mod lifecycle;
mod metrics;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{App, Listener, Readiness, Redaction, Secrets, Settings, response, serve};
use crate::config::ServerConfig;
use crate::config::access::TrustedProxies;
use crate::config::processing::Negotiation;
use crate::config::server::{HeadMode, Network};
use crate::error::{Error, Kind};
use crate::format::ImageFormat;
use crate::geometry::Size;
use crate::live::Live;
use crate::options::{Options, ParsedRequest};
use crate::reporting::Reporters;
use crate::service::{
    Body, CacheOutcome, ImageRequest, ImageResponse, Images, ReplyKind, Sizes, Understood,
};

/// Answers by the second segment of the target.
#[derive(Default)]
struct Script {
    /// Requests that were dropped before they were answered.
    dropped: Arc<AtomicUsize>,
}

impl Images for Script {
    fn handle(&self, request: ImageRequest) -> BoxFuture<'static, Result<ImageResponse, Error>> {
        let guard = DropCount(Some(Arc::clone(&self.dropped)));
        async move {
            let answer = script(request).await;
            guard.disarm();
            answer
        }
        .boxed()
    }

    fn retry_after(&self) -> u32 {
        3
    }
}

struct DropCount(Option<Arc<AtomicUsize>>);

impl DropCount {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for DropCount {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn script(request: ImageRequest) -> Result<ImageResponse, Error> {
    let command = request
        .target
        .split('/')
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let mut answer = processed(Bytes::from_static(b"picture"));
    match command.as_str() {
        "echo" => answer.body = Body::Bytes(request.target.into()),
        "features" => answer.body = Body::Bytes(format!("{:?}", request.features).into()),
        "slow" => tokio::time::sleep(Duration::from_millis(400)).await,
        "hang" => std::future::pending().await,
        "panic" => panic!("scripted"),
        "big" => answer.body = Body::Bytes(vec![b'x'; 32 << 20].into()),
        "hit" => answer.cache_status = Some(CacheOutcome::Hit.into()),
        "miss" => answer.cache_status = Some(CacheOutcome::Miss { stored: true }.into()),
        "collapsed" => answer.cache_status = Some(CacheOutcome::Collapsed.into()),
        "unmodified" => {
            answer.status = StatusCode::NOT_MODIFIED;
            answer.kind = ReplyKind::NotModified;
            answer.body = Body::Empty;
        }
        "raw" => {
            answer.kind = ReplyKind::Raw;
            answer.status = StatusCode::PARTIAL_CONTENT;
            answer.body = stream(vec![Ok("ab"), Ok("cd")]);
        }
        "raw-missing" => {
            answer.kind = ReplyKind::Raw;
            answer.status = StatusCode::NOT_FOUND;
            answer.body = stream(vec![Ok("gone")]);
        }
        "raw-breaks" => {
            answer.kind = ReplyKind::Raw;
            Arc::make_mut(&mut answer.source_headers).remove("content-length");
            answer.body = stream(vec![Ok("ab"), Err(())]);
        }
        "raw-hangs" => {
            answer.kind = ReplyKind::Raw;
            let first = futures_util::stream::iter([Ok(Bytes::from_static(b"ab"))]);
            answer.body = Body::Stream(first.chain(futures_util::stream::pending()).boxed());
        }
        "full" => return Err(Error::new(Kind::QueueFull, "queue is full").with_retry_after(7)),
        "broken" => {
            let cause = std::io::Error::other("the <cause>");
            return Err(Error::new(Kind::BrokenImage, "full <message>").with_source(cause));
        }
        "internal" => return Err(Error::new(Kind::Internal, "secret detail")),
        _ => {}
    }
    Ok(answer)
}

fn stream(items: Vec<Result<&'static str, ()>>) -> Body {
    let items = items.into_iter().map(|item| match item {
        Ok(text) => Ok(Bytes::from_static(text.as_bytes())),
        Err(()) => Err(std::io::ErrorKind::ConnectionReset.into()),
    });
    Body::Stream(futures_util::stream::iter(items.collect::<Vec<_>>()).boxed())
}

fn processed(body: Bytes) -> ImageResponse {
    let rows = [
        ("content-type", "image/gif"),
        ("content-length", "4"),
        ("content-range", "bytes 0-3/9"),
        ("accept-ranges", "bytes"),
        ("etag", "\"tag\""),
        ("last-modified", "Wed, 01 Jan 2025 00:00:00 GMT"),
        ("set-cookie", "a=b"),
        ("x-other", "c"),
    ];
    let source_headers: HeaderMap = rows
        .into_iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect();
    ImageResponse {
        status: StatusCode::OK,
        body: Body::Bytes(body),
        kind: ReplyKind::Processed {
            format: ImageFormat::Png,
            sizes: Sizes {
                origin: Some(Size::new(40, 30)),
                result: Some(Size::new(20, 15)),
                origin_bytes: 999,
            },
        },
        source_headers: source_headers.into(),
        understood: Arc::new(Understood::new(ParsedRequest {
            options: Options::default(),
            source_url: "http://origin/dir/cat.gif".to_owned(),
        })),
        max_age: None,
        fallback_for: None,
        cache_status: None,
        quota: None,
    }
}

fn settings() -> Settings {
    Settings {
        redaction: Live::new(Redaction::default()),
        reporters: Reporters::default(),
        server: ServerConfig {
            network: Network::Tcp,
            bind: "127.0.0.1:0".to_owned(),
            path_prefix: String::new(),
            timeout: Duration::from_secs(10),
            read_request_timeout: Duration::from_secs(10),
            write_response_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(10),
            graceful_stop_timeout: Duration::from_secs(20),
            max_clients: 100,
            so_reuseport: false,
            health_check_path: String::new(),
            health_check_message: "imgproxy is running".to_owned(),
            head_mode: HeadMode::Ok,
            socket_mode: None,
            drain_delay: Duration::ZERO,
            secret: String::new(),
            secrets: Vec::new(),
            allow_origin: String::new(),
            development_errors: false,
            server_name: "imgproxy".to_owned(),
            trusted_proxies: TrustedProxies::default(),
        },
        delivery: response::tests::delivery(),
        negotiation: Negotiation::default(),
        client_hints: false,
        secrets: Live::new(Secrets::new(&ServerConfig::default())),
    }
}

struct TestServer {
    address: SocketAddr,
    dropped: Arc<AtomicUsize>,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl TestServer {
    fn start(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_with_health(change, true)
    }

    fn start_with_health(change: impl FnOnce(&mut Settings), healthy: bool) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let server = settings.server.clone();
        settings.secrets.set(Secrets::new(&server));
        let listener = Listener::bind(&server).unwrap();
        let address = listener
            .local_addr()
            .unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let images = Script::default();
        let dropped = Arc::clone(&images.dropped);
        let readiness = Arc::new(Readiness::new(|| false));
        let app = Arc::new(App::new(
            &settings,
            Arc::new(images),
            Arc::new(move || healthy),
            Arc::clone(&readiness),
        ));
        let stop = CancellationToken::new();
        let task = {
            let stop = stop.clone();
            tokio::spawn(async move { serve::serve(listener, app, &server, stop).await })
        };
        Self {
            address,
            dropped,
            readiness,
            stop,
            task,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a whole request that closes its connection.
    async fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[]).await
    }

    async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        self.raw(format!("{text}\r\n").as_bytes()).await
    }

    /// Sends bytes and reads to the end.
    async fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        Reply::parse(&read_to_end(&mut stream).await)
    }
}

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    // A reset after some bytes ends the answer as well; tests look at what came.
    let _ = tokio::time::timeout(Duration::from_secs(15), read)
        .await
        .expect("server keeps the connection open");
    bytes
}

/// Reads one response with a declared length from a connection that stays open.
async fn read_one(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let reply = Reply::parse(format!("{head}\r\n\r\n").as_bytes());
            let length: usize = reply
                .header("content-length")
                .unwrap_or("0")
                .parse()
                .unwrap();
            if body.len() >= length {
                return Reply::parse(&bytes);
            }
        }
        let mut chunk = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut chunk));
        let read = read.await.expect("no answer").unwrap();
        assert!(read > 0, "closed after {text:?}");
        bytes.extend_from_slice(&chunk[..read]);
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    version: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let mut first = lines.next().unwrap_or_default().split(' ');
        let version = first.next().unwrap_or_default().to_owned();
        Self {
            status: first.next().and_then(|s| s.parse().ok()).unwrap_or(0),
            version,
            headers: lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice");
        value
    }
}

/// Headers by name and value.
pub(in crate::http) fn headers(rows: &[(&str, &str)]) -> HeaderMap {
    rows.iter()
        .map(|(name, value)| {
            (
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::try_from(*value).unwrap(),
            )
        })
        .collect()
}
