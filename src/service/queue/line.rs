//! Who is next, and how much work goes before a newcomer. Pure: the time is an argument.
//!
//! Jobs of like cost stand in one lane, in the order of arrival. Lanes that somebody waits in get equal shares of the
//! workers' time, so that cheap jobs pass expensive ones without ever starving them. (Start-time fair queueing.)

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::scales::Prediction;

/// A job that waits; `T` is told of its turn.
#[derive(Debug)]
pub(super) struct Ticket<T> {
    pub(super) id: u64,
    pub(super) prediction: Prediction,
    /// Bytes of memory that it takes while it runs.
    pub(super) bytes: u64,
    pub(super) deadline: Option<Instant>,
    pub(super) arrived: Instant,
    pub(super) holder: T,
}

impl<T> Ticket<T> {
    /// Whether it has waited until it could not be done in time even if it took half of the time that is expected. One
    /// that need not wait gets its chance, so that a wrong expectation does not last.
    fn is_hopeless(&self, now: Instant) -> bool {
        let end = now + self.prediction.known() / 2;
        now > self.arrived && self.deadline.is_some_and(|deadline| end > deadline)
    }
}

/// The lanes.
#[derive(Debug)]
pub(super) struct Line<T> {
    lanes: [Lane<T>; LANES],
    /// Share of the lane that was served last.
    clock: Duration,
}

#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<Ticket<T>>,
    /// Work of those that wait, as far as it is known.
    work: Duration,
    /// Work that it has been given, counted from where the others were when somebody began to wait in it.
    served: Duration,
    pace: Pace,
    /// Since when its first does not fit into memory.
    blocked: Option<Instant>,
}

/// The next ticket.
#[derive(Debug)]
pub(super) enum Next<T> {
    /// Its turn.
    Turn(Ticket<T>),
    /// It has waited in vain: there is no time left for it.
    TooLate(Ticket<T>),
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        let lane = || Lane {
            waiting: VecDeque::new(),
            work: Duration::ZERO,
            served: Duration::ZERO,
            pace: Pace::default(),
            blocked: None,
        };
        Self {
            lanes: std::array::from_fn(|_| lane()),
            clock: Duration::ZERO,
        }
    }
}

impl<T> Line<T> {
    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiting.len()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.waiting.is_empty())
    }

    /// Work of all that wait, as far as it is known.
    pub(super) fn work(&self) -> Duration {
        self.lanes.iter().map(|lane| lane.work).sum()
    }

    pub(super) fn push(&mut self, ticket: Ticket<T>) {
        let clock = self.clock;
        if let Some(lane) = self.lanes.get_mut(lane_of(ticket.prediction.work)) {
            if lane.waiting.is_empty() {
                lane.served = lane.served.max(clock);
                lane.pace = Pace {
                    last: Some(ticket.arrived),
                    ..Pace::default()
                };
            }
            lane.work += ticket.prediction.known();
            lane.waiting.push_back(ticket);
        }
    }

    /// Takes one out that does not wait any more.
    pub(super) fn remove(&mut self, id: u64) -> Option<Ticket<T>> {
        self.lanes.iter_mut().find_map(|lane| {
            let position = lane.waiting.iter().position(|ticket| ticket.id == id)?;
            lane.take(position)
        })
    }

    /// The next for which `fits` says that there is memory. Who does not fit is passed for a while, then all wait.
    pub(super) fn next(&mut self, now: Instant, fits: impl Fn(u64) -> bool) -> Option<Next<T>> {
        let mut order: Vec<usize> = (0..LANES).collect();
        order.sort_by_key(|&lane| self.lanes.get(lane).map(|lane| lane.served));
        for index in order {
            let Some(lane) = self.lanes.get_mut(index) else {
                continue;
            };
            let Some(first) = lane.waiting.front() else {
                continue;
            };
            if first.is_hopeless(now) {
                return lane.take(0).map(Next::TooLate);
            }
            if !fits(first.bytes) {
                if now - *lane.blocked.get_or_insert(now) > PATIENCE {
                    return None;
                }
                continue;
            }
            self.clock = self.clock.max(lane.served);
            lane.served += first.prediction.work;
            lane.pace.learn(first.prediction.known(), now);
            return lane.take(0).map(Next::Turn);
        }
        None
    }

    /// How long a newcomer of this cost waits at the pace at which its lane has been served of late; zero where that is not
    /// known.
    pub(super) fn wait_by_pace(&self, work: Duration, now: Instant) -> Duration {
        self.lanes
            .get(lane_of(work))
            .map_or(Duration::ZERO, |lane| lane.pace.wait(lane.work, now))
    }

    /// Work that goes before a newcomer of this cost.
    pub(super) fn work_before(&self, work: Duration) -> Duration {
        let index = lane_of(work);
        let Some(own) = self.lanes.get(index) else {
            return Duration::ZERO;
        };
        let begin = if own.waiting.is_empty() {
            own.served.max(self.clock)
        } else {
            own.served
        };
        let until = begin + own.work;
        let others = self.lanes.iter().enumerate().filter(|(i, _)| *i != index);
        own.work
            + others
                .map(|(_, lane)| lane.work.min(until.saturating_sub(lane.served)))
                .sum::<Duration>()
    }
}

impl<T> Lane<T> {
    fn take(&mut self, position: usize) -> Option<Ticket<T>> {
        if position == 0 {
            self.blocked = None;
        }
        let ticket = self.waiting.remove(position)?;
        self.work = self.work.saturating_sub(ticket.prediction.known());
        Some(ticket)
    }
}

/// How fast a lane in which somebody waits is served: the work that was begun, and the time that passed meanwhile.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    work: f64,
    time: f64,
    /// When the last one was begun, or the first one came after whom somebody always waited.
    last: Option<Instant>,
}

impl Pace {
    fn learn(&mut self, work: Duration, now: Instant) {
        let passed = self.last.map_or(0.0, |last| (now - last).as_secs_f64());
        let kept = (-passed / MEMORY.as_secs_f64()).exp();
        self.work = self.work * kept + work.as_secs_f64();
        self.time = self.time * kept + passed;
        self.last = Some(now);
    }

    fn wait(&self, work: Duration, now: Instant) -> Duration {
        let is_recent = self.last.is_some_and(|last| now - last < MEMORY);
        if !is_recent || self.time < EVIDENCE.as_secs_f64() || self.work <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(work.as_secs_f64() * self.time / self.work).unwrap_or_default()
    }
}

/// Jobs of up to 8 ms, 32 ms, 128 ms, 512 ms, and longer ones.
const LANES: usize = 5;

fn lane_of(work: Duration) -> usize {
    (1..LANES)
        .take_while(|&lane| work > lower_bound(lane))
        .count()
}

/// Jobs of a lane take longer than this.
fn lower_bound(lane: usize) -> Duration {
    match lane {
        0 => Duration::ZERO,
        lane => Duration::from_millis(2 << (2 * lane)),
    }
}

/// For so long others may pass one that waits for memory.
const PATIENCE: Duration = Duration::from_millis(500);
/// So far back a pace goes.
const MEMORY: Duration = Duration::from_secs(2);
/// So long a lane has to be served before its pace is believed.
const EVIDENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    struct Fixture {
        line: Line<&'static str>,
        start: Instant,
        ids: u64,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                line: Line::default(),
                start: Instant::now(),
                ids: 0,
            }
        }

        fn push(&mut self, name: &'static str, millis: u32) -> u64 {
            self.push_large(name, millis, 0)
        }

        fn push_large(&mut self, name: &'static str, millis: u32, bytes: u64) -> u64 {
            self.ids += 1;
            self.line.push(Ticket {
                id: self.ids,
                prediction: Prediction {
                    work: MS * millis,
                    is_learnt: true,
                },
                bytes,
                deadline: Some(self.start + Duration::from_secs(10)),
                arrived: self.start,
                holder: name,
            });
            self.ids
        }

        fn next(&mut self) -> Option<&'static str> {
            self.next_at(Duration::ZERO, |_| true)
        }

        fn next_at(&mut self, at: Duration, fits: impl Fn(u64) -> bool) -> Option<&'static str> {
            match self.line.next(self.start + at, fits)? {
                Next::Turn(ticket) => Some(ticket.holder),
                Next::TooLate(_) => Some("too late"),
            }
        }
    }

    #[test]
    fn lanes() {
        for (millis, lane) in [
            (0, 0),
            (8, 0),
            (9, 1),
            (32, 1),
            (128, 2),
            (513, 4),
            (99_999, 4),
        ] {
            assert_eq!(lane_of(MS * millis), lane, "{millis}");
        }
    }

    #[test]
    fn like_costs_are_served_in_the_order_of_arrival() {
        let mut all = Fixture::new();
        for (name, millis) in [("a", 20), ("b", 30), ("c", 10), ("d", 32)] {
            all.push(name, millis);
        }
        let order: Vec<_> = std::iter::from_fn(|| all.next()).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
        assert_eq!((all.line.len(), all.line.work()), (0, Duration::ZERO));
    }

    #[test]
    fn a_cheap_job_passes_expensive_ones() {
        let mut all = Fixture::new();
        for name in ["one", "two", "three", "four"] {
            all.push(name, 2000);
        }
        assert_eq!(all.next(), Some("one"));
        all.push("cheap", 5);
        assert_eq!(all.line.work_before(MS * 5), MS * 5);
        assert_eq!(all.next(), Some("cheap"));
        assert_eq!(all.next(), Some("two"));
    }

    #[test]
    fn an_endless_stream_of_cheap_jobs_starves_nobody() {
        let mut all = Fixture::new();
        all.push("expensive", 600);
        all.push("expensive", 600);
        let mut cheap = 0;
        let mut turns = Vec::new();
        while turns.len() < 2 {
            all.push("cheap", 6);
            match all.next() {
                Some("cheap") => cheap += 1,
                _ => turns.push(cheap),
            }
            assert!(cheap < 1000);
        }
        // One cheap job goes first, then as much time for the cheap ones as the expensive one was given.
        assert!(turns[0] <= 2, "{turns:?}");
        assert!((90..=110).contains(&(turns[1] - turns[0])), "{turns:?}");
    }

    #[test]
    fn a_lane_that_was_empty_has_saved_nothing_up() {
        let mut all = Fixture::new();
        for _ in 0..100 {
            all.push("medium", 20);
            all.next();
        }
        for _ in 0..3 {
            all.push("expensive", 600);
            all.push("medium", 20);
        }
        let order: Vec<_> = std::iter::from_fn(|| all.next()).take(3).collect();
        assert_eq!(order.iter().filter(|name| **name == "expensive").count(), 1);
    }

    #[test]
    fn the_work_before_a_newcomer() {
        let mut all = Fixture::new();
        assert_eq!(all.line.work_before(MS * 20), Duration::ZERO);
        all.push("medium", 20);
        all.push("medium", 20);
        all.push("expensive", 1000);
        // Its own lane, and of the other as much as the lane is given meanwhile.
        assert_eq!(all.line.work_before(MS * 20), MS * 80);
        // A lane of its own, which everybody else was before.
        assert_eq!(all.line.work_before(MS * 5), Duration::ZERO);
        assert_eq!(all.line.work_before(MS * 1000), MS * 1040);
    }

    #[test]
    fn who_leaves_makes_room() {
        let mut all = Fixture::new();
        let first = all.push("first", 20);
        all.push("second", 30);
        assert_eq!(all.line.remove(first).unwrap().holder, "first");
        assert!(all.line.remove(first).is_none());
        assert_eq!((all.line.len(), all.line.work()), (1, MS * 30));
        assert_eq!(all.next(), Some("second"));
    }

    #[test]
    fn one_that_has_no_time_left_is_not_begun() {
        let mut all = Fixture::new();
        all.push("short", 5);
        all.push("long", 2000);
        let late = Duration::from_millis(9500);
        assert_eq!(all.next_at(late, |_| true), Some("short"));
        assert_eq!(all.next_at(late, |_| true), Some("too late"));
        assert_eq!(all.next_at(late, |_| true), None);
    }

    #[test]
    fn who_does_not_fit_is_passed_for_a_while_only() {
        let mut all = Fixture::new();
        let small = |bytes| bytes <= 10;
        all.push_large("large", 5, 100);
        all.push_large("small", 20, 10);
        all.push_large("small", 20, 10);
        assert_eq!(all.next_at(Duration::ZERO, small), Some("small"));
        assert_eq!(all.next_at(MS * 501, small), None);
        assert_eq!(all.next_at(MS * 501, |_| true), Some("large"));
        assert_eq!(all.next_at(MS * 501, small), Some("small"));
    }

    #[test]
    fn the_pace_of_a_lane() {
        let mut all = Fixture::new();
        for _ in 0..200 {
            all.push("job", 20);
        }
        let wait = |all: &Fixture, at| all.line.wait_by_pace(MS * 20, all.start + at);
        assert_eq!(wait(&all, Duration::ZERO), Duration::ZERO);
        // One begins every 30 ms: half as fast again as by their work.
        for turn in 1..=100 {
            all.next_at(MS * 30 * turn, |_| true);
        }
        let half = wait(&all, MS * 3000);
        assert!(half.abs_diff(MS * 3000) < MS * 30, "{half:?}");
        // Then it is served twice as fast, which is known after two seconds or so.
        for turn in 1..=90 {
            all.next_at(MS * (3000 + 15 * turn), |_| true);
        }
        let rest = wait(&all, MS * 4350);
        assert!((MS * 150..MS * 240).contains(&rest), "{rest:?}");
        // What was long ago says nothing.
        assert_eq!(wait(&all, MS * 4350 + MEMORY), Duration::ZERO);
        assert_eq!(all.line.wait_by_pace(MS * 2000, all.start), Duration::ZERO);
    }
}
