//! Opening TCP connections to sources and proxies.
//!
//! Owns the one place where an address is connected. The guard judges every address here, just before the attempt,
//! wherever it came from: a literal, a name, a redirect, a proxy. So neither a redirect nor a change in DNS gets around
//! it. Rule: `spec/sources.md` section 3.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::error::Unresolved;
use super::guard::{Blocked, Guard};
use super::target::{address_literal, is_numeric_name};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connects to a host if the guard permits one of its addresses.
#[derive(Clone)]
pub(super) struct Dial {
    guard: Option<Arc<Guard>>,
    names: Names,
}

/// Turns a name and a port into addresses.
pub(super) type Names =
    Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Names as the operating system resolves them.
pub(super) fn system_names() -> Names {
    Arc::new(|name, port| {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
    })
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial")
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

impl Dial {
    /// Without a guard every address will do, which is right only for hosts that the operator has configured.
    pub(super) fn new(guard: Option<Guard>, names: Names) -> Self {
        Self {
            guard: guard.map(Arc::new),
            names,
        }
    }

    /// Judges a host that is an address already. A source that would be asked through a proxy is judged nowhere else.
    pub(super) fn check_literal(&self, host: &str) -> Result<(), Blocked> {
        address_literal(host).map_or(Ok(()), |address| self.check(address))
    }

    /// Connects to the first permitted address that answers.
    ///
    /// # Errors
    ///
    /// [`Blocked`] if the guard permits none of the addresses, [`Unresolved`] if there is none, else what the last
    /// attempt failed of.
    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, BoxError> {
        let connecting = async {
            let addresses = self.resolve(host, port).await.map_err(Unresolved)?;
            self.race(addresses).await
        };
        timeout(CONNECT_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Some(address) = address_literal(host) {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        if is_numeric_name(host) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let found = (self.names)(host.to_owned(), port).await?;
        if found.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(found)
    }

    /// Tries the addresses in their order, the next one as soon as one has failed or has been silent for a while.
    async fn race(&self, addresses: Vec<SocketAddr>) -> Result<TcpStream, BoxError> {
        let mut waiting = addresses.into_iter();
        let mut running = FuturesUnordered::new();
        let mut failure: Option<BoxError> = None;
        loop {
            if let Some(address) = waiting.next() {
                running.push(self.attempt(address));
            }
            let more = waiting.len() > 0;
            tokio::select! {
                result = running.next() => match result {
                    Some(Ok(stream)) => return Ok(stream),
                    Some(Err(error)) => {
                        // A connection that failed says more than an address that was left out.
                        if failure.is_none() || !error.is::<Blocked>() {
                            failure = Some(error);
                        }
                    }
                    None => {
                        return Err(failure
                            .unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound).into()));
                    }
                },
                () = sleep(ATTEMPT_DELAY), if more => {}
            }
        }
    }

    async fn attempt(&self, address: SocketAddr) -> Result<TcpStream, BoxError> {
        self.check(address.ip())?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let keep_alive = TcpKeepalive::new()
            .with_time(KEEP_ALIVE)
            .with_interval(KEEP_ALIVE);
        SockRef::from(&stream).set_tcp_keepalive(&keep_alive)?;
        Ok(stream)
    }

    fn check(&self, address: std::net::IpAddr) -> Result<(), Blocked> {
        match &self.guard {
            Some(guard) => guard.check(address),
            None => Ok(()),
        }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an address may be silent before the next one is tried beside it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(300);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
