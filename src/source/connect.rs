//! Connections for the HTTP client: proxies and TLS on top of a dialled address.
//!
//! Owns what happens between TCP and HTTP. Which addresses may be dialled is `dial`'s.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tower::{Service, service_fn};

use super::dial::{BoxError, Dial};
use super::proxy::Proxies;

/// Connects to the host of a URI, directly or through its proxy, with TLS for https.
#[derive(Clone)]
pub(super) struct Connector {
    dial: Dial,
    proxies: Proxies,
    tls: Arc<ClientConfig>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("dial", &self.dial)
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(dial: Dial, proxies: Proxies, tls: ClientConfig) -> Self {
        Self {
            dial,
            proxies,
            tls: Arc::new(tls),
        }
    }

    async fn connect(self, target: Uri) -> Result<TokioIo<Stream>, BoxError> {
        let https = target.scheme() == Some(&Scheme::HTTPS);
        let proxy = self.proxies.intercept(&target);
        let stream = match &proxy {
            None => self.dial(&target).await?,
            Some(proxy) if https => self.tunnel(proxy, target.clone()).await?,
            Some(proxy) => self.proxy(proxy.uri()).await?,
        };
        let stream = if https {
            self.encrypt(stream, &target, &self.tls).await?
        } else {
            stream
        };
        Ok(TokioIo::new(Stream {
            proxied: proxy.is_some() && !https,
            ..stream
        }))
    }

    async fn dial(&self, target: &Uri) -> Result<Stream, BoxError> {
        let host = target.host().unwrap_or_default();
        let default = if target.scheme() == Some(&Scheme::HTTPS) {
            443
        } else {
            80
        };
        let tcp = self
            .dial
            .connect(host, target.port_u16().unwrap_or(default))
            .await?;
        Ok(Stream::new(tcp))
    }

    /// A connection to a proxy, which may itself want TLS.
    async fn proxy(&self, proxy: &Uri) -> Result<Stream, BoxError> {
        match proxy.scheme_str() {
            Some("http") => self.dial(proxy).await,
            Some("https") => {
                let stream = self.dial(proxy).await?;
                // HTTP/2 is for sources only.
                let mut tls = ClientConfig::clone(&self.tls);
                tls.alpn_protocols = vec![b"http/1.1".to_vec()];
                self.encrypt(stream, proxy, &Arc::new(tls)).await
            }
            _ => Err("the proxy is neither http nor https".into()),
        }
    }

    async fn tunnel(&self, proxy: &Intercept, target: Uri) -> Result<Stream, BoxError> {
        let connector = self.clone();
        let to_proxy = service_fn(move |proxy: Uri| {
            let connector = connector.clone();
            Box::pin(async move { connector.proxy(&proxy).await.map(TokioIo::new) })
        });
        let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        Ok(tunnel.call(target).await?.into_inner())
    }

    async fn encrypt(
        &self,
        stream: Stream,
        target: &Uri,
        config: &Arc<ClientConfig>,
    ) -> Result<Stream, BoxError> {
        let host = target.host().unwrap_or_default();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned())?;
        let handshake = TlsConnector::from(Arc::clone(config)).connect(name, stream);
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake)
            .await
            .map_err(|_| rustls::Error::General("the handshake takes too long".to_owned()))??;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream {
            http2,
            ..Stream::new(stream)
        })
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<TokioIo<Stream>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        Box::pin(self.clone().connect(target))
    }
}

/// Whether a connection has carried a whole response head before. A failure on such a connection may only mean that
/// the source had closed it meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct Used(Arc<AtomicBool>);

impl Used {
    /// Notes that a response head has come over the connection.
    pub(super) fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether one had come before.
    pub(super) fn is_marked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// An open connection.
pub(super) struct Stream {
    io: Box<dyn Io>,
    http2: bool,
    proxied: bool,
    used: Used,
}

impl Stream {
    fn new(io: impl Io + 'static) -> Self {
        Self {
            io: Box::new(io),
            http2: false,
            proxied: false,
            used: Used::default(),
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("http2", &self.http2)
            .field("proxied", &self.proxied)
            .finish_non_exhaustive()
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new()
            .proxy(self.proxied)
            .extra(self.used.clone());
        if self.http2 {
            connected.negotiated_h2()
        } else {
            connected
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
