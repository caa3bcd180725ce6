//! The disk tier: a bounded directory of entries that outlives the process.
//!
//! Owns when files are written, removed and given up. A disk that fails costs a miss and a count, never an error. Several
//! processes may use one directory: each finds what the others have written, and each keeps the bound as far as its last
//! scan has shown.

mod breaker;
mod entry;
mod files;
mod index;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::Semaphore;

use self::breaker::Breaker;
use self::entry::Entry;
use self::files::{Files, Found, size_on_disk};
use self::index::Index;
use super::{CacheKey, Epoch, Lifetime, Purge, Tags};
use crate::monitoring::{self, CacheFault, CacheKind, CacheState};

/// A directory of entries. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Inner>);

/// An entry as the disk knows it.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) tags: Tags,
    pub(super) lifetime: Lifetime,
    pub(super) description: Bytes,
    pub(super) body: Bytes,
}

#[derive(Debug)]
struct Inner {
    files: Files,
    kind: CacheKind,
    capacity: u64,
    index: Mutex<Index>,
    reading: Breaker,
    writing: Breaker,
    writers: Arc<Semaphore>,
    evictions: AtomicU64,
    /// While not all files are known: the purges that those which turn up have to be held against.
    unscanned: Mutex<Option<Vec<Purge>>>,
    queued: AtomicU64,
    scanning: AtomicBool,
}

impl Disk {
    /// Opens the directory and begins to look through it; to be called inside the runtime.
    pub(super) fn open(root: PathBuf, capacity: u64, kind: CacheKind) -> Self {
        let disk = Self(Arc::new(Inner {
            files: Files::new(root),
            kind,
            capacity,
            index: Mutex::default(),
            reading: Breaker::default(),
            writing: Breaker::default(),
            writers: Arc::new(Semaphore::new(WRITERS)),
            evictions: AtomicU64::new(0),
            unscanned: Mutex::new(Some(Vec::new())),
            queued: AtomicU64::new(0),
            scanning: AtomicBool::new(false),
        }));
        let inner = Arc::downgrade(&disk.0);
        tokio::spawn(async move {
            loop {
                let Some(inner) = Weak::upgrade(&inner) else {
                    return;
                };
                // A panic of the scan leaves the index as it was.
                let _ = tokio::task::spawn_blocking(move || inner.scan()).await;
                tokio::time::sleep(SCAN_EVERY).await;
            }
        });
        disk
    }

    /// The entry `key`, if it is there and whole.
    pub(super) async fn get(&self, key: CacheKey) -> Option<Stored> {
        let inner = Arc::clone(&self.0);
        if !inner.reading.allows() {
            monitoring::cache_fault(inner.kind, CacheFault::Bypassed);
            return None;
        }
        let read = tokio::task::spawn_blocking(move || inner.read(&key));
        read.await.ok().flatten()
    }

    /// Writes an entry, unless a purge has come since `epoch`. Where too much waits to be written, it is not.
    pub(super) async fn put(&self, key: CacheKey, stored: Stored, epoch: Epoch) {
        let inner = Arc::clone(&self.0);
        let bytes = stored.body.len() as u64;
        let queued = inner.queued.fetch_add(bytes, Ordering::AcqRel);
        let waiting = Queued(Arc::clone(&inner), bytes);
        if queued > MOST_QUEUED || !inner.writing.allows() {
            monitoring::cache_fault(inner.kind, CacheFault::Bypassed);
            return;
        }
        // Never closed, so never refused.
        let Ok(permit) = Arc::clone(&inner.writers).acquire_owned().await else {
            return;
        };
        let written = tokio::task::spawn_blocking(move || {
            let (_waiting, _permit) = (waiting, permit);
            inner.write(&key, stored, &epoch);
        });
        // A panic has lost the entry, nothing else.
        let _ = written.await;
    }

    /// Removes what the purge is about; how many entries that were.
    pub(super) async fn purge(&self, purge: Purge) -> usize {
        let inner = Arc::clone(&self.0);
        let purged = tokio::task::spawn_blocking(move || inner.purge(&purge));
        purged.await.unwrap_or(0)
    }

    /// What the directory holds, as far as it is known.
    pub(super) fn state(&self) -> CacheState {
        let index = self.0.index();
        CacheState {
            entries: index.len() as u64,
            bytes: index.bytes(),
            evictions: self.0.evictions.load(Ordering::Relaxed),
        }
    }
}

/// Bytes that wait to be written.
struct Queued(Arc<Inner>, u64);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(self.1, Ordering::AcqRel);
    }
}

impl Inner {
    fn read(&self, key: &CacheKey) -> Option<Stored> {
        let bytes = match self.files.read(key, self.capacity) {
            Ok(Found::File(bytes)) => bytes,
            Ok(Found::Nothing) => {
                self.recovered(&self.reading);
                self.index().remove(key);
                return None;
            }
            Ok(Found::Foreign) => return self.corrupted(key),
            Err(error) => {
                self.failed(&self.reading, CacheFault::Read, &error);
                return None;
            }
        };
        self.recovered(&self.reading);
        let size = size_on_disk(bytes.len() as u64);
        let Some(entry) = entry::decode(key, bytes, SystemTime::now()) else {
            return self.corrupted(key);
        };
        if !self.index().touch(key) {
            // Not seen by the scan yet, or written by another process.
            if self.is_purged(&entry.tags) {
                self.remove(key);
                return None;
            }
            let tags = entry.tags.clone();
            self.index().used(*key, size, tags);
        }
        Some(Stored {
            tags: entry.tags,
            lifetime: entry.lifetime,
            description: entry.description,
            body: entry.body,
        })
    }

    fn write(&self, key: &CacheKey, stored: Stored, epoch: &Epoch) {
        let tags = stored.tags.clone();
        let entry = Entry {
            tags: stored.tags,
            lifetime: stored.lifetime,
            description: stored.description,
            body: stored.body,
        };
        let (head, body) = entry::encode(key, &entry);
        let size = size_on_disk((head.len() + body.len()) as u64);
        if size > self.capacity / LARGEST_SHARE {
            return;
        }
        let written = self.files.write([&head, &body]).and_then(|written| {
            // Under the lock, so that a purge finds the entry or is found to have come.
            let mut index = self.index();
            if epoch.has_passed() {
                return Ok(());
            }
            self.files.publish(written, key)?;
            index.used(*key, size, tags);
            Ok(())
        });
        match written {
            Ok(()) => self.recovered(&self.writing),
            Err(error) => self.failed(&self.writing, CacheFault::Write, &error),
        }
        self.evict();
    }

    /// Removes the least recently used entries until the rest is within the bound.
    fn evict(&self) {
        loop {
            let Some(key) = self.index().overflow(self.capacity) else {
                return;
            };
            self.remove(&key);
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn purge(&self, purge: &Purge) -> usize {
        if let Some(purges) = &mut *self.unscanned() {
            if purges.len() < MOST_PURGES {
                purges.push(purge.clone());
            } else {
                *purges = vec![Purge::All];
            }
        }
        let keys = self.index().take(purge);
        for key in &keys {
            self.remove(key);
        }
        keys.len()
    }

    /// Finds what is in the directory: what was there at the start, what others have written, what others have removed.
    fn scan(&self) {
        if self.scanning.swap(true, Ordering::AcqRel) {
            return;
        }
        self.unscanned().get_or_insert_default();
        let before = self.index().missing(|_| false);
        let mut seen = std::collections::HashSet::new();
        if let Err(error) = self.files.prepare() {
            self.failed(&self.writing, CacheFault::Write, &error);
        }
        let scanned = self.files.scan(entry::START, |file| {
            if self.index().contains(&file.key) {
                seen.insert(file.key);
                return;
            }
            match entry::tags(&file.start).filter(|(key, _)| *key == file.key) {
                Some((_, tags)) if self.is_purged(&tags) => self.remove(&file.key),
                Some((_, tags)) => {
                    seen.insert(file.key);
                    self.index().found(file.key, file.size, tags, file.used);
                }
                None => {
                    self.corrupted::<()>(&file.key);
                }
            }
        });
        match scanned {
            Ok(()) => {
                let mut index = self.index();
                for key in before.iter().filter(|key| !seen.contains(key)) {
                    index.remove(key);
                }
                drop(index);
                *self.unscanned() = None;
            }
            Err(error) => self.failed(&self.reading, CacheFault::Read, &error),
        }
        self.scanning.store(false, Ordering::Release);
        self.evict();
    }

    /// Whether a purge has been about an entry that nobody knew of.
    fn is_purged(&self, tags: &Tags) -> bool {
        let purges = self.unscanned();
        let mut purges = purges.iter().flatten();
        purges.any(|purge| purge.is_about(tags))
    }

    fn corrupted<T>(&self, key: &CacheKey) -> Option<T> {
        monitoring::cache_fault(self.kind, CacheFault::Corrupted);
        tracing::warn!(file = %self.files.path(key).display(), "a cache entry is not what was written, removing it");
        self.index().remove(key);
        self.remove(key);
        None
    }

    fn remove(&self, key: &CacheKey) {
        if let Err(error) = self.files.remove(key) {
            self.failed(&self.writing, CacheFault::Write, &error);
        }
    }

    fn recovered(&self, breaker: &Breaker) {
        if breaker.succeeded() {
            tracing::info!(cache = self.kind.label(), "the cache directory works again");
        }
    }

    fn failed(&self, breaker: &Breaker, fault: CacheFault, error: &io::Error) {
        monitoring::cache_fault(self.kind, fault);
        tracing::debug!(cache = self.kind.label(), %error, "cache directory");
        if breaker.failed() {
            tracing::warn!(cache = self.kind.label(), %error, "the cache directory fails, doing without it for a while");
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unscanned(&self) -> MutexGuard<'_, Option<Vec<Purge>>> {
        self.unscanned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries that are written at the same time.
const WRITERS: usize = 8;
/// Bytes that may wait to be written.
const MOST_QUEUED: u64 = 64 << 20;
/// More purges during one scan are one of everything.
const MOST_PURGES: usize = 1000;
/// No entry may take more than this part of the capacity.
const LARGEST_SHARE: u64 = 4;
/// How soon a process sees how much others have written.
const SCAN_EVERY: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
