//! Keeping results and sharing the work on them: identical requests that run at the same time are one job, whether or
//! not its result is kept. Rule: `spec/imgforge-original.md` section 5, `spec/http.md` section 14.
//!
//! Owns keys, storage and the hand-over between requests. It knows bytes and weights, not images, and keeps no errors.

mod flight;
mod key;
mod single_flight;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

pub use self::flight::{LeadGuard, Lookup};
pub use self::key::{CacheKey, KeyParts};
pub use self::single_flight::{Lead, Seat, SingleFlight, Turn};

use self::flight::Flights;
use crate::config::CacheConfig;
use crate::config::cache::CacheType;

/// What a cache can hold.
pub trait Weighted: Clone + Send + Sync + 'static {
    /// Size in bytes: body and headers.
    fn weight(&self) -> u64;

    /// Whether the value may still be served. A value that may not is dropped at its next lookup.
    fn is_fresh(&self) -> bool {
        true
    }
}

/// Results by request. Clones share one cache.
#[derive(Debug)]
pub struct ResultCache<V: Weighted> {
    inner: Arc<Inner<V>>,
}

impl<V: Weighted> Clone for ResultCache<V> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

#[derive(Debug)]
struct Inner<V: Weighted> {
    store: Option<Store<V>>,
    evictions: Evictions,
    flights: Flights<V>,
}

type Store<V> = Cache<CacheKey, V, Bytes, DefaultHashBuilder, Evictions>;

impl<V: Weighted> ResultCache<V> {
    /// A cache of the configured kind and size. Without a kind or a size nothing is kept, but work is still shared.
    pub fn new(config: &CacheConfig) -> Self {
        let evictions = Evictions::default();
        let capacity = match config.kind {
            CacheType::Off => 0,
            CacheType::Memory => config.memory_capacity,
        };
        Self {
            inner: Arc::new(Inner {
                store: store(capacity, evictions.clone()),
                evictions,
                flights: Flights::default(),
            }),
        }
    }

    /// The value of `key`, or the duty to make it, or the outcome of a request that is already making it.
    ///
    /// Dropping the future leaves the queue; a deadline of the caller's is applied that way.
    pub async fn get_or_lead(&self, key: CacheKey) -> Lookup<V> {
        if let Some(value) = self.get(&key) {
            return Lookup::Hit(value);
        }
        flight::join(self, key).await
    }

    /// The value of `key` if it is there and fresh.
    pub fn get(&self, key: &CacheKey) -> Option<V> {
        let store = self.inner.store.as_ref()?;
        let value = store.get(key)?;
        if value.is_fresh() {
            return Some(value);
        }
        store.remove_if(key, |value| !value.is_fresh());
        None
    }

    /// Number of kept results.
    pub fn entries(&self) -> usize {
        self.inner.store.as_ref().map_or(0, Cache::len)
    }

    /// Weight of the kept results in bytes.
    pub fn bytes(&self) -> u64 {
        self.inner.store.as_ref().map_or(0, Cache::weight)
    }

    /// Results that were pushed out by others or were too large to be kept, since the start.
    pub fn evictions(&self) -> u64 {
        self.inner.evictions.0.load(Ordering::Relaxed)
    }

    /// Jobs that are running now.
    pub fn running(&self) -> usize {
        self.inner.flights.len()
    }

    fn keep(&self, key: CacheKey, value: V) {
        if let Some(store) = &self.inner.store
            && value.is_fresh()
        {
            store.insert(key, value);
        }
    }
}

fn store<V: Weighted>(capacity: u64, evictions: Evictions) -> Option<Store<V>> {
    if capacity == 0 {
        return None;
    }
    let entries = usize::try_from(capacity / AVERAGE_WEIGHT).unwrap_or(usize::MAX);
    let options = OptionsBuilder::new()
        .shards(SHARDS)
        .estimated_items_capacity(entries.clamp(1, MOST_ENTRIES))
        .weight_capacity(capacity)
        .build()
        .ok()?;
    let hasher = DefaultHashBuilder::default();
    Some(Cache::with_options(options, Bytes, hasher, evictions))
}

/// Weighs entries by their size in memory, as far as it is known.
#[derive(Clone, Copy, Debug)]
struct Bytes;

impl<V: Weighted> Weighter<CacheKey, V> for Bytes {
    fn weight(&self, _: &CacheKey, value: &V) -> u64 {
        let fixed = size_of::<CacheKey>() + size_of::<V>();
        // A weight of zero would exempt the entry from eviction.
        value.weight().saturating_add(fixed as u64).max(1)
    }
}

/// Counts entries that had to go.
#[derive(Clone, Debug, Default)]
struct Evictions(Arc<AtomicU64>);

impl<V> Lifecycle<CacheKey, V> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: CacheKey, _: V) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A shard refuses entries above its own share, so few shards make room for large results: with two, a quarter of the
/// capacity always fits.
const SHARDS: usize = 2;
/// Guess that sizes the tables; results are thumbnails more often than not.
const AVERAGE_WEIGHT: u64 = 32 * 1024;
const MOST_ENTRIES: usize = 1 << 20;
