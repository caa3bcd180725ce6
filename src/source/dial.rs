//! Opening connections to http and https sources.
//!
//! Owns the one place where an address is connected: the guard judges literals and resolved addresses here, for every
//! attempt, so that neither a redirect nor a change in DNS gets around it. Rule: `spec/sources.md` sections 2 and 3.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::guard::{Blocked, Guard};
use super::target::{address_literal, is_numeric_name};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connects to a URI's host, directly or through a proxy, if the guard permits the address.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    tcp: HttpConnector<Resolver>,
    guard: Arc<Guard>,
    proxies: Proxies,
}

impl Dial {
    pub(super) fn new(guard: Guard, proxies: Proxies) -> Self {
        let guard = Arc::new(guard);
        let mut tcp = HttpConnector::new_with_resolver(Resolver {
            guard: Arc::clone(&guard),
        });
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_keepalive(Some(TCP_KEEP_ALIVE));
        tcp.set_nodelay(true);
        Self {
            tcp,
            guard,
            proxies,
        }
    }

    /// Judges a host that is an address already; such hosts never reach the resolver.
    pub(super) fn check_literal(&self, host: &str) -> Result<(), Blocked> {
        address_literal(host).map_or(Ok(()), |address| self.guard.check(address))
    }

    async fn connect(self, target: Uri) -> Result<Dialled, BoxError> {
        let Self {
            mut tcp, proxies, ..
        } = self.clone();
        let Some(proxy) = proxies.intercept(&target) else {
            self.check_literal(target.host().unwrap_or_default())?;
            return Ok(Dialled::new(tcp.call(target).await?, false));
        };
        self.check_literal(proxy.uri().host().unwrap_or_default())?;
        if target.scheme_str() == Some("http") {
            return Ok(Dialled::new(tcp.call(proxy.uri().clone()).await?, true));
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        Ok(Dialled::new(tunnel.call(target).await?, false))
    }
}

impl Service<Uri> for Dial {
    type Response = Dialled;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Dialled, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        Box::pin(self.clone().connect(target))
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

    fn intercept(&self, target: &Uri) -> Option<Intercept> {
        let host = target.host()?;
        let loopback = address_literal(host).is_some_and(|address| address.is_loopback());
        if loopback || host == "localhost" {
            return None;
        }
        self.0.intercept(target)
    }

    /// The `Proxy-Authorization` of a plain request that goes through a proxy; tunnels carry their own.
    pub(super) fn authorization(&self, target: &Uri) -> Option<HeaderValue> {
        if target.scheme_str() != Some("http") {
            return None;
        }
        self.intercept(target)?.basic_auth().cloned()
    }
}

/// System name resolution that answers only with addresses the guard permits.
#[derive(Clone, Debug)]
struct Resolver {
    guard: Arc<Guard>,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = Arc::clone(&self.guard);
        Box::pin(async move {
            if is_numeric_name(name.as_str()) {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(permitted(&guard, found)?.into_iter())
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

/// Whether a connection has carried a whole response head before. A failure on such a connection may only mean that
/// the source had closed it meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct Used(Arc<AtomicBool>);

impl Used {
    /// Marks the connection as used and says whether it was before.
    pub(super) fn mark(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }

    /// Whether the connection has been used before.
    pub(super) fn is_marked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Dialled {
    stream: TokioIo<TcpStream>,
    proxied: bool,
    used: Used,
}

impl Dialled {
    fn new(stream: TokioIo<TcpStream>, proxied: bool) -> Self {
        Self {
            stream,
            proxied,
            used: Used::default(),
        }
    }
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        self.stream
            .connected()
            .proxy(self.proxied)
            .extra(self.used.clone())
    }
}

impl Read for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Dialled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(30);
