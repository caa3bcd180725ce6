//! The memory tier: entries weighed by their bytes, the least useful go first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::{CacheKey, Cached, Kept, Purge};
use crate::monitoring::CacheState;

/// Entries in memory.
#[derive(Debug)]
pub(super) struct Memory<V: Cached> {
    entries: Entries<V>,
    evictions: Evictions,
}

type Entries<V> = Cache<CacheKey, Kept<V>, Bytes, DefaultHashBuilder, Evictions>;

impl<V: Cached> Memory<V> {
    /// A tier of `capacity` bytes; `None` for none.
    pub(super) fn new(capacity: u64) -> Option<Self> {
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
        let evictions = Evictions::default();
        let hasher = DefaultHashBuilder::default();
        Some(Self {
            entries: Cache::with_options(options, Bytes, hasher, evictions.clone()),
            evictions,
        })
    }

    pub(super) fn get(&self, key: &CacheKey) -> Option<Kept<V>> {
        self.entries.get(key)
    }

    pub(super) fn put(&self, key: CacheKey, kept: Kept<V>) {
        self.entries.insert(key, kept);
    }

    pub(super) fn remove(&self, key: &CacheKey) {
        self.entries.remove(key);
    }

    /// Removes what the purge is about. Looks at every entry: some milliseconds for the most that fit.
    pub(super) fn purge(&self, purge: &Purge) -> usize {
        let purged = AtomicUsize::new(0);
        self.entries.retain(|_, kept| {
            let goes = purge.is_about(&kept.tags);
            purged.fetch_add(usize::from(goes), Ordering::Relaxed);
            !goes
        });
        purged.into_inner()
    }

    pub(super) fn state(&self) -> CacheState {
        CacheState {
            entries: self.entries.len() as u64,
            bytes: self.entries.weight(),
            evictions: self.evictions.0.load(Ordering::Relaxed),
        }
    }
}

/// Weighs entries by their size in memory, as far as it is known.
#[derive(Clone, Copy, Debug)]
struct Bytes;

impl<V: Cached> Weighter<CacheKey, Kept<V>> for Bytes {
    fn weight(&self, _: &CacheKey, kept: &Kept<V>) -> u64 {
        let fixed = size_of::<CacheKey>() + size_of::<Kept<V>>() + kept.tags.source.len();
        // A weight of zero would exempt the entry from eviction.
        kept.value.weight().saturating_add(fixed as u64).max(1)
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
