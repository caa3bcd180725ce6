//! The admin listener: its own socket, a token, and one route, `POST /purge`.
//!
//! Whoever may use it can make the server do its work anew, nothing else; no picture comes out here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connection::{self, ResponseBody};
use super::exchange::{Exchange, Timeouts};
use super::listener::{BindError, bind_tcp};
use crate::config::AdminConfig;
use crate::config::server::Network;
use crate::service::purge::{PurgeRequest, Purges};

/// The running listener; it ends when this is dropped.
#[derive(Debug)]
pub struct AdminServer {
    address: Option<SocketAddr>,
    _stop: DropGuard,
}

/// What requests are answered with.
struct Admin {
    token: String,
    prefix: String,
    purges: Arc<dyn Purges>,
}

impl AdminServer {
    /// Binds as configured and serves, inside the current runtime; `None` where it is off. `prefix`: path prefix of the
    /// image route.
    ///
    /// # Errors
    /// The address is taken or wrong.
    pub fn start(
        config: &AdminConfig,
        prefix: &str,
        purges: Arc<dyn Purges>,
    ) -> Result<Option<Self>, BindError> {
        if config.bind.is_empty() {
            return Ok(None);
        }
        let listener = bind_tcp(Network::Tcp, &config.bind, false)?;
        let address = listener.local_addr().ok();
        let admin = Arc::new(Admin {
            token: format!("Bearer {}", config.token),
            prefix: prefix.to_owned(),
            purges,
        });
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, admin, stop.clone()));
        Ok(Some(Self {
            address,
            _stop: stop.drop_guard(),
        }))
    }

    /// The bound address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

async fn serve(listener: std::net::TcpListener, admin: Arc<Admin>, stop: CancellationToken) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "admin listener");
            return;
        }
    };
    let permits = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        // Never closed, so never refused.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (admin, stop) = (Arc::clone(&admin), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let handler = |request: Request<Incoming>, exchange: Arc<Exchange>| {
                let admin = Arc::clone(&admin);
                async move {
                    let has_body = !hyper::body::Body::is_end_stream(request.body());
                    let answer = admin.answer(request).await;
                    exchange.work(has_body);
                    answer
                }
            };
            connection::run(stream, TIMEOUTS, stop.clone(), stop, handler).await;
        });
    }
}

impl Admin {
    async fn answer(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        if !self.is_authorized(request.headers()) {
            let challenge = (WWW_AUTHENTICATE, "Bearer");
            return error(
                StatusCode::UNAUTHORIZED,
                "wrong or missing token",
                Some(challenge),
            );
        }
        if request.uri().path() != "/purge" {
            return error(StatusCode::NOT_FOUND, "no such route", None);
        }
        if *request.method() != Method::POST {
            let allow = (ALLOW, "POST");
            return error(StatusCode::METHOD_NOT_ALLOWED, "use POST", Some(allow));
        }
        let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
            return error(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too large or not whole",
                None,
            );
        };
        let Some(purge) = self.purge_request(&body.to_bytes()) else {
            return error(
                StatusCode::BAD_REQUEST,
                "the body has to be one of {\"url\": \"…\"}, {\"source\": \"…\"}, {\"prefix\": \"…\"}, {\"all\": true}",
                None,
            );
        };
        match self.purges.purge(purge.clone()).await {
            Ok(purged) => {
                tracing::info!(?purge, ?purged, "purged");
                let value = json!({"results": purged.results, "sources": purged.sources});
                answer(StatusCode::OK, &value, None)
            }
            Err(failure) => error(StatusCode::BAD_REQUEST, failure.detail(), None),
        }
    }

    /// In constant time, and before anything else is looked at.
    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let given = headers
            .get(AUTHORIZATION)
            .map_or(&[][..], |value| value.as_bytes());
        bool::from(given.ct_eq(self.token.as_bytes()))
    }

    /// One member that says what is to be purged, and no other.
    fn purge_request(&self, body: &[u8]) -> Option<PurgeRequest> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let object = value.as_object().filter(|object| object.len() == 1)?;
        let (name, value) = object.iter().next()?;
        match (name.as_str(), value) {
            ("url", Value::String(url)) => Some(PurgeRequest::Url(self.target(url).to_owned())),
            ("source", Value::String(url)) => Some(PurgeRequest::Source(url.clone())),
            ("prefix", Value::String(prefix)) if !prefix.is_empty() => {
                Some(PurgeRequest::Prefix(prefix.clone()))
            }
            ("all", Value::Bool(true)) => Some(PurgeRequest::All),
            _ => None,
        }
    }

    /// The target of the image route in a URL or path as a client has it.
    fn target<'a>(&self, url: &'a str) -> &'a str {
        let after_scheme = ["http://", "https://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        let path = match after_scheme {
            Some(rest) => rest
                .find('/')
                .and_then(|at| rest.get(at..))
                .unwrap_or_default(),
            None => url,
        };
        let path = path.split('?').next().unwrap_or_default();
        path.strip_prefix(&*self.prefix)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(path)
    }
}

fn error(
    status: StatusCode,
    message: &str,
    header: Option<(HeaderName, &'static str)>,
) -> Response<ResponseBody> {
    answer(status, &json!({"error": message}), header)
}

fn answer(
    status: StatusCode,
    value: &Value,
    header: Option<(HeaderName, &'static str)>,
) -> Response<ResponseBody> {
    let body = Full::new(Bytes::from(format!("{value}\n")));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some((name, value)) = header {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

const TIMEOUTS: Timeouts = Timeouts {
    read: Duration::from_secs(5),
    write: Duration::from_secs(10),
    idle: Duration::from_secs(30),
};
const MAX_CLIENTS: usize = 16;
/// Longer than the longest request target.
const MAX_BODY: usize = 128 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::error::Error;
    use crate::service::purge::Purged;

    struct Nothing;

    impl Purges for Nothing {
        fn purge(&self, _: PurgeRequest) -> BoxFuture<'static, Result<Purged, Error>> {
            async { Ok(Purged::default()) }.boxed()
        }
    }

    fn admin(prefix: &str) -> Admin {
        Admin {
            token: "Bearer t".to_owned(),
            prefix: prefix.to_owned(),
            purges: Arc::new(Nothing),
        }
    }

    #[test]
    fn bodies() {
        let admin = admin("");
        let url = |target: &str| Some(PurgeRequest::Url(target.to_owned()));
        for (body, expected) in [
            (r#"{"all": true}"#, Some(PurgeRequest::All)),
            (
                r#"{"source": "s"}"#,
                Some(PurgeRequest::Source("s".to_owned())),
            ),
            (
                r#"{"prefix": "s"}"#,
                Some(PurgeRequest::Prefix("s".to_owned())),
            ),
            (r#"{"url": "/sig/w:1/plain/a"}"#, url("sig/w:1/plain/a")),
            (r#"{"url": "sig/w:1/plain/a"}"#, url("sig/w:1/plain/a")),
            (
                r#"{"url": "https://h:1/sig/plain/a?b"}"#,
                url("sig/plain/a"),
            ),
            (r#"{"url": "http://h"}"#, url("")),
            (r#"{"all": false}"#, None),
            (r#"{"all": true, "source": "s"}"#, None),
            (r#"{"prefix": ""}"#, None),
            (r#"{"tags": ["a"]}"#, None),
            (r#"{"source": 1}"#, None),
            ("[]", None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(admin.purge_request(body.as_bytes()), expected, "{body}");
        }
        assert_eq!(
            self::admin("/p").target("http://h/p/sig/plain/a"),
            "sig/plain/a"
        );
    }

    #[test]
    fn tokens() {
        let admin = admin("");
        for (value, expected) in [
            ("Bearer t", true),
            ("Bearer T", false),
            ("bearer t", false),
            ("Bearer tt", false),
            ("Bearer ", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(admin.is_authorized(&headers), expected, "{value}");
        }
        assert!(!admin.is_authorized(&HeaderMap::new()));
    }
}
