//! Worker threads for image jobs, and the queue in front of them. Rule: `spec/http.md` section 6.
//!
//! Owns the threads and the bound on the number of requests; who is next is `super::queue`'s to say. A job is data and so
//! is its answer; what a job does is the runner's business. A request has a place in the system from its admission to its
//! end, a worker only while its picture is processed. Place and worker are held until the thread has really finished, so
//! that a job which outlives its request still counts.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::queue::{Bounds, Demand, LONGEST_RETRY, NoTime, Queue, Turn};
use crate::config::WorkersConfig;
use crate::monitoring::trace::{self, Trace};
use crate::monitoring::{self, InProgress};
use crate::vips::lower_thread_priority;
use crate::{Error, Kind};

/// A handle that stops a running job from outside.
pub trait CancelHandle: Clone + Send + Sync + 'static {
    /// Asks the job to stop as soon as it can; called at most once per job, from any thread.
    fn cancel(&self);

    /// Whether that has happened; a job that has not begun by then never does.
    fn is_cancelled(&self) -> bool;
}

/// What a job has come to.
pub trait Outcome: Send + 'static {
    /// Whether the job has done all of its work, so that others of its kind should take as long.
    fn is_complete(&self) -> bool;
}

/// Worker threads that turn jobs `J` into answers `R`, each under a cancel handle `C`. Clones share the threads, which
/// end when the last clone and the last slot are gone.
pub struct Workers<J, R, C> {
    shared: Arc<Shared<J, R, C>>,
}

impl<J, R, C> Clone for Workers<J, R, C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<J, R, C> fmt::Debug for Workers<J, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("busy", &self.busy())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// As many requests as allowed are in the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub struct QueueFull {
    /// Seconds after which there should be room, 1 to 60.
    pub retry_after: u32,
}

impl From<QueueFull> for Error {
    fn from(full: QueueFull) -> Self {
        Self::new(Kind::QueueFull, full.to_string()).with_retry_after(full.retry_after)
    }
}

/// A job without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// The job panicked; the thread lives on.
    #[error("image job panicked: {0}")]
    Panicked(String),
    /// The job was cancelled before it began.
    #[error("image job was cancelled")]
    Cancelled,
    /// The threads are gone.
    #[error("worker threads have stopped")]
    Stopped,
}

impl From<WorkerError> for Error {
    fn from(error: WorkerError) -> Self {
        let kind = match error {
            WorkerError::Panicked(_) | WorkerError::Stopped => Kind::Internal,
            WorkerError::Cancelled => Kind::Cancelled,
        };
        Self::new(kind, error.to_string())
    }
}

impl<J, R, C> Workers<J, R, C>
where
    J: Send + 'static,
    R: Outcome,
    C: CancelHandle,
{
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// The operating system refuses a thread.
    pub fn start(
        config: &WorkersConfig,
        runner: impl Fn(J, &C) -> R + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let count = config.workers.max(1);
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let runner = Arc::new(runner);
        for number in 0..count {
            let (receiver, runner) = (Arc::clone(&receiver), Arc::clone(&runner));
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    // Sockets are to be served while all workers compute; a refusal changes nothing else.
                    lower_thread_priority(NICE);
                    work(&receiver, &*runner);
                })?;
        }
        Ok(Self {
            shared: Arc::new(Shared {
                queue: Queue::new(Bounds {
                    workers: count,
                    bytes: config.max_decoded_memory,
                    wait: config.max_queue_wait,
                }),
                tasks: sender,
                count,
                present: AtomicUsize::new(0),
                mean_micros: AtomicU64::new(0),
                limit: match config.queue_size {
                    0 => usize::MAX,
                    waiting => waiting.saturating_add(count),
                },
            }),
        })
    }

    /// Takes a place in the system.
    ///
    /// # Errors
    ///
    /// As many requests as allowed have one already.
    pub fn enter(&self) -> Result<Place<J, R, C>, QueueFull> {
        let within = |present| (present < self.shared.limit).then_some(present + 1);
        self.shared
            .present
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, within)
            .map_err(|_| QueueFull {
                retry_after: self.retry_after(),
            })?;
        Ok(Place {
            shared: Arc::clone(&self.shared),
        })
    }
}

impl<J, R, C> Workers<J, R, C> {
    /// Number of threads, and so of slots.
    pub fn count(&self) -> usize {
        self.shared.count
    }

    /// Slots that are held.
    pub fn busy(&self) -> usize {
        self.shared.queue.running()
    }

    /// Requests that wait for a slot.
    pub fn waiting(&self) -> usize {
        self.shared.queue.waiting()
    }

    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    /// Requests in the system: downloading, waiting, or on a worker.
    pub fn present(&self) -> usize {
        self.shared.present.load(Ordering::Acquire)
    }

    /// Whether a further request would be refused.
    pub fn is_full(&self) -> bool {
        self.present() >= self.shared.limit
    }

    /// Whole seconds, 1 to 60, until everything that is in the system now should be done: by the mean time of the jobs
    /// of late. 1 before the first job.
    pub fn retry_after(&self) -> u32 {
        let present = u64::try_from(self.present()).unwrap_or(u64::MAX);
        let workers = u64::try_from(self.shared.count).unwrap_or(u64::MAX);
        let mean = self.shared.mean_micros.load(Ordering::Relaxed);
        let micros = present.saturating_mul(mean) / workers.max(1);
        let seconds = micros.div_ceil(1_000_000).clamp(1, LONGEST_RETRY);
        u32::try_from(seconds).unwrap_or(1)
    }
}

/// One request's place in the system.
#[must_use = "dropping it leaves the system"]
pub struct Place<J, R, C> {
    shared: Arc<Shared<J, R, C>>,
}

impl<J, R, C> fmt::Debug for Place<J, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

impl<J, R, C> Place<J, R, C> {
    /// Waits for a worker; see [`Queue::turn`]. Dropping the future leaves the system.
    ///
    /// # Errors
    ///
    /// There is no time for the job.
    pub async fn worker(self, demand: Demand) -> Result<Slot<J, R, C>, NoTime> {
        let turn = self.shared.queue.turn(demand).await?;
        Ok(Slot {
            turn,
            demand,
            place: self,
        })
    }
}

impl<J, R, C> Drop for Place<J, R, C> {
    fn drop(&mut self) {
        self.shared.present.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The right to run one job on a worker thread.
#[must_use = "a slot that is not used keeps others waiting"]
pub struct Slot<J, R, C> {
    turn: Turn,
    demand: Demand,
    place: Place<J, R, C>,
}

impl<J, R, C> fmt::Debug for Slot<J, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

impl<J, R, C: CancelHandle> Slot<J, R, C> {
    /// Runs a job. Dropping the future cancels it; the slot is free once the thread is.
    ///
    /// # Errors
    ///
    /// The job gave no answer. Its own failures are part of `R`.
    pub async fn run(self, job: J, cancel: C) -> Result<R, WorkerError> {
        let (sender, receiver) = oneshot::channel();
        let shared = Arc::clone(&self.place.shared);
        let mut leaving = CancelOnDrop(Some(cancel.clone()));
        let task = Task {
            job,
            cancel,
            answer: sender,
            slot: self,
            handed_over: Instant::now(),
            trace: trace::current(),
        };
        shared.tasks.send(task).map_err(|_| WorkerError::Stopped)?;
        let answer = receiver.await;
        leaving.0 = None;
        answer.unwrap_or(Err(WorkerError::Stopped))
    }
}

struct Shared<J, R, C> {
    queue: Queue,
    tasks: mpsc::Sender<Task<J, R, C>>,
    count: usize,
    /// Requests in the system, at most `limit`.
    present: AtomicUsize,
    limit: usize,
    /// Mean time of a job of late, in microseconds; 0 before the first.
    mean_micros: AtomicU64,
}

impl<J, R, C> Shared<J, R, C> {
    /// A job took so long; the mean moves by an eighth of the difference.
    fn took(&self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let moved = |mean| {
            Some(match mean {
                0 => micros,
                mean => mean - mean / 8 + micros / 8,
            })
        };
        // Always succeeds: there is always a new value.
        let _ = self
            .mean_micros
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }
}

struct Task<J, R, C> {
    job: J,
    cancel: C,
    answer: oneshot::Sender<Result<R, WorkerError>>,
    slot: Slot<J, R, C>,
    handed_over: Instant,
    /// Of the request, so that what the job leaves is found in it.
    trace: Option<Trace>,
}

struct CancelOnDrop<C: CancelHandle>(Option<C>);

impl<C: CancelHandle> Drop for CancelOnDrop<C> {
    fn drop(&mut self) {
        if let Some(cancel) = self.0.take() {
            cancel.cancel();
        }
    }
}

/// The life of a worker thread: it ends when nobody can send a task any more.
fn work<J, R: Outcome, C: CancelHandle>(
    tasks: &Mutex<mpsc::Receiver<Task<J, R, C>>>,
    runner: &(dyn Fn(J, &C) -> R + Send + Sync),
) {
    loop {
        let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Task {
            job,
            cancel,
            answer,
            slot,
            handed_over,
            trace,
        }) = next
        else {
            return;
        };
        monitoring::operation_queued(handed_over.elapsed().as_secs_f64());
        let (active, started) = (InProgress::operations(), Instant::now());
        let outcome = if cancel.is_cancelled() {
            Err(WorkerError::Cancelled)
        } else {
            // Nothing of the job survives a panic: it is moved in, and its answer is lost.
            let run = || trace::sync_scope(trace, || runner(job, &cancel));
            catch_unwind(AssertUnwindSafe(run))
                .map_err(|panic| WorkerError::Panicked(text(&*panic)))
        };
        let elapsed = started.elapsed();
        monitoring::operation_executed(elapsed.as_secs_f64());
        drop(active);
        let Slot {
            turn,
            demand,
            place,
        } = slot;
        place.shared.took(elapsed);
        if outcome.as_ref().is_ok_and(Outcome::is_complete) {
            place.shared.queue.learn(&demand, elapsed);
        }
        // Free before the answer, so that whoever sees the answer may count on the slot.
        drop(place);
        drop(turn);
        // A request that has left needs no answer.
        drop(answer.send(outcome));
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    }
}

/// Below the default of 0, above the lowest of 19.
const NICE: i32 = 10;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Flag(Arc<AtomicBool>);

    impl CancelHandle for Flag {
        fn cancel(&self) {
            self.0.store(true, Ordering::Release);
        }

        fn is_cancelled(&self) -> bool {
            self.0.load(Ordering::Acquire)
        }
    }

    impl Outcome for usize {
        fn is_complete(&self) -> bool {
            true
        }
    }

    impl Outcome for (Option<String>, Option<String>) {
        fn is_complete(&self) -> bool {
            true
        }
    }

    #[derive(Debug)]
    enum Job {
        Answer(usize),
        Panic,
        /// Runs until it is cancelled, then for a while longer.
        UntilCancelled,
    }

    type TestWorkers = Workers<Job, usize, Flag>;

    fn workers(workers: usize, queue_size: usize) -> TestWorkers {
        let config = WorkersConfig {
            workers,
            queue_size,
            ..WorkersConfig::default()
        };
        Workers::start(&config, |job, cancel: &Flag| match job {
            Job::Answer(number) => number,
            Job::Panic => panic!("on purpose"),
            Job::UntilCancelled => {
                let started = Instant::now();
                while !cancel.is_cancelled() && started.elapsed() < Duration::from_secs(5) {
                    thread::sleep(Duration::from_millis(1));
                }
                thread::sleep(Duration::from_millis(50));
                0
            }
        })
        .unwrap()
    }

    async fn acquire(workers: &TestWorkers) -> Slot<Job, usize, Flag> {
        let place = workers.enter().unwrap();
        place.worker(Demand::default()).await.unwrap()
    }

    #[tokio::test]
    async fn first_come_first_served() {
        let workers = workers(1, 0);
        let held = acquire(&workers).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for number in 0..20 {
            let (workers, order) = (workers.clone(), Arc::clone(&order));
            let mut turn = Box::pin(async move {
                let slot = acquire(&workers).await;
                order.lock().unwrap().push(number);
                slot.run(Job::Answer(number), Flag::default()).await
            });
            assert!((&mut turn).now_or_never().is_none());
            waiting.push(turn);
        }
        assert_eq!((workers.busy(), workers.waiting()), (1, 20));
        drop(held);
        let answers = futures_util::future::join_all(waiting).await;
        assert!(answers.into_iter().map(Result::unwrap).eq(0..20));
        assert!(order.lock().unwrap().iter().copied().eq(0..20));
        assert_eq!(workers.present(), 0);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let workers = workers(2, 1);
        let first = acquire(&workers).await;
        let _second = acquire(&workers).await;
        let mut third = Box::pin(acquire(&workers));
        assert!((&mut third).now_or_never().is_none());
        assert_eq!(workers.enter().unwrap_err(), QueueFull { retry_after: 1 });
        // A request that leaves the queue makes room.
        drop(third);
        let mut fourth = Box::pin(acquire(&workers));
        assert!((&mut fourth).now_or_never().is_none());
        drop(first);
        drop(fourth.await);
    }

    #[tokio::test]
    async fn retry_after_follows_the_jobs_of_late() {
        let workers = workers(2, 0);
        assert_eq!(workers.retry_after(), 1, "nothing is known yet");
        for _ in 0..50 {
            workers.shared.took(Duration::from_secs(3));
        }
        assert_eq!(workers.retry_after(), 1, "nothing is there");
        let places: Vec<_> = (0..8).map(|_| workers.enter().unwrap()).collect();
        assert!((11..=12).contains(&workers.retry_after()), "8 × 3 s / 2");
        let more: Vec<_> = (0..100).map(|_| workers.enter().unwrap()).collect();
        assert_eq!(workers.retry_after(), 60, "bounded");
        drop((places, more));
        assert_eq!(workers.present(), 0);
    }

    #[tokio::test]
    async fn a_cancelled_job_frees_its_slot_when_it_has_ended() {
        let workers = workers(1, 0);
        let flag = Flag::default();
        let slot = acquire(&workers).await;
        let running = slot.run(Job::UntilCancelled, flag.clone());
        let outcome = tokio::time::timeout(Duration::from_millis(50), running).await;
        assert!(outcome.is_err());
        assert!(flag.is_cancelled());
        assert_eq!(workers.busy(), 1);
        let cancelled = Instant::now();
        let slot = acquire(&workers).await;
        assert!(cancelled.elapsed() > Duration::from_millis(20));
        assert!(cancelled.elapsed() < Duration::from_secs(2));
        let answer = slot.run(Job::Answer(7), Flag::default()).await;
        assert_eq!(answer, Ok(7));
    }

    #[tokio::test]
    async fn a_job_cancelled_before_it_begins_never_does() {
        let workers = workers(1, 0);
        let flag = Flag::default();
        flag.cancel();
        let slot = acquire(&workers).await;
        let answer = slot.run(Job::Answer(1), flag).await;
        assert_eq!(answer, Err(WorkerError::Cancelled));
        assert_eq!(workers.present(), 0);
    }

    #[tokio::test]
    async fn a_finished_job_is_not_cancelled() {
        let flag = Flag::default();
        let slot = acquire(&workers(1, 0)).await;
        slot.run(Job::Answer(1), flag.clone()).await.unwrap();
        assert!(!flag.is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_costs_one_job() {
        let workers = workers(1, 0);
        for _ in 0..3 {
            let slot = acquire(&workers).await;
            let answer = slot.run(Job::Panic, Flag::default()).await;
            assert_eq!(answer, Err(WorkerError::Panicked("on purpose".to_owned())));
            assert_eq!(Error::from(answer.unwrap_err()).kind(), Kind::Internal);
        }
        let slot = acquire(&workers).await;
        assert_eq!(slot.run(Job::Answer(3), Flag::default()).await, Ok(3));
        assert_eq!(workers.present(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn ten_thousand_jobs_leave_nothing_behind() {
        let workers = workers(4, 0);
        let mut all = tokio::task::JoinSet::new();
        for number in 0..10_000 {
            let workers = workers.clone();
            all.spawn(async move {
                let slot = acquire(&workers).await;
                let running = slot.run(Job::Answer(number), Flag::default());
                // Some leave before the answer.
                if number % 10 == 0 {
                    running.now_or_never();
                } else {
                    assert_eq!(running.await, Ok(number));
                }
            });
        }
        while let Some(outcome) = all.join_next().await {
            outcome.unwrap();
        }
        let started = Instant::now();
        while workers.present() > 0 && started.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!((workers.present(), workers.busy()), (0, 0));
    }

    #[tokio::test]
    async fn threads_are_named_and_nice_and_end_with_the_last_handle() {
        let config = WorkersConfig {
            workers: 1,
            ..WorkersConfig::default()
        };
        let (sender, ended) = mpsc::channel::<()>();
        let workers = Workers::start(&config, move |(): (), _: &Flag| {
            let _alive = &sender;
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let nice = stat.rsplit(' ').nth_back(18).map(str::to_owned);
            (thread::current().name().map(str::to_owned), nice)
        })
        .unwrap();
        let slot = workers
            .enter()
            .unwrap()
            .worker(Demand::default())
            .await
            .unwrap();
        let (name, nice) = slot.run((), Flag::default()).await.unwrap();
        assert_eq!(name.as_deref(), Some("worker-0"));
        // Field 19 of the line.
        assert_eq!(nice.as_deref(), Some("10"));
        drop(workers);
        let gone = tokio::task::spawn_blocking(move || ended.recv_timeout(Duration::from_secs(5)));
        assert_eq!(
            gone.await.unwrap(),
            Err(mpsc::RecvTimeoutError::Disconnected)
        );
    }
}
