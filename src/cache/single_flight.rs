//! One piece of work for requests that need it at the same time.
//!
//! A request takes a seat when it knows what it needs, and its turn when it may work. The first turn leads; whoever else
//! has a seat by the time the outcome lands is given it, however late its own turn comes. A leader that leaves without an
//! outcome hands over to the one that has waited longest. An outcome lives as long as its seats and is kept nowhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::CacheKey;

/// Work that runs or is about to run, by what it makes. `S` is what its seats know of it before it has landed. Clones
/// share it.
#[derive(Debug)]
pub struct SingleFlight<T, S = ()>(Arc<Mutex<Open<T, S>>>);

type Open<T, S> = HashMap<CacheKey, Flight<T, S>>;

/// One piece of work that can be joined.
#[derive(Debug)]
struct Flight<T, S> {
    work: Arc<Work<T, S>>,
    seats: usize,
}

#[derive(Debug)]
struct Work<T, S> {
    outcome: tokio::sync::Mutex<Option<T>>,
    state: S,
}

impl<T, S> Clone for SingleFlight<T, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T, S> Default for SingleFlight<T, S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T, S: Default> SingleFlight<T, S> {
    /// Takes a seat among those that need the work `key`.
    pub fn join(&self, key: CacheKey) -> Seat<T, S> {
        let mut open = self.lock();
        let flight = open.entry(key).or_insert_with(|| Flight {
            work: Arc::new(Work {
                outcome: tokio::sync::Mutex::new(None),
                state: S::default(),
            }),
            seats: 0,
        });
        flight.seats += 1;
        Seat {
            flights: self.clone(),
            key,
            work: Arc::clone(&flight.work),
        }
    }
}

impl<T, S> SingleFlight<T, S> {
    /// Whether somebody has a seat for the work `key`.
    pub fn is_open(&self, key: &CacheKey) -> bool {
        self.lock().contains_key(key)
    }

    /// Lets no further request join the work that is under way; those that have joined are not affected.
    pub fn close_all(&self) {
        self.lock().clear();
    }

    /// Pieces of work that can be joined now.
    pub fn running(&self) -> usize {
        self.lock().len()
    }

    /// Closes the flight of a seat, if it is still open and `ends` says so.
    fn leave(&self, seat: &Seat<T, S>, ends: impl FnOnce(&mut Flight<T, S>) -> bool) {
        let mut open = self.lock();
        let own = open
            .get_mut(&seat.key)
            .filter(|flight| Arc::ptr_eq(&flight.work, &seat.work));
        if own.is_some_and(ends) {
            open.remove(&seat.key);
        }
    }

    /// No code that can panic runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Open<T, S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those that share one piece of work.
#[derive(Debug)]
pub struct Seat<T, S = ()> {
    flights: SingleFlight<T, S>,
    key: CacheKey,
    work: Arc<Work<T, S>>,
}

/// What a seat's turn brings.
#[derive(Debug)]
pub enum Turn<'a, T, S = ()> {
    /// The duty to do the work.
    Lead(Lead<'a, T, S>),
    /// Another seat's outcome.
    Follow(T),
}

impl<T, S> Seat<T, S> {
    /// What all seats of this piece of work know of it.
    pub fn state(&self) -> &S {
        &self.work.state
    }
}

impl<T: Clone, S> Seat<T, S> {
    /// Waits for the outcome, or for the duty to bring it about. Dropping the future keeps the seat.
    pub async fn turn(&self) -> Turn<'_, T, S> {
        let outcome = &self.work.outcome;
        let (place, handed_over) = match outcome.try_lock() {
            Ok(place) => (place, false),
            Err(_) => (outcome.lock().await, true),
        };
        match &*place {
            Some(outcome) => Turn::Follow(outcome.clone()),
            None => Turn::Lead(Lead {
                seat: self,
                place,
                handed_over,
            }),
        }
    }
}

impl<T, S> Drop for Seat<T, S> {
    fn drop(&mut self) {
        self.flights.leave(self, |flight| {
            flight.seats -= 1;
            flight.seats == 0
        });
    }
}

/// The duty to do the work. Dropping it hands the duty over.
#[derive(Debug)]
#[must_use = "dropping it hands the duty over"]
pub struct Lead<'a, T, S = ()> {
    seat: &'a Seat<T, S>,
    place: tokio::sync::MutexGuard<'a, Option<T>>,
    handed_over: bool,
}

impl<T, S> Lead<'_, T, S> {
    /// Whether another one had the duty when this seat's turn began.
    pub fn was_handed_over(&self) -> bool {
        self.handed_over
    }

    /// Gives the outcome to every seat. A request that comes later begins anew.
    pub fn land(mut self, outcome: T) {
        self.seat.flights.leave(self.seat, |_| true);
        *self.place = Some(outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(text: &str) -> CacheKey {
        CacheKey::of(&[text.as_bytes()])
    }

    async fn lead<'a>(seat: &'a Seat<u32>) -> Lead<'a, u32> {
        match seat.turn().await {
            Turn::Lead(lead) => lead,
            Turn::Follow(outcome) => panic!("{outcome}"),
        }
    }

    async fn followed(seat: &Seat<u32>) -> u32 {
        match seat.turn().await {
            Turn::Follow(outcome) => outcome,
            Turn::Lead(lead) => panic!("{lead:?}"),
        }
    }

    #[tokio::test]
    async fn whoever_has_a_seat_gets_the_outcome_and_nobody_later() {
        let flights = SingleFlight::<u32>::default();
        let (first, second) = (flights.join(key("a")), flights.join(key("a")));
        let other = flights.join(key("b"));
        assert_eq!(flights.running(), 2);
        lead(&first).await.land(1);
        assert!(!flights.is_open(&key("a")) && flights.is_open(&key("b")));
        lead(&other).await.land(2);
        drop(first);
        let late = flights.join(key("a"));
        assert_eq!(followed(&second).await, 1);
        lead(&late).await.land(3);
        assert_eq!(followed(&second).await, 1);
        assert_eq!(flights.running(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_thousand_followers_are_one_piece_of_work() {
        let flights = SingleFlight::<u32>::default();
        let seat = flights.join(key("a"));
        let duty = lead(&seat).await;
        let mut followers = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let seat = flights.join(key("a"));
            followers.spawn(async move { followed(&seat).await });
        }
        duty.land(7);
        assert!(
            followers
                .join_all()
                .await
                .iter()
                .all(|outcome| *outcome == 7)
        );
        drop(seat);
        assert_eq!(flights.running(), 0);
    }

    #[tokio::test]
    async fn a_leader_that_leaves_hands_over_in_order_of_arrival() {
        let flights = SingleFlight::<u32>::default();
        let seats: Vec<_> = (0..3).map(|_| flights.join(key("a"))).collect();
        let [first, second, third] = &seats[..] else {
            panic!("three seats");
        };
        let duty = lead(first).await;
        assert!(!duty.was_handed_over());
        let (mut next, mut last) = (Box::pin(second.turn()), Box::pin(third.turn()));
        assert!(futures_util::poll!(&mut next).is_pending());
        assert!(futures_util::poll!(&mut last).is_pending());
        drop(duty);
        // The second has been woken but leaves before it looks.
        drop(next);
        let Turn::Lead(duty) = last.await else {
            panic!("no hand-over");
        };
        assert!(duty.was_handed_over());
        drop(duty);
        assert_eq!(flights.running(), 1);
        drop(seats);
        assert_eq!(flights.running(), 0);
    }

    #[tokio::test]
    async fn followers_keep_their_own_deadlines() {
        let flights = SingleFlight::<u32>::default();
        let (first, second) = (flights.join(key("a")), flights.join(key("a")));
        let duty = lead(&first).await;
        let waiting = tokio::time::timeout(Duration::from_millis(20), second.turn());
        assert!(waiting.await.is_err());
        duty.land(1);
        assert_eq!(followed(&second).await, 1);
    }

    #[tokio::test]
    async fn what_is_closed_cannot_be_joined() {
        let flights = SingleFlight::<u32>::default();
        let (first, second) = (flights.join(key("a")), flights.join(key("a")));
        let duty = lead(&first).await;
        flights.close_all();
        let third = flights.join(key("a"));
        duty.land(1);
        assert_eq!(followed(&second).await, 1);
        assert_eq!(
            flights.running(),
            1,
            "the new one is not taken down by the old"
        );
        lead(&third).await.land(2);
    }
}
