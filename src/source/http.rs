//! Requests to http and https sources: headers, redirects, retries. Rule: `spec/sources.md` section 2.
//!
//! Owns everything up to the response head. Bodies are read in `body`, addresses are judged in `dial`.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, LOCATION, PROXY_AUTHORIZATION, REFERER, SET_COOKIE,
    USER_AGENT,
};
use http::{Extensions, HeaderMap, HeaderValue, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::cookies::Jar;
use super::dial::{Dial, Proxies, Used};
use super::guard::{Blocked, Guard};
use super::target::Target;
use super::{FetchError, SourceConfigError, tls};
use crate::config::SourceConfig;

/// The client of all http and https sources.
#[derive(Clone, Debug)]
pub(super) struct HttpSource {
    client: Client<HttpsConnector<Dial>, Empty<Bytes>>,
    dial: Dial,
    proxies: Proxies,
    user_agent: HeaderValue,
    max_redirects: usize,
    keep_alive: bool,
}

/// A response head and where it came from in the end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) target: Target,
}

impl HttpSource {
    pub(super) fn new(config: &SourceConfig, proxies: Proxies) -> Result<Self, SourceConfigError> {
        let user_agent = HeaderValue::from_str(&config.user_agent)
            .ok()
            .filter(|value| !value.is_empty())
            .ok_or_else(|| SourceConfigError::UserAgent(config.user_agent.clone()))?;
        let dial = Dial::new(Guard::new(config), proxies.clone());
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config(!config.ignore_ssl_verification)?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(dial.clone());
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
            .build(connector);
        Ok(Self {
            client,
            dial,
            proxies,
            user_agent,
            max_redirects: config.max_redirects,
            keep_alive,
        })
    }

    /// Asks for `url` and follows redirects; answers with the first response that is none.
    ///
    /// Dropping the future closes the connection.
    pub(super) async fn open(&self, url: &str, extra: &HeaderMap) -> Result<Answer, FetchError> {
        let first = Target::parse(url)?;
        let mut target = first.clone();
        let mut referer = None;
        let mut jar = Jar::default();
        let mut followed = 0;
        loop {
            let headers = self.headers(&first, &target, extra, referer, &jar)?;
            let response = self.send(&target, headers).await?;
            let location = match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION),
                _ => None,
            };
            let Some(location) = location.filter(|location| !location.is_empty()) else {
                return Ok(Answer { response, target });
            };
            if followed == self.max_redirects {
                return Err(FetchError::TooManyRedirects(followed));
            }
            followed += 1;
            let next = target.join(location.as_bytes())?;
            jar.store(&target, response.headers().get_all(SET_COOKIE));
            referer = target.referer_for(&next);
            target = next;
        }
    }

    /// No `Accept` and no `Accept-Encoding` of our own: some sources negotiate on them.
    fn headers(
        &self,
        first: &Target,
        target: &Target,
        extra: &HeaderMap,
        referer: Option<HeaderValue>,
        jar: &Jar,
    ) -> Result<HeaderMap, FetchError> {
        let mut headers = extra.clone();
        headers.insert(USER_AGENT, self.user_agent.clone());
        if !target.shares_credentials_of(first) {
            headers.remove(AUTHORIZATION);
            headers.remove(COOKIE);
        }
        if let Some(authorization) = target.authorization() {
            headers.insert(AUTHORIZATION, authorization);
        }
        jar.add_to(target, &mut headers);
        if let Some(referer) = referer {
            headers.insert(REFERER, referer);
        }
        if let Some(authorization) = self.proxies.authorization(&target.uri()?) {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        if !self.keep_alive {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(headers)
    }

    async fn send(
        &self,
        target: &Target,
        headers: HeaderMap,
    ) -> Result<Response<Incoming>, FetchError> {
        // The connector judges literals as well; asking here too covers sources behind a proxy.
        self.dial.check_literal(target.host())?;
        let mut stale = 0;
        loop {
            let mut request = Request::new(Empty::new());
            *request.uri_mut() = target.uri()?;
            *request.headers_mut() = headers.clone();
            let error = match self.client.request(request).await {
                Ok(response) => {
                    if let Some(used) = response.extensions().get::<Used>() {
                        used.mark();
                    }
                    return Ok(response);
                }
                Err(error) => error,
            };
            if stale == MAX_STALE || !is_stale(&error) {
                return Err(classify(error));
            }
            stale += 1;
        }
    }
}

/// Whether the request failed only because it went out on a pooled connection that the source had closed.
fn is_stale(error: &ClientError) -> bool {
    let mut extensions = Extensions::new();
    if let Some(connection) = error.connect_info() {
        connection.get_extras(&mut extensions);
    }
    let used = extensions.get::<Used>().is_some_and(Used::is_marked);
    let understood = error
        .source()
        .and_then(|source| source.downcast_ref::<hyper::Error>())
        .is_some_and(hyper::Error::is_parse);
    used && !understood
}

fn classify(error: ClientError) -> FetchError {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(blocked) = inner.downcast_ref::<Blocked>() {
            return FetchError::Blocked(*blocked);
        }
        cause = inner.source();
    }
    FetchError::Unreachable(Box::new(error))
}

const IDLE_PER_HOST: usize = 100;
/// Lines of a response head; hyper's own bound on the head's bytes applies besides.
const MAX_HEADERS: usize = 512;
const HTTP2_WINDOW: u32 = 128 * 1024;
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(1);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Pooled connections that may turn out dead, one after another, before a request is given up.
const MAX_STALE: usize = 10;
