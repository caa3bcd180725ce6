//! Requests to http and https sources: headers and redirects. Rule: `spec/sources.md` section 2.
//!
//! Owns everything up to the head of the last response. Connections are `client`'s, addresses are judged in `dial`.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, LOCATION, REFERER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request};

use super::client::HttpClient;
use super::cookies::Jar;
use super::dial::Dial;
use super::guard::Guard;
use super::opened::{Opened, extension_of};
use super::target::Target;
use super::{FetchError, Network, SourceConfigError};
use crate::config::SourceConfig;

/// All http and https sources.
#[derive(Clone, Debug)]
pub(super) struct HttpSource {
    client: HttpClient,
    dial: Dial,
    max_redirects: usize,
    /// Empty is every port.
    ports: Vec<u16>,
    redirects: RedirectCheck,
}

/// Whether a redirect may lead to a URL.
#[derive(Clone)]
pub(super) struct RedirectCheck(pub(super) Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl std::fmt::Debug for RedirectCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedirectCheck")
    }
}

impl HttpSource {
    pub(super) fn new(config: &SourceConfig, network: Network) -> Result<Self, SourceConfigError> {
        let dial = Dial::new(Some(Guard::new(config)), network.names);
        Ok(Self {
            client: HttpClient::new(config, dial.clone(), network.proxies)?,
            dial,
            max_redirects: config.max_redirects,
            ports: config.allowed_ports.clone(),
            redirects: RedirectCheck(Arc::new(|_| true)),
        })
    }

    /// Redirects are followed only to URLs that `check` agrees to.
    pub(super) fn check_redirects(&mut self, check: RedirectCheck) {
        self.redirects = check;
    }

    /// Asks for `url` and follows redirects; answers with the first response that is none.
    ///
    /// Dropping the future closes the connection.
    pub(super) async fn open(&self, url: &str, extra: &HeaderMap) -> Result<Opened, FetchError> {
        let first = Target::parse(url)?;
        let mut target = first.clone();
        self.dial
            .check_literal(first.host())
            .map_err(FetchError::Refused)?;
        self.check_port(&first, false)?;
        let mut referer = None;
        let mut jar = Jar::default();
        let mut followed = 0;
        loop {
            // The connector judges literals as well; asking here covers sources behind a proxy.
            self.dial.check_literal(target.host())?;
            let mut request = Request::new(Bytes::new());
            *request.uri_mut() = target.uri()?;
            *request.headers_mut() = headers(&first, &target, extra, referer, &jar);
            let mut opened = self.client.send(request).await?;
            let location = match opened.status.as_u16() {
                301 | 302 | 303 | 307 | 308 => opened.headers.get(LOCATION),
                _ => None,
            };
            let Some(location) = location.filter(|location| !location.is_empty()) else {
                opened.extension = extension_of(target.path()).map(str::to_owned);
                return Ok(opened);
            };
            if followed == self.max_redirects {
                return Err(FetchError::TooManyRedirects(followed));
            }
            followed += 1;
            let next = target.join(location.as_bytes())?;
            self.check_port(&next, true)?;
            let url = next.uri()?.to_string();
            if !(self.redirects.0)(&url) {
                return Err(FetchError::RedirectNotAllowed(url));
            }
            jar.store(&target, opened.headers.get_all(SET_COOKIE));
            referer = target.referer_for(&next);
            target = next;
        }
    }

    fn check_port(&self, target: &Target, redirected: bool) -> Result<(), FetchError> {
        let port = target.port();
        if self.ports.is_empty() || self.ports.contains(&port) {
            return Ok(());
        }
        Err(FetchError::Port { port, redirected })
    }
}

/// The headers of one hop. No `Accept` and no `Accept-Encoding` of our own: some sources negotiate on them.
fn headers(
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
    headers
}
