//! Where connections to http and https sources go: names, proxies and the guard.
//!
//! Owns both places in which an address is judged. Names go through [`Resolver`], which hands out permitted addresses
//! only, for every connection, so that a change in DNS gets around nothing. Hosts that are addresses never reach it;
//! [`Dial::check`] judges those, of source and proxy, before every hop. Rule: `spec/sources.md` sections 2 and 3.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{ParseError, Url};

use super::FetchError;
use super::error::Unresolved;
use super::guard::{Blocked, Guard};
use super::target::address_literal;

/// Decides which addresses and which proxies are dialled.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    guard: Arc<Guard>,
    proxies: Proxies,
}

impl Dial {
    pub(super) fn new(guard: Guard, proxies: Proxies) -> Self {
        Self {
            guard: Arc::new(guard),
            proxies,
        }
    }

    /// Judges the host of a hop and that of its proxy where they are addresses.
    pub(super) fn check(&self, url: &Url) -> Result<(), FetchError> {
        self.check_literal(url)?;
        let proxy = self
            .proxies
            .intercept(url)
            .map_err(|error| FetchError::Unreachable(Box::new(error)))?;
        if let Some(proxy) = proxy {
            self.check_literal(&proxy)?;
        }
        Ok(())
    }

    /// The name resolution for the client.
    pub(super) fn resolver(&self) -> Resolver {
        Resolver {
            guard: Arc::clone(&self.guard),
        }
    }

    /// The choice of proxies for the client; the same that [`Dial::check`] has judged.
    pub(super) fn proxy(&self) -> reqwest::Proxy {
        self.proxies.proxy()
    }

    fn check_literal(&self, url: &Url) -> Result<(), Blocked> {
        url.host_str()
            .and_then(address_literal)
            .map_or(Ok(()), |address| self.guard.check(address))
    }
}

/// The proxies that the environment names.
#[derive(Clone, Debug)]
pub(super) struct Proxies(Arc<Matcher>);

impl Proxies {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in lower case too.
    pub(super) fn from_environment() -> Self {
        Self(Arc::new(Matcher::from_env()))
    }

    #[cfg(test)]
    pub(super) fn fixed(proxy: &str) -> Self {
        Self(Arc::new(
            Matcher::builder().all(proxy).no("direct.invalid").build(),
        ))
    }

    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self(Arc::new(Matcher::builder().build()))
    }

    /// The choice of proxies for a client.
    pub(super) fn proxy(&self) -> reqwest::Proxy {
        let proxies = self.clone();
        reqwest::Proxy::custom(move |url| proxies.intercept(url).ok().flatten())
    }

    /// The proxy for a source with its credentials as user info; none for sources on this machine.
    fn intercept(&self, source: &Url) -> Result<Option<Url>, ParseError> {
        let host = source.host_str().unwrap_or_default();
        let loopback = address_literal(host).is_some_and(|address| address.is_loopback());
        if loopback || host == "localhost" {
            return Ok(None);
        }
        let Some(found) = source
            .as_str()
            .parse::<Uri>()
            .ok()
            .and_then(|uri| self.0.intercept(&uri))
        else {
            return Ok(None);
        };
        let mut proxy = Url::parse(&found.uri().to_string())?;
        if let Some((user, password)) = found.basic_auth().and_then(credentials) {
            let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let set = proxy
                .set_username(&encode(&user))
                .and_then(|()| proxy.set_password(Some(&encode(&password))));
            set.map_err(|()| ParseError::EmptyHost)?;
        }
        Ok(Some(proxy))
    }
}

/// User and password of a `Basic` authorization, which is the only form that the environment's rules give out.
fn credentials(authorization: &HeaderValue) -> Option<(String, String)> {
    let encoded = authorization.to_str().ok()?.strip_prefix("Basic ")?;
    let plain = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = plain.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// System name resolution that answers only with addresses the guard permits.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    guard: Arc<Guard>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.guard);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(Unresolved)?;
            let permitted: Addrs = Box::new(permitted(&guard, found)?.into_iter());
            Ok(permitted)
        })
    }
}

/// The addresses that may be dialled; an error if all of them are blocked.
fn permitted(
    guard: &Guard,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, Blocked> {
    let mut permitted = Vec::new();
    let mut blocked = None;
    for address in found {
        match guard.check(address.ip()) {
            Ok(()) => permitted.push(address),
            Err(error) => blocked = Some(error),
        }
    }
    match blocked {
        Some(error) if permitted.is_empty() => Err(error),
        _ => Ok(permitted),
    }
}
