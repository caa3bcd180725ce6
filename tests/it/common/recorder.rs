//! A stand-in for a collector: takes HTTP/1.1 and HTTP/2, keeps what it is sent, answers that all is well.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

use super::PATIENCE;

/// One request that came.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Sent {
    /// A header as text; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The message of a gRPC request, or the body.
    pub fn message(&self) -> &[u8] {
        if self.header("content-type").starts_with("application/grpc") {
            &self.body[5..]
        } else {
            &self.body
        }
    }
}

/// A running recorder.
#[derive(Clone)]
pub struct Recorder {
    pub addr: SocketAddr,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Recorder {
    /// Answers every request.
    pub async fn start() -> Self {
        Self::with(false).await
    }

    /// Takes every request and never answers.
    pub async fn mute() -> Self {
        Self::with(true).await
    }

    async fn with(mute: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = Self {
            addr: listener.local_addr().unwrap(),
            sent: Arc::default(),
        };
        let sent = Arc::clone(&recorder.sent);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sent = Arc::clone(&sent);
                tokio::spawn(async move {
                    let service = service_fn(move |request| keep(request, Arc::clone(&sent), mute));
                    let builder = Builder::new(TokioExecutor::new());
                    // A client that leaves is no concern of ours.
                    drop(
                        builder
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                });
            }
        });
        recorder
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What came to paths that end like this.
    pub fn at(&self, path: &str) -> Vec<Sent> {
        let sent = self.sent.lock().unwrap();
        sent.iter()
            .filter(|s| s.path.ends_with(path))
            .cloned()
            .collect()
    }

    /// Waits until `found` finds something in what came to `path`.
    pub async fn wait<T>(&self, path: &str, found: impl Fn(&[Sent]) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let sent = self.at(path);
            if let Some(value) = found(&sent) {
                return value;
            }
            assert!(
                Instant::now() < end,
                "not at {path}: {:?}",
                self.sent.lock().unwrap()
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn keep(
    request: Request<Incoming>,
    sent: Arc<Mutex<Vec<Sent>>>,
    mute: bool,
) -> Result<Answer, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let is_grpc = head
        .headers
        .get("content-type")
        .is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"));
    sent.lock().unwrap().push(Sent {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body,
    });
    if mute {
        std::future::pending::<()>().await;
    }
    if !is_grpc {
        return Ok(Response::new(
            Full::new(Bytes::from_static(b"{}")).boxed_unsync(),
        ));
    }
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let frames = [
        Frame::data(Bytes::from_static(&[0; 5])),
        Frame::trailers(trailers),
    ];
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
    let mut answer = Response::new(body.boxed_unsync());
    let kind = HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert("content-type", kind);
    Ok(answer)
}
