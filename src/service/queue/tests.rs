use futures_util::FutureExt as _;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A queue whose clock stands still.
struct Fixture {
    queue: Queue,
    now: Arc<Mutex<Instant>>,
}

impl Fixture {
    fn new(bounds: Bounds) -> Self {
        let now = Arc::new(Mutex::new(Instant::now()));
        let clock = Arc::clone(&now);
        Self {
            queue: Queue::with_clock(bounds, Box::new(move || *clock.lock().unwrap())),
            now,
        }
    }

    fn advance(&self, by: Duration) {
        *self.now.lock().unwrap() += by;
    }
}

impl std::ops::Deref for Fixture {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        &self.queue
    }
}

fn queue(workers: usize, bytes: u64) -> Fixture {
    Fixture::new(Bounds {
        workers,
        bytes,
        wait: Duration::ZERO,
    })
}

/// A job of a kind that has been learnt to take as long as estimated.
fn known(queue: &Fixture, work: Duration, left: Duration) -> Demand {
    let demand = Demand {
        work,
        deadline: Some(*queue.now.lock().unwrap() + left),
        ..Demand::default()
    };
    for _ in 0..10 {
        queue.learn(&demand, work);
    }
    demand
}

fn at_once(queue: &Queue, demand: Demand) -> Result<Turn, NoTime> {
    queue
        .turn(demand)
        .now_or_never()
        .expect("an answer at once")
}

#[tokio::test]
async fn refused_at_once_where_there_is_no_time() {
    let queue = queue(2, 0);
    let job = known(&queue, SECOND, 10 * SECOND);
    let _running = [at_once(&queue, job).unwrap(), at_once(&queue, job).unwrap()];
    let mut waiting = Vec::new();
    let refusal = loop {
        let mut turn = Box::pin(async { queue.turn(job).await.map(drop) });
        match (&mut turn).now_or_never() {
            None => waiting.push(turn),
            Some(answer) => break answer.unwrap_err(),
        }
    };
    // Two run, and 1.25 times the wait and the job itself have to fit into ten seconds.
    assert_eq!(waiting.len(), 13);
    assert_eq!(refusal.wait, SECOND * 15 / 2);
    assert_eq!(refusal.retry_after, 1);
    let error = Error::from(refusal);
    assert_eq!(
        (error.outcome().status, error.retry_after()),
        (503, Some(1))
    );
    assert_eq!((queue.waiting(), queue.work()), (13, 13 * SECOND));
    // Nobody had a short job yet, but there is time for one.
    let short = Demand {
        work: SECOND / 1000,
        ..job
    };
    assert_eq!(queue.check(&short), Ok(()));
    assert_eq!(queue.check(&job), Err(refusal));
    assert!(queue.turn(short).now_or_never().is_none());
}

#[tokio::test]
async fn what_is_not_known_is_not_refused() {
    let queue = queue(1, 0);
    let job = Demand {
        work: 100 * SECOND,
        deadline: Some(Instant::now() + SECOND),
        ..Demand::default()
    };
    let running = at_once(&queue, job).unwrap();
    let mut waiting = Box::pin(queue.turn(job));
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!(queue.check(&job), Ok(()));
    drop(running);
    assert!(waiting.now_or_never().unwrap().is_ok());
}

#[tokio::test]
async fn an_idle_worker_is_never_refused() {
    let queue = queue(1, 0);
    let job = known(&queue, 100 * SECOND, SECOND);
    assert_eq!(queue.check(&job), Ok(()));
    // Before its turn nothing is known to be hopeless: half of the time expected is more than what is left.
    let refusal = at_once(&queue, job);
    assert!(refusal.is_ok(), "{refusal:?}");
}

#[tokio::test]
async fn a_longest_wait_refuses_before_the_deadline_does() {
    let queue = Fixture::new(Bounds {
        workers: 1,
        bytes: 0,
        wait: 2 * SECOND,
    });
    let job = Demand {
        deadline: None,
        ..known(&queue, SECOND, SECOND)
    };
    let _running = at_once(&queue, job).unwrap();
    let mut first = Box::pin(queue.turn(job));
    let mut second = Box::pin(queue.turn(job));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(at_once(&queue, job).unwrap_err().wait, 3 * SECOND);
}

#[tokio::test]
async fn one_whose_time_has_run_out_is_not_begun() {
    let queue = queue(1, 0);
    let job = known(&queue, SECOND, 10 * SECOND);
    let running = at_once(&queue, job).unwrap();
    let mut waiting = Box::pin(queue.turn(job));
    assert!((&mut waiting).now_or_never().is_none());
    // The first takes far longer than expected.
    queue.advance(SECOND * 19 / 2 + SECOND / 10);
    drop(running);
    let refusal = waiting.now_or_never().unwrap().unwrap_err();
    assert!(refusal.wait > 9 * SECOND);
    assert_eq!((queue.running(), queue.waiting()), (0, 0));
}

#[tokio::test]
async fn where_expectations_fail_fewer_are_admitted() {
    let queue = queue(1, 0);
    let job = known(&queue, SECOND, 10 * SECOND);
    let admitted = |queue: &Fixture| {
        let job = Demand {
            deadline: Some(*queue.now.lock().unwrap() + 10 * SECOND),
            ..job
        };
        let mut turns = Vec::new();
        loop {
            let mut turn = Box::pin(async { queue.turn(job).await.map(drop) });
            match (&mut turn).now_or_never() {
                None => turns.push(turn),
                Some(answer) => {
                    answer.unwrap_err();
                    return turns.len();
                }
            }
        }
    };
    let running = at_once(&queue, job).unwrap();
    assert_eq!(admitted(&queue), 7);
    // All that wait are given up at their deadlines.
    for _ in 0..10 {
        let waiting = Demand {
            deadline: Some(*queue.now.lock().unwrap() + 10 * SECOND),
            ..job
        };
        let mut turn = Box::pin(queue.turn(waiting));
        assert!((&mut turn).now_or_never().is_none());
        queue.advance(10 * SECOND);
        drop(turn);
    }
    let fewer = admitted(&queue);
    assert!((4..7).contains(&fewer), "{fewer}");
    drop(running);
    // It is forgotten in time.
    for _ in 0..3000 {
        drop(at_once(&queue, job).unwrap());
        // So that the runtime lets this task go on.
        tokio::task::yield_now().await;
    }
    let _running = at_once(&queue, job).unwrap();
    assert_eq!(admitted(&queue), 7);
}

#[tokio::test]
async fn memory_bounds_what_runs() {
    let queue = queue(8, 100);
    let job = |bytes| Demand {
        bytes,
        ..Demand::default()
    };
    let first = at_once(&queue, job(60)).unwrap();
    let mut second = Box::pin(queue.turn(job(60)));
    assert!((&mut second).now_or_never().is_none());
    // In the same lane all wait for their turn; the order of arrival holds.
    let mut third = Box::pin(queue.turn(job(10)));
    assert!((&mut third).now_or_never().is_none());
    assert_eq!((queue.bytes(), queue.running()), (60, 1));
    drop(first);
    let second = second.now_or_never().unwrap().unwrap();
    let third = third.now_or_never().unwrap().unwrap();
    assert_eq!(queue.bytes(), 70);
    // One that never fits runs alone.
    let mut huge = Box::pin(queue.turn(job(1000)));
    assert!((&mut huge).now_or_never().is_none());
    drop(second);
    assert!((&mut huge).now_or_never().is_none());
    drop(third);
    let huge = huge.now_or_never().unwrap().unwrap();
    assert_eq!(queue.bytes(), 1000);
    drop(huge);
    assert_eq!((queue.bytes(), queue.running()), (0, 0));
}

#[tokio::test]
async fn who_leaves_lets_the_next_begin() {
    let queue = queue(2, 100);
    let job = |bytes| Demand {
        bytes,
        ..Demand::default()
    };
    let running = at_once(&queue, job(60)).unwrap();
    let mut large = Box::pin(queue.turn(job(60)));
    let mut small = Box::pin(queue.turn(job(10)));
    assert!((&mut large).now_or_never().is_none());
    assert!((&mut small).now_or_never().is_none());
    drop(large);
    let small = small.now_or_never().unwrap().unwrap();
    // A turn that nobody takes any more goes on to the next.
    let mut leaving = Box::pin(queue.turn(job(10)));
    let mut next = Box::pin(queue.turn(job(10)));
    assert!((&mut leaving).now_or_never().is_none());
    assert!((&mut next).now_or_never().is_none());
    drop(small);
    drop(leaving);
    assert!(next.now_or_never().unwrap().is_ok());
    drop(running);
    assert_eq!((queue.running(), queue.waiting()), (0, 0));
}

#[test]
fn seconds_to_come_back_after() {
    for (millis, expected) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (999_999, 60)] {
        assert_eq!(seconds(Duration::from_millis(millis)), expected, "{millis}");
    }
}
