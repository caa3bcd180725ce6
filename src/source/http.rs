//! Requests to http and https sources: headers, redirects, retries. Rule: `spec/sources.md` section 2.
//!
//! Owns everything up to the response head. Bodies are read in `body`, addresses are judged in `dial`.
//!
//! Known differences from imgproxy, which the client library does not let us avoid: every request carries
//! `Accept: */*`; dot segments of a path, `%2e` included, are resolved before the request is sent; an apostrophe in a
//! query goes out as `%27`.

use std::cell::Cell;
use std::error::Error;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONNECTION, COOKIE, LOCATION, REFERER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::redirect::Policy;
use reqwest::{Client, Request, Response};
use tower::util::MapRequestLayer;

use super::cookies::Jar;
use super::dial::{Dial, Proxies};
use super::guard::{Blocked, Guard};
use super::target::Target;
use super::{FetchError, SourceConfigError, tls};
use crate::config::SourceConfig;

/// The client of all http and https sources.
#[derive(Clone, Debug)]
pub(super) struct HttpSource {
    client: Client,
    dial: Dial,
    max_redirects: usize,
    keep_alive: bool,
}

/// A response head and where it came from in the end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) target: Target,
}

impl HttpSource {
    pub(super) fn new(config: &SourceConfig, proxies: Proxies) -> Result<Self, SourceConfigError> {
        let user_agent = HeaderValue::from_str(&config.user_agent)
            .ok()
            .filter(|value| !value.is_empty())
            .ok_or_else(|| SourceConfigError::UserAgent(config.user_agent.clone()))?;
        let dial = Dial::new(Guard::new(config), proxies);
        let keep_alive = !config.client_keep_alive_timeout.is_zero();
        let client = Client::builder()
            .user_agent(user_agent)
            .redirect(Policy::none())
            .tls_backend_preconfigured(tls::client_config(!config.ignore_ssl_verification)?)
            .dns_resolver(dial.resolver())
            .proxy(dial.proxy())
            .connector_layer(MapRequestLayer::new(|destination| {
                note_new_connection();
                destination
            }))
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(TCP_KEEP_ALIVE)
            .pool_idle_timeout(config.client_keep_alive_timeout)
            .pool_max_idle_per_host(if keep_alive { IDLE_PER_HOST } else { 0 })
            .http1_max_headers(MAX_HEADERS)
            .http2_initial_stream_window_size(HTTP2_WINDOW)
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .build()?;
        Ok(Self {
            client,
            dial,
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
        self.dial
            .check(&first.url()?)
            .map_err(FetchError::before_sending)?;
        let mut referer = None;
        let mut jar = Jar::default();
        let mut followed = 0;
        loop {
            let headers = self.headers(&first, &target, extra, referer, &jar);
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

    /// The headers of one hop, besides those that the client adds to every request.
    fn headers(
        &self,
        first: &Target,
        target: &Target,
        extra: &HeaderMap,
        referer: Option<HeaderValue>,
        jar: &Jar,
    ) -> HeaderMap {
        let mut headers = extra.clone();
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
        if !self.keep_alive {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        headers
    }

    async fn send(&self, target: &Target, headers: HeaderMap) -> Result<Response, FetchError> {
        let url = target.url()?;
        self.dial.check(&url)?;
        let mut stale = 0;
        loop {
            let mut request = Request::new(Method::GET, url.clone());
            *request.headers_mut() = headers.clone();
            let sent = async {
                let result = self.client.execute(request).await;
                (result, NEW_CONNECTION.with(Cell::get))
            };
            let (result, new) = NEW_CONNECTION.scope(Cell::new(false), sent).await;
            let error = match result {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let pooled = error.is_request() && !new;
            if !pooled || stale == MAX_STALE || is_answered(&error) {
                return Err(classify(error));
            }
            stale += 1;
        }
    }
}

tokio::task_local! {
    /// Whether the request that this task sends made the client connect; if not, it went out on a connection that was
    /// open already, and a failure may only mean that the source had closed that one.
    static NEW_CONNECTION: Cell<bool>;
}

fn note_new_connection() {
    // Connecting starts within the task that sends the request. Elsewhere there is nobody to tell.
    let _ = NEW_CONNECTION.try_with(|new| new.set(true));
}

/// Whether the source has answered, but with something that is not HTTP.
fn is_answered(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_parse)
}

fn classify(error: reqwest::Error) -> FetchError {
    let blocked = causes(&error).find_map(|cause| cause.downcast_ref::<Blocked>());
    match blocked {
        Some(blocked) => FetchError::Blocked(*blocked),
        None => FetchError::Unreachable(Box::new(error)),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(30);
const IDLE_PER_HOST: usize = 100;
/// Lines of a response head; hyper's own bound on the head's bytes applies besides.
const MAX_HEADERS: usize = 512;
const HTTP2_WINDOW: u32 = 128 * 1024;
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(1);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Pooled connections that may turn out dead, one after another, before a request is given up.
const MAX_STALE: usize = 10;
