//! One cache: memory, disk, or memory in front of a disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, Stored};
use super::memory::Memory;
use super::purge::Epochs;
use super::{CacheKey, Cached, Epoch, Kept, Purge, State};
use crate::config::cache::{CacheType, StoreConfig};
use crate::monitoring::{self, CacheKind};

/// The labels of a cache in the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Labels {
    /// The memory tier.
    pub memory: CacheKind,
    /// The disk tier.
    pub disk: CacheKind,
    /// Look-ups where both are on.
    pub hybrid: CacheKind,
    /// Folder below the configured one.
    pub folder: &'static str,
}

/// The cache of results.
pub const RESULTS: Labels = Labels {
    memory: CacheKind::Memory,
    disk: CacheKind::Disk,
    hybrid: CacheKind::Hybrid,
    folder: "results",
};

/// The cache of sources.
pub const SOURCES: Labels = Labels {
    memory: CacheKind::SourceMemory,
    disk: CacheKind::SourceDisk,
    hybrid: CacheKind::SourceHybrid,
    folder: "sources",
};

/// Entries by key. Clones share one cache.
#[derive(Debug)]
pub struct Store<V: Cached>(Arc<Inner<V>>);

impl<V: Cached> Clone for Store<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<V: Cached> {
    kind: Option<CacheKind>,
    labels: Labels,
    memory: Option<Memory<V>>,
    disk: Option<Disk>,
    /// What is being written to the disk and can be had from nowhere else.
    writing: Mutex<HashMap<CacheKey, Kept<V>>>,
    epochs: Epochs,
}

impl<V: Cached> Store<V> {
    /// Opens the tiers that are configured; to be called inside the runtime. Says to the metrics what it holds.
    pub fn open(config: &StoreConfig, labels: Labels) -> Self {
        let (in_memory, on_disk) = match config.kind {
            CacheType::Off => (false, false),
            CacheType::Memory => (true, false),
            CacheType::Disk => (false, true),
            CacheType::Hybrid => (true, true),
        };
        let capacity = config.memory_capacity;
        let memory = in_memory.then(|| Memory::new(capacity)).flatten();
        let root = config.disk_path.as_ref().filter(|_| on_disk);
        let disk = root
            .map(|root| Disk::open(root.join(labels.folder), config.disk_capacity, labels.disk));
        let store = Self(Arc::new(Inner {
            kind: match config.kind {
                CacheType::Off => None,
                CacheType::Memory => Some(labels.memory),
                CacheType::Disk => Some(labels.disk),
                CacheType::Hybrid => Some(labels.hybrid),
            },
            labels,
            memory,
            disk,
            writing: Mutex::default(),
            epochs: Epochs::default(),
        }));
        if store.0.memory.is_some() {
            let inner = Arc::downgrade(&store.0);
            monitoring::set_cache_probe(labels.memory, move || {
                let inner = inner.upgrade();
                inner
                    .and_then(|inner| Some(inner.memory.as_ref()?.state()))
                    .unwrap_or_default()
            });
        }
        if let Some(disk) = store.0.disk.clone() {
            monitoring::set_cache_probe(labels.disk, move || disk.state());
        }
        store
    }

    /// Whether anything is kept.
    pub fn is_on(&self) -> bool {
        self.0.kind.is_some()
    }

    /// The label of its look-ups; `None` where nothing is kept.
    pub fn kind(&self) -> Option<CacheKind> {
        self.0.kind
    }

    /// The labels of its tiers.
    pub fn tiers(&self) -> impl Iterator<Item = CacheKind> {
        let Inner {
            labels,
            memory,
            disk,
            ..
        } = &*self.0;
        let memory = memory.as_ref().map(|_| labels.memory);
        memory.into_iter().chain(disk.as_ref().map(|_| labels.disk))
    }

    /// Counts a look-up.
    pub fn count(&self, hit: bool) {
        match (self.0.kind, hit) {
            (None, _) => {}
            (Some(kind), true) => monitoring::cache_hit(kind),
            (Some(kind), false) => monitoring::cache_miss(kind),
        }
    }

    /// The entry `key`, fresh or not. One from the disk moves up into the memory.
    pub async fn get(&self, key: &CacheKey) -> Option<Kept<V>> {
        if let Some(kept) = self.peek(key) {
            return Some(kept);
        }
        let epoch = self.epoch();
        let disk = self.0.disk.as_ref()?;
        let Stored {
            tags,
            lifetime,
            description,
            body,
        } = disk.get(*key).await?;
        let kept = Kept {
            value: V::restore(&description, body)?,
            lifetime,
            tags,
        };
        self.keep_in_memory(*key, &kept, &epoch);
        Some(kept)
    }

    /// The entry `key` where no disk has to be asked.
    pub fn peek(&self, key: &CacheKey) -> Option<Kept<V>> {
        let kept = self.0.memory.as_ref().and_then(|memory| memory.get(key));
        kept.or_else(|| self.0.writing().get(key).cloned())
    }

    /// The entry `key` where no disk has to be asked and it is fresh.
    pub fn peek_fresh(&self, key: &CacheKey) -> Option<Kept<V>> {
        self.peek(key)
            .filter(|kept| kept.lifetime.state() == State::Fresh)
    }

    /// The present moment, for what is begun now and put later.
    pub fn epoch(&self) -> Epoch {
        self.0.epochs.now()
    }

    /// Keeps an entry, unless a purge has come since `epoch`. A disk is written to in the background.
    pub fn put(&self, key: CacheKey, kept: Kept<V>, epoch: Epoch) {
        self.keep_in_memory(key, &kept, &epoch);
        let Some(disk) = self.0.disk.clone() else {
            return;
        };
        let stored = Stored {
            tags: kept.tags.clone(),
            lifetime: kept.lifetime,
            description: kept.value.describe().into(),
            body: kept.value.body().clone(),
        };
        let inner = Arc::clone(&self.0);
        if !epoch.has_passed() {
            inner.writing().insert(key, kept);
        }
        tokio::spawn(async move {
            disk.put(key, stored, epoch).await;
            inner.writing().remove(&key);
        });
    }

    /// Removes what the purge is about, also what is being made now; how many entries that were.
    pub async fn purge(&self, purge: Purge) -> usize {
        // First, so that nothing that was begun before is put behind the purge's back.
        self.0.epochs.advance();
        self.0
            .writing()
            .retain(|_, kept| !purge.is_about(&kept.tags));
        let memory = self.0.memory.as_ref();
        let from_memory = memory.map_or(0, |memory| memory.purge(&purge));
        let from_disk = match &self.0.disk {
            Some(disk) => disk.purge(purge).await,
            None => 0,
        };
        let purged = from_memory.max(from_disk);
        if let Some(kind) = self.0.kind {
            monitoring::cache_purged(kind, purged as u64);
        }
        purged
    }

    fn keep_in_memory(&self, key: CacheKey, kept: &Kept<V>, epoch: &Epoch) {
        if let Some(memory) = &self.0.memory
            && !epoch.has_passed()
        {
            memory.put(key, kept.clone());
            // A purge that came between has not seen it.
            if epoch.has_passed() {
                memory.remove(&key);
            }
        }
    }
}

#[cfg(test)]
impl<V: Cached> Store<V> {
    /// Whether entries are still answered from the memory that they are written from.
    pub(in crate::cache) fn is_writing(&self) -> bool {
        !self.0.writing().is_empty()
    }
}

impl<V: Cached> Inner<V> {
    fn writing(&self) -> MutexGuard<'_, HashMap<CacheKey, Kept<V>>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
