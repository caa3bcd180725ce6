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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::linger::linger;
use super::target::{Scanner, Swap};

/// Body of every response.
pub(super) type ResponseBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// From accepting, or from the first byte of a follow-up request, to the end of the request.
    pub(super) read: Duration,
    /// From the first byte of a response to its last.
    pub(super) write: Duration,
    /// Between requests; zero closes after each response.
    pub(super) idle: Duration,
}

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
    let mut sleep = pin!(tokio::time::sleep_until(exchange.accepted + timeouts.read));
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

/// The state that socket, service and timer of one connection share.
pub(super) struct Exchange {
    timeouts: Timeouts,
    accepted: Instant,
    closed: CancellationToken,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Reading a request head.
    Head,
    /// Reading a request body.
    Body,
    /// The request is being worked on.
    Working,
    /// Response bytes are going out.
    Writing,
    /// Between requests.
    Idle,
}

struct State {
    phase: Phase,
    read_deadline: Instant,
    deadline: Option<Instant>,
    body_ended: bool,
    unread: bool,
    reader: Option<Waker>,
    finish: Option<Box<dyn Send>>,
    unless_sent: Option<Box<dyn FnOnce() + Send>>,
    scanner: Scanner,
    room: Room,
}

/// For how many header lines the parser has room. Room for all that are allowed would have to be made for each request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Usual,
    /// A head needs more.
    Wanted,
    Most,
}

impl Exchange {
    fn new(timeouts: Timeouts) -> Self {
        let accepted = Instant::now();
        let deadline = accepted + timeouts.read;
        Self {
            timeouts,
            accepted,
            closed: CancellationToken::new(),
            state: Mutex::new(State {
                phase: Phase::Head,
                read_deadline: deadline,
                deadline: Some(deadline),
                body_ended: false,
                // A head that cannot be parsed is answered before all of it was read.
                unread: true,
                reader: None,
                finish: None,
                unless_sent: None,
                scanner: Scanner::new(),
                room: Room::Usual,
            }),
        }
    }

    /// Fires when the client has closed its side.
    pub(super) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Until when the request body may be read.
    pub(super) fn read_deadline(&self) -> Instant {
        self.lock().read_deadline
    }

    /// The request has been read, or as much of it as will be; `unread` says that bytes of it may still come.
    pub(super) fn work(&self, unread: bool) {
        let mut state = self.lock();
        state.phase = Phase::Working;
        state.unread = unread;
    }

    /// Keeps a value until the response has been handed to the kernel or the connection is gone.
    pub(super) fn hold(&self, finish: impl Send + 'static) {
        self.lock().finish = Some(Box::new(finish));
    }

    /// What is to be done if the connection ends before the response has been handed to the kernel.
    pub(super) fn unless_sent(&self, then: impl FnOnce() + Send + 'static) {
        self.lock().unless_sent = Some(Box::new(then));
    }

    /// The bytes of the current target that the parser was not shown.
    pub(super) fn take_swaps(&self) -> Vec<Swap> {
        self.lock().scanner.take()
    }

    fn begin(&self) {
        let mut state = self.lock();
        state.phase = Phase::Body;
        state.deadline = None;
        state.body_ended = false;
    }

    fn deadline(&self) -> Option<Instant> {
        self.lock().deadline
    }

    fn left_unread(&self) -> bool {
        self.lock().unread
    }

    /// An incomplete request may not hold up a graceful stop.
    fn hurry(&self) {
        let mut state = self.lock();
        let limit = Instant::now() + STOP_READ_TIME;
        state.deadline = state.deadline.map(|d| d.min(limit));
    }

    /// Whether the parser may see the bytes; otherwise it has to be given more room first.
    fn received(&self, bytes: &mut [u8]) -> bool {
        let mut state = self.lock();
        if state.phase == Phase::Idle {
            state.scanner.expect_head();
            state.phase = Phase::Head;
            state.unread = true;
            state.read_deadline = Instant::now() + self.timeouts.read;
            state.deadline = Some(state.read_deadline);
        }
        state.scanner.pass(bytes);
        if state.room == Room::Usual && state.scanner.lines() > USUAL_HEADER_LINES {
            state.room = Room::Wanted;
        }
        state.room != Room::Wanted
    }

    /// Whether the parser is to be given more room; from then on it has it.
    fn takes_room(&self) -> bool {
        let mut state = self.lock();
        let wanted = state.room == Room::Wanted;
        if wanted {
            state.room = Room::Most;
        }
        wanted
    }

    /// Whether the end of the client's side is to be kept from hyper, which would drop the running exchange.
    fn hide_end(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        let hide = matches!(state.phase, Phase::Working | Phase::Writing);
        if hide {
            state.reader = Some(waker.clone());
        }
        drop(state);
        self.closed.cancel();
        hide
    }

    fn writing(&self) {
        let mut state = self.lock();
        if state.phase != Phase::Writing {
            state.phase = Phase::Writing;
            state.deadline = Some(Instant::now() + self.timeouts.write);
        }
    }

    fn body_ended(&self) {
        self.lock().body_ended = true;
    }

    fn flushed(&self) {
        let mut state = self.lock();
        if state.phase != Phase::Writing || !state.body_ended {
            return;
        }
        state.phase = Phase::Idle;
        state.deadline = Some(Instant::now() + self.timeouts.idle);
        state.unless_sent = None;
        let (finish, reader) = (state.finish.take(), state.reader.take());
        drop(state);
        drop(finish);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(then) = self.unless_sent.take() {
            then();
        }
    }
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
            Poll::Ready(Err(_)) => self.exchange.closed.cancel(),
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
/// Lines for which hyper's parser has room on the stack, less one for the end.
const USUAL_HEADER_LINES: usize = 99;
/// hyper's header map panics above 24,576.
const MOST_HEADER_LINES: usize = 8192;
/// How long an incomplete request may delay a graceful stop.
const STOP_READ_TIME: Duration = Duration::from_secs(5);
