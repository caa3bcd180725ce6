//! One job for identical requests that run at the same time.
//!
//! The first request leads, the others follow. A leader that leaves without an outcome of its own hands over to the
//! follower that has waited longest; an outcome is given to the followers of that moment and kept nowhere.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::{CacheKey, ResultCache, Weighted};
use crate::{Error, Kind};

/// How a request takes part.
#[derive(Debug)]
pub enum Lookup<V: Weighted> {
    /// The value was kept from an earlier request.
    Hit(V),
    /// This request has to make the value.
    Lead(LeadGuard<V>),
    /// Another request has made the value, or has failed in a way that this one would share.
    Shared(Result<V, Error>),
}

/// The duty to make a value. Dropping it hands the duty over to the next follower.
#[derive(Debug)]
pub struct LeadGuard<V: Weighted> {
    /// `None` once the duty is done or passed on.
    cache: Option<ResultCache<V>>,
    key: CacheKey,
}

impl<V: Weighted> LeadGuard<V> {
    /// Keeps the value and gives it to all followers.
    pub fn complete(mut self, value: V) {
        if let Some(cache) = self.cache.take() {
            // Kept first, so that a request that comes between finds it.
            cache.keep(self.key, value.clone());
            cache.inner.flights.end(&self.key, &Ok(value));
        }
    }

    /// Gives the value to all followers without keeping it.
    pub fn complete_unkept(mut self, value: V) {
        if let Some(cache) = self.cache.take() {
            cache.inner.flights.end(&self.key, &Ok(value));
        }
    }

    /// Ends with an error. One that is about this request only – its deadline, its client, its turn in the queue –
    /// leaves the work to the next follower; any other is shared.
    pub fn fail(mut self, error: Error) {
        if matches!(
            error.kind(),
            Kind::Timeout | Kind::Cancelled | Kind::QueueFull
        ) {
            return;
        }
        if let Some(cache) = self.cache.take() {
            cache.inner.flights.end(&self.key, &Err(error));
        }
    }
}

impl<V: Weighted> Drop for LeadGuard<V> {
    fn drop(&mut self) {
        if let Some(cache) = self.cache.take() {
            hand_over(&cache, self.key);
        }
    }
}

/// Becomes the leader of `key` or waits for the one there is.
pub(super) async fn join<V: Weighted>(cache: &ResultCache<V>, key: CacheKey) -> Lookup<V> {
    let outcome = {
        let mut flights = cache.inner.flights.lock();
        match flights.entry(key) {
            Entry::Vacant(vacant) => {
                // A leader may have finished since the caller looked.
                if let Some(value) = cache.get(&key) {
                    return Lookup::Hit(value);
                }
                vacant.insert(VecDeque::new());
                return Lookup::Lead(LeadGuard {
                    cache: Some(cache.clone()),
                    key,
                });
            }
            Entry::Occupied(mut occupied) => {
                let (sender, receiver) = oneshot::channel();
                let followers = occupied.get_mut();
                followers.retain(|follower| !follower.is_closed());
                followers.push_back(sender);
                receiver
            }
        }
    };
    match outcome.await {
        Ok(Message::Outcome(outcome)) => Lookup::Shared(outcome),
        Ok(Message::Lead(guard)) => Lookup::Lead(guard),
        // The leader always sends something; a lost sender must still not become a hang or a panic.
        Err(_) => Lookup::Shared(Err(Error::new(Kind::Internal, "shared job was lost"))),
    }
}

fn hand_over<V: Weighted>(cache: &ResultCache<V>, key: CacheKey) {
    let mut guard = LeadGuard {
        cache: Some(cache.clone()),
        key,
    };
    loop {
        let follower = {
            let mut flights = cache.inner.flights.lock();
            let follower = flights.get_mut(&key).and_then(VecDeque::pop_front);
            if follower.is_none() {
                flights.remove(&key);
            }
            follower
        };
        let Some(follower) = follower else {
            guard.cache = None;
            return;
        };
        // A follower that leaves after this drops the guard and thereby hands over again.
        match follower.send(Message::Lead(guard)) {
            Ok(()) => return,
            Err(Message::Lead(returned)) => guard = returned,
            Err(Message::Outcome(_)) => return,
        }
    }
}

/// Running jobs and who waits for them, in order of arrival.
#[derive(Debug)]
pub(super) struct Flights<V: Weighted>(Mutex<Followers<V>>);

type Followers<V> = HashMap<CacheKey, VecDeque<oneshot::Sender<Message<V>>>>;

#[derive(Debug)]
enum Message<V: Weighted> {
    Outcome(Result<V, Error>),
    Lead(LeadGuard<V>),
}

impl<V: Weighted> Default for Flights<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Weighted> Flights<V> {
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn end(&self, key: &CacheKey, outcome: &Result<V, Error>) {
        let followers = self.lock().remove(key).unwrap_or_default();
        for follower in followers {
            // A follower that has left needs no outcome.
            drop(follower.send(Message::Outcome(outcome.clone())));
        }
    }

    /// No code that can panic runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Followers<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
