//! One client connection: hyper's HTTP/1 driver on a socket that knows in which phase of an exchange it is.
//!
//! hyper has neither an idle timeout apart from its head timeout nor a write timeout, and it drops the connection of a
//! client that has shut down its sending side. [`Tracked`] supplies all three. Rule: `spec/http.md` sections 1 and 16.
//!
//! What remains of the library's own limits: a target above 65,534 bytes is answered 414, folded header lines and HTTP/1.2
//! 400, and above 8,192 header lines 431, above 100 in a request that is sent before the answer to the one before it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::exchange::{Exchange, Timeouts};
use super::linger::linger;

/// Body of every response.
pub(super) type ResponseBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Runs a connection to its end: closed by either side, cut by a time limit, or `kill`ed. After `drain` fires the
/// running exchange ends with `Connection: close`, and an idle connection closes.
pub(super) async fn run<S, H, F>(
    stream: S,
    timeouts: Timeouts,
    drain: CancellationToken,
    kill: CancellationToken,
    handler: H,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request<Incoming>, Arc<Exchange>) -> F,
    F: Future<Output = Response<ResponseBody>>,
{
    let exchange = Arc::new(Exchange::new(timeouts));
    let io = TokioIo::new(Tracked {
        stream,
        exchange: Arc::clone(&exchange),
        held: BytesMut::new(),
    });
    let service = service_fn(|request| {
        exchange.begin();
        let answer = handler(request, Arc::clone(&exchange));
        let exchange = Arc::clone(&exchange);
        // No block of its own, which would hold the state of the handler twice.
        tracked(answer, exchange)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .keep_alive(!timeouts.idle.is_zero())
        .max_buf_size(MAX_HEAD_BYTES)
        .max_header_size(MAX_HEAD_BYTES)
        .header_read_timeout(None);
    let mut connection = builder.serve_connection(io, service);
    let mut sleep = pin!(tokio::time::sleep_until(exchange.read_deadline()));
    let (mut drained, mut killed) = (pin!(drain.cancelled()), pin!(kill.cancelled()));
    let mut draining = false;
    let ended = loop {
        let ended = poll_fn(|cx| {
            if !draining && drained.as_mut().poll(cx).is_ready() {
                draining = true;
                exchange.hurry();
                Pin::new(&mut connection).graceful_shutdown();
            }
            if Pin::new(&mut connection).poll(cx).is_ready() {
                return Poll::Ready(Ended::Finished);
            }
            if exchange.takes_room() {
                return Poll::Ready(Ended::Crowded);
            }
            // Phases change only inside the poll above, so the timer is always set from the current phase.
            if let Some(deadline) = exchange.deadline() {
                if sleep.deadline() != deadline {
                    sleep.as_mut().reset(deadline);
                }
                if sleep.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Ended::Cut);
                }
            }
            killed.as_mut().poll(cx).map(|()| Ended::Cut)
        })
        .await;
        if ended != Ended::Crowded {
            break ended;
        }
        // The head is read once more from its start, by a parser that has room for it.
        let mut parts = connection.into_parts();
        parts.io.inner_mut().put_back(&parts.read_buf);
        connection = builder
            .max_headers(MOST_HEADER_LINES)
            .keep_alive(!draining && !timeouts.idle.is_zero())
            .serve_connection(parts.io, parts.service);
    };
    if ended == Ended::Finished && exchange.left_unread() {
        linger(connection.into_parts().io.into_inner().stream).await;
    }
}

/// Why a connection is not polled any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// By hyper, which has closed it.
    Finished,
    /// By a time limit or a stop.
    Cut,
    /// Not yet: the head that is coming has more lines than the parser takes.
    Crowded,
}

/// A socket that reports to its [`Exchange`].
struct Tracked<S> {
    stream: S,
    exchange: Arc<Exchange>,
    /// Bytes that were read and not parsed.
    held: BytesMut,
}

impl<S> Tracked<S> {
    /// Has bytes read again, before those that are held.
    fn put_back(&mut self, bytes: &[u8]) {
        let rest = std::mem::take(&mut self.held);
        self.held.extend_from_slice(bytes);
        self.held.extend_from_slice(&rest);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tracked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            let length = buf.remaining().min(self.held.len());
            buf.put_slice(&self.held.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                let received = buf.filled_mut().get_mut(before..).unwrap_or_default();
                if !self.exchange.received(received) {
                    self.held.extend_from_slice(received);
                    buf.set_filled(before);
                    return Poll::Pending;
                }
            }
            Poll::Ready(Ok(())) if self.exchange.hide_end(cx.waker()) => return Poll::Pending,
            Poll::Ready(Err(_)) => self.exchange.client_left(),
            _ => {}
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tracked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.exchange.writing();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(result, Poll::Ready(Ok(()))) {
            self.exchange.flushed();
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.exchange.writing();
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

fn tracked(
    answer: impl Future<Output = Response<ResponseBody>>,
    exchange: Arc<Exchange>,
) -> impl Future<Output = Result<Response<TrackedBody>, std::convert::Infallible>> {
    answer.map(|answer| Ok(answer.map(|inner| TrackedBody { inner, exchange })))
}

/// A response body that reports its end.
struct TrackedBody {
    inner: ResponseBody,
    exchange: Arc<Exchange>,
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.exchange.body_ended();
    }
}

/// Longest request head. Rule: `spec/http.md` section 1, 1 MiB and a little slack.
const MAX_HEAD_BYTES: usize = (1 << 20) + 4096;
/// hyper's header map panics above 24,576.
const MOST_HEADER_LINES: usize = 8192;
