//! The queue in front of the workers: who may begin, who is next, and who is refused because there is no time for it.
//!
//! Owns the count of running jobs, their memory, and what is known of how long jobs take. It does not run them. A
//! [`Turn`] is held for as long as a job runs; dropping it lets the next one begin.

mod line;
mod scales;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::{Error, Kind};
use line::{Line, Next, Ticket};
use scales::{Prediction, Scales};

/// What a job is expected to need. The default needs nothing and has no deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Number of the kind of job, below some hundred; what is learnt from one job counts for those of its kind.
    pub kind: usize,
    /// Number of the class of kinds that stands in for a kind of which nothing is known.
    pub class: usize,
    /// Estimated time on a worker, in proportion to other jobs of its kind.
    pub work: Duration,
    /// Bytes of memory while it runs.
    pub bytes: u64,
    /// When nobody will wait for it any more.
    pub deadline: Option<Instant>,
}

/// A job for which there is no time before its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no time for the image: it would have to wait for {wait:?} and take {work:?}")]
pub struct NoTime {
    /// How long it would wait for a worker.
    pub wait: Duration,
    /// How long it would take then.
    pub work: Duration,
    /// Seconds after which there should be time for it, 1 to 60.
    pub retry_after: u32,
}

impl From<NoTime> for Error {
    fn from(refusal: NoTime) -> Self {
        Self::new(Kind::NoTime, refusal.to_string()).with_retry_after(refusal.retry_after)
    }
}

/// How large a queue may become.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// Jobs that run at the same time, at least 1.
    pub workers: usize,
    /// Bytes that running jobs may take together; 0 is no limit. One that is larger runs alone.
    pub bytes: u64,
    /// Longest expected wait; zero is no limit but the deadlines of the requests.
    pub wait: Duration,
}

/// The queue. Clones share it.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    bounds: Bounds,
    clock: Clock,
    state: Mutex<State>,
}

/// What time it is.
type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

#[derive(Default)]
struct State {
    line: Line<oneshot::Sender<Result<Turn, NoTime>>>,
    running: Vec<Running>,
    bytes: u64,
    last_id: u64,
    scales: Scales,
    margin: Margin,
}

/// As many times what is expected has to fit into the time that is left: more where expectations failed of late.
struct Margin(f64);

impl Default for Margin {
    fn default() -> Self {
        Self(LEAST_MARGIN)
    }
}

impl Margin {
    /// One was admitted in vain.
    fn late(&mut self) {
        self.0 = (self.0 + LATE_STEP).min(MOST_MARGIN);
    }

    /// One had its turn in time.
    fn in_time(&mut self) {
        self.0 = (self.0 - LATE_STEP / IN_TIME_FOR_ONE_LATE).max(LEAST_MARGIN);
    }
}

struct Running {
    id: u64,
    bytes: u64,
    /// When it should end, as far as that is known.
    end: Instant,
}

/// Whom to tell what, once the lock is free.
type Calls = Vec<(oneshot::Sender<Result<Turn, NoTime>>, Result<Turn, NoTime>)>;

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("running", &self.running())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// An empty queue.
    pub fn new(bounds: Bounds) -> Self {
        Self::with_clock(bounds, Box::new(Instant::now))
    }

    fn with_clock(bounds: Bounds, clock: Clock) -> Self {
        let bounds = Bounds {
            workers: bounds.workers.max(1),
            ..bounds
        };
        Self {
            shared: Arc::new(Shared {
                bounds,
                clock,
                state: Mutex::default(),
            }),
        }
    }

    /// Waits for the job's turn. Dropping the future leaves the queue.
    ///
    /// # Errors
    ///
    /// There is no time for the job: told at once where that is expected, later where others took longer than expected.
    pub async fn turn(&self, demand: Demand) -> Result<Turn, NoTime> {
        let (sender, receiver) = oneshot::channel();
        let mut calls = Calls::new();
        let id = {
            let mut state = self.shared.state();
            let now = (self.shared.clock)();
            let prediction = self.shared.admit(&state, &demand, now)?;
            state.last_id += 1;
            let id = state.last_id;
            state.line.push(Ticket {
                id,
                prediction,
                bytes: demand.bytes,
                deadline: demand.deadline,
                arrived: now,
                holder: sender,
            });
            Shared::advance(&self.shared, &mut state, now, &mut calls);
            id
        };
        call(calls);
        let _leaving = Leaving {
            shared: &self.shared,
            id,
        };
        match receiver.await {
            Ok(answer) => answer,
            // Nobody drops a sender without an answer.
            Err(_) => Err(NoTime {
                wait: Duration::ZERO,
                work: Duration::ZERO,
                retry_after: 1,
            }),
        }
    }

    /// Whether the job would have a turn in time, as things are.
    ///
    /// # Errors
    ///
    /// It would be refused.
    pub fn check(&self, demand: &Demand) -> Result<(), NoTime> {
        let state = self.shared.state();
        self.shared
            .admit(&state, demand, (self.shared.clock)())
            .map(drop)
    }

    /// A job that did all of its work took so long.
    pub fn learn(&self, demand: &Demand, took: Duration) {
        self.shared.state().scales.learn(demand, took);
    }

    /// Jobs that have their turn.
    pub fn running(&self) -> usize {
        self.shared.state().running.len()
    }

    /// Jobs that wait for it.
    pub fn waiting(&self) -> usize {
        self.shared.state().line.len()
    }

    /// Time that the jobs that wait will take on their workers, added up, as far as that is known.
    pub fn work(&self) -> Duration {
        self.shared.state().line.work()
    }

    /// Bytes of memory that running jobs are expected to take.
    pub fn bytes(&self) -> u64 {
        self.shared.state().bytes
    }
}

impl Shared {
    /// No code that can panic runs under the lock, so a poisoned one is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begins_at_once(&self, state: &State, bytes: u64) -> bool {
        state.line.is_empty()
            && state.running.len() < self.bounds.workers
            && self.fits(state.bytes, bytes)
    }

    /// Whether a job fits beside those that run: always where it is the only one.
    fn fits(&self, taken: u64, bytes: u64) -> bool {
        let budget = self.bounds.bytes;
        budget == 0 || taken == 0 || taken.saturating_add(bytes) <= budget
    }

    /// How long a newcomer is expected to take. Refuses what cannot be done in time, but nothing that nothing is known of.
    fn admit(&self, state: &State, demand: &Demand, now: Instant) -> Result<Prediction, NoTime> {
        let prediction = state.scales.predict(demand);
        if !prediction.is_learnt || self.begins_at_once(state, demand.bytes) {
            return Ok(prediction);
        }
        let work = prediction.work;
        let running: Duration = state.running.iter().map(|r| r.end - now).sum();
        let workers = u32::try_from(self.bounds.workers).unwrap_or(u32::MAX);
        let by_work = (running + state.line.work_before(work)) / workers;
        let wait = by_work.max(state.line.wait_by_pace(work, now));
        let left = demand.deadline.map_or(Duration::MAX, |at| at - now);
        let late = (wait + work).mul_f64(state.margin.0).saturating_sub(left);
        let longest = match self.bounds.wait {
            Duration::ZERO => Duration::MAX,
            longest => longest,
        };
        let over = late.max(wait.saturating_sub(longest));
        if over.is_zero() {
            return Ok(prediction);
        }
        Err(NoTime {
            wait,
            work,
            retry_after: seconds(over),
        })
    }

    /// Lets as many begin as there are workers and memory for.
    fn advance(this: &Arc<Self>, state: &mut State, now: Instant, calls: &mut Calls) {
        while state.running.len() < this.bounds.workers {
            let taken = state.bytes;
            match state.line.next(now, |bytes| this.fits(taken, bytes)) {
                Some(Next::Turn(ticket)) => {
                    state.margin.in_time();
                    state.bytes = state.bytes.saturating_add(ticket.bytes);
                    state.running.push(Running {
                        id: ticket.id,
                        bytes: ticket.bytes,
                        end: now + ticket.prediction.known(),
                    });
                    let turn = Turn {
                        shared: Arc::clone(this),
                        id: ticket.id,
                    };
                    calls.push((ticket.holder, Ok(turn)));
                }
                Some(Next::TooLate(ticket)) => {
                    state.margin.late();
                    let refusal = NoTime {
                        wait: now - ticket.arrived,
                        work: ticket.prediction.work,
                        retry_after: seconds(state.line.work()),
                    };
                    calls.push((ticket.holder, Err(refusal)));
                }
                None => break,
            }
        }
    }
}

/// The right to run one job on a worker; the next has it when this is dropped.
#[must_use = "a turn that is not used keeps others waiting"]
pub struct Turn {
    shared: Arc<Shared>,
    id: u64,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut calls = Calls::new();
        {
            let mut state = self.shared.state();
            if let Some(position) = state.running.iter().position(|r| r.id == self.id) {
                let ended = state.running.swap_remove(position);
                state.bytes = state.bytes.saturating_sub(ended.bytes);
            }
            let now = (self.shared.clock)();
            Shared::advance(&self.shared, &mut state, now, &mut calls);
        }
        call(calls);
    }
}

/// Takes a job out of the line when its request leaves.
struct Leaving<'a> {
    shared: &'a Arc<Shared>,
    id: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut calls = Calls::new();
        {
            let mut state = self.shared.state();
            if let Some(ticket) = state.line.remove(self.id) {
                let now = (self.shared.clock)();
                if ticket.deadline.is_some_and(|deadline| now >= deadline) {
                    state.margin.late();
                }
                // It may have been the one for whose memory the others waited.
                Shared::advance(self.shared, &mut state, now, &mut calls);
            }
        }
        call(calls);
    }
}

/// Tells everybody. Whoever has left meanwhile drops its turn, which lets the next one begin.
fn call(calls: Calls) {
    for (holder, answer) in calls {
        drop(holder.send(answer));
    }
}

/// Whole seconds to come back after.
fn seconds(time: Duration) -> u32 {
    let whole = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u32::try_from(whole.clamp(1, LONGEST_RETRY)).unwrap_or(1)
}

/// Expectations fail, and those who wait in vain are worse off than those who are told at once.
const LEAST_MARGIN: f64 = 1.25;
/// However wrong they are, what should take less than half of the time is tried.
const MOST_MARGIN: f64 = 2.0;
const LATE_STEP: f64 = 0.02;
/// What the margin comes to rest at: one in so many waits in vain.
const IN_TIME_FOR_ONE_LATE: f64 = 200.0;
/// Longest `Retry-After` in seconds.
pub(super) const LONGEST_RETRY: u64 = 60;

#[cfg(test)]
mod tests;
