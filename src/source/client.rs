//! The HTTP client of sources: sends one request exactly as it is given and answers with whatever comes.
//!
//! Owns connection reuse and the errors of connections. It follows no redirects and adds no headers but `Host`,
//! `User-Agent`, `Proxy-Authorization` and `Connection`. Rule: `spec/sources.md` section 2.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt};
use http::header::{CONNECTION, PROXY_AUTHORIZATION, USER_AGENT};
use http::{Extensions, HeaderValue, Request, Response};
use http_body_util::{BodyDataStream, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::{Connector, Used};
use super::dial::{BoxError, Dial, system_names};
use super::guard::Blocked;
use super::opened::{BodyStream, Opened};
use super::proxy::Proxies;
use super::{FetchError, SourceConfigError, tls};
use crate::cloud::{Connection, DeclaredLength};
use crate::config::SourceConfig;
use crate::error::chain;

/// A pool of connections and what every request over them says.
#[derive(Clone, Debug)]
pub(super) struct HttpClient {
    client: Client<Connector, Full<Bytes>>,
    proxies: Proxies,
    user_agent: HeaderValue,
    keep_alive: bool,
}

impl HttpClient {
    /// # Errors
    ///
    /// The user agent is no header value, or TLS cannot be set up.
    pub(super) fn new(
        config: &SourceConfig,
        dial: Dial,
        proxies: Proxies,
    ) -> Result<Self, SourceConfigError> {
        let user_agent = HeaderValue::from_str(&config.user_agent)
            .ok()
            .filter(|value| !value.is_empty())
            .ok_or_else(|| SourceConfigError::UserAgent(config.user_agent.clone()))?;
        let tls = tls::client_config(config)?;
        let keep_alive = !config.client_keep_alive_timeout.is_zero();
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.client_keep_alive_timeout)
            .pool_max_idle_per_host(if keep_alive { IDLE_PER_HOST } else { 0 })
            .http1_max_headers(MAX_HEADERS)
            .http2_initial_stream_window_size(HTTP2_WINDOW)
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .build(Connector::new(dial, proxies.clone(), tls));
        Ok(Self {
            client,
            proxies,
            user_agent,
            keep_alive,
        })
    }

    /// For hosts that the operator has configured: every address will do. Proxies are the environment's.
    ///
    /// # Errors
    ///
    /// As [`HttpClient::new`].
    pub(super) fn unguarded(config: &SourceConfig) -> Result<Self, SourceConfigError> {
        let dial = Dial::new(None, system_names());
        Self::new(config, dial, Proxies::from_environment())
    }

    /// Sends a request; the answer is the response's head, whatever its status.
    ///
    /// A connection that the other side has closed while it lay idle is replaced silently. Dropping the future closes
    /// the connection.
    ///
    /// # Errors
    ///
    /// [`FetchError::Blocked`] for a forbidden address, [`FetchError::Unreachable`] for everything else.
    pub(super) async fn send(&self, mut request: Request<Bytes>) -> Result<Opened, FetchError> {
        let proxy_authorization = self.proxies.authorization(request.uri());
        let headers = request.headers_mut();
        headers
            .entry(USER_AGENT)
            .or_insert_with(|| self.user_agent.clone());
        if let Some(authorization) = proxy_authorization {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        if !self.keep_alive {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let mut stale = 0;
        loop {
            let error = match self.client.request(request.clone().map(Full::new)).await {
                Ok(response) => return Ok(opened(response)),
                Err(error) => error,
            };
            if stale == MAX_STALE || !is_stale(&error) {
                return Err(classify(error));
            }
            stale += 1;
        }
    }
}

impl Connection for HttpClient {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<BodyStream>, BoxError>> {
        Box::pin(async move {
            let opened = Self::send(self, request).await?;
            let mut response = Response::new(opened.body);
            *response.status_mut() = opened.status;
            *response.headers_mut() = opened.headers;
            if let Some(length) = opened.length {
                response.extensions_mut().insert(DeclaredLength(length));
            }
            Ok(response)
        })
    }
}

fn opened(response: Response<Incoming>) -> Opened {
    let (parts, body) = response.into_parts();
    if let Some(used) = parts.extensions.get::<Used>() {
        used.mark();
    }
    Opened {
        status: parts.status,
        headers: parts.headers,
        length: body.size_hint().exact(),
        body: BodyDataStream::new(body).map_err(io::Error::other).boxed(),
        extension: None,
        seal: None,
    }
}

/// Whether the request failed only because it went out on a pooled connection that the source had closed.
fn is_stale(error: &ClientError) -> bool {
    let mut extensions = Extensions::new();
    if let Some(connection) = error.connect_info() {
        connection.get_extras(&mut extensions);
    }
    let used = extensions.get::<Used>().is_some_and(Used::is_marked);
    // The source has answered, but with something that is not HTTP.
    let answered = chain(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_parse);
    used && !answered
}

fn classify(error: ClientError) -> FetchError {
    let blocked = chain(&error).find_map(|cause| cause.downcast_ref::<Blocked>());
    match blocked {
        Some(blocked) => FetchError::Blocked(*blocked),
        None => FetchError::Unreachable(Box::new(error)),
    }
}

const IDLE_PER_HOST: usize = 100;
/// Lines of a response head; hyper's own bound on the head's bytes applies besides.
const MAX_HEADERS: usize = 512;
const HTTP2_WINDOW: u32 = 128 * 1024;
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(1);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Pooled connections that may turn out dead, one after another, before a request is given up.
const MAX_STALE: usize = 10;
