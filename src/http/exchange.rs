//! The state that socket, service and timer of one connection share: in which phase of an exchange it is, and until when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::target::{Scanner, Swap};

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

/// The state that socket, service and timer of one connection share.
pub(super) struct Exchange {
    timeouts: Timeouts,
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
    pub(super) fn new(timeouts: Timeouts) -> Self {
        let deadline = Instant::now() + timeouts.read;
        Self {
            timeouts,
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

    pub(super) fn begin(&self) {
        let mut state = self.lock();
        state.phase = Phase::Body;
        state.deadline = None;
        state.body_ended = false;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lock().deadline
    }

    pub(super) fn left_unread(&self) -> bool {
        self.lock().unread
    }

    /// An incomplete request may not hold up a graceful stop.
    pub(super) fn hurry(&self) {
        let mut state = self.lock();
        let limit = Instant::now() + STOP_READ_TIME;
        state.deadline = state.deadline.map(|d| d.min(limit));
    }

    /// Whether the parser may see the bytes; otherwise it has to be given more room first.
    pub(super) fn received(&self, bytes: &mut [u8]) -> bool {
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
    pub(super) fn takes_room(&self) -> bool {
        let mut state = self.lock();
        let wanted = state.room == Room::Wanted;
        if wanted {
            state.room = Room::Most;
        }
        wanted
    }

    /// Whether the end of the client's side is to be kept from hyper, which would drop the running exchange.
    pub(super) fn hide_end(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        let hide = matches!(state.phase, Phase::Working | Phase::Writing);
        if hide {
            state.reader = Some(waker.clone());
        }
        drop(state);
        self.client_left();
        hide
    }

    /// Says to whoever works for the client that nobody waits any more.
    pub(super) fn client_left(&self) {
        self.closed.cancel();
    }

    pub(super) fn writing(&self) {
        let mut state = self.lock();
        if state.phase != Phase::Writing {
            state.phase = Phase::Writing;
            state.deadline = Some(Instant::now() + self.timeouts.write);
        }
    }

    pub(super) fn body_ended(&self) {
        self.lock().body_ended = true;
    }

    pub(super) fn flushed(&self) {
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

/// Lines for which hyper's parser has room on the stack, less one for the end.
const USUAL_HEADER_LINES: usize = 99;
/// How long an incomplete request may delay a graceful stop.
const STOP_READ_TIME: Duration = Duration::from_secs(5);
