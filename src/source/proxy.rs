//! The proxies that the environment names. Rule: `spec/sources.md` section 2.

use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::target::address_literal;

/// Which source is reached through which proxy.
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

    /// The proxy for a source; none for sources on this machine.
    pub(super) fn intercept(&self, source: &Uri) -> Option<Intercept> {
        let host = source.host()?;
        let loopback = address_literal(host).is_some_and(|address| address.is_loopback());
        if loopback || host.eq_ignore_ascii_case("localhost") {
            return None;
        }
        self.0.intercept(source)
    }

    /// The `Proxy-Authorization` of a plain request that goes through a proxy; tunnels carry their own.
    pub(super) fn authorization(&self, source: &Uri) -> Option<HeaderValue> {
        if source.scheme() != Some(&Scheme::HTTP) {
            return None;
        }
        self.intercept(source)?.basic_auth().cloned()
    }
}
