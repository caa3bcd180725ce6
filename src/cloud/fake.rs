//! A service on loopback for tests: it records what it was asked, and checks signatures by computing them again.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request with its whole body.
pub(crate) type Asked = Request<Bytes>;
/// An answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A running service; it ends when this is dropped.
pub(crate) struct Fake {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        let request = Request::from_parts(parts, body);
                        let response = answer(&request);
                        log.lock().unwrap().push(request);
                        Ok::<_, Infallible>(response)
                    }
                });
                tokio::spawn(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    /// `http://` and the address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// An answer with headers.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(body.into())).unwrap()
}

/// A header as text; empty where it is missing.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// What a signature version 4 claims, where it is the right one for `secret`: access key, region, service.
pub(crate) fn signed_by(request: &Asked, secret: &str) -> Option<(String, String, String)> {
    let headers = request.headers();
    let authorization = header(headers, "authorization").strip_prefix("AWS4-HMAC-SHA256 ")?;
    let field = |name: &str| {
        let fields = authorization.split(',').map(str::trim);
        fields.into_iter().find_map(|f| f.strip_prefix(name))
    };
    let scope: Vec<&str> = field("Credential=")?.split('/').collect();
    let [key, date, region, service, "aws4_request"] = scope[..] else {
        return None;
    };
    let names = field("SignedHeaders=")?;
    // Headers that change the meaning of a request must be signed.
    assert!(names.split(';').any(|n| n == "host"), "{names}");
    for name in headers.keys().filter(|n| n.as_str().starts_with("x-amz-")) {
        assert!(names.split(';').any(|n| n == name), "{name} is not signed");
    }
    let payload = header(headers, "x-amz-content-sha256");
    if payload != "UNSIGNED-PAYLOAD" && payload != hex(&Sha256::digest(request.body())) {
        return None;
    }
    let mut query: Vec<&str> = request.uri().query().unwrap_or("").split('&').collect();
    query.sort_unstable();
    let mut canonical = format!(
        "{}\n{}\n{}\n",
        request.method(),
        request.uri().path(),
        query.join("&")
    );
    for name in names.split(';') {
        canonical += &format!("{name}:{}\n", header(headers, name).trim());
    }
    canonical += &format!("\n{names}\n{payload}");
    let time = header(headers, "x-amz-date");
    assert!(time.starts_with(date));
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{service}/aws4_request\n{}",
        hex(&Sha256::digest(canonical))
    );
    let mut derived = format!("AWS4{secret}").into_bytes();
    for part in [date, region, service, "aws4_request"] {
        derived = mac(&derived, part);
    }
    let expected = hex(&mac(&derived, &to_sign));
    (field("Signature=")? == expected)
        .then(|| (key.to_owned(), region.to_owned(), service.to_owned()))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The example of the service's documentation, "GET Object".
#[test]
fn the_check_agrees_with_the_documentation() {
    let request = |secret_range: &str| {
        Request::get("/test.txt")
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("range", secret_range)
            .header("x-amz-content-sha256", hex(&Sha256::digest("")))
            .header("x-amz-date", "20130524T000000Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
                 Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            )
            .body(Bytes::new())
            .unwrap()
    };
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let claims = signed_by(&request("bytes=0-9"), secret).unwrap();
    assert_eq!(claims.0, "AKIAIOSFODNN7EXAMPLE");
    assert_eq!(signed_by(&request("bytes=0-8"), secret), None);
    assert_eq!(signed_by(&request("bytes=0-9"), "another"), None);
}
