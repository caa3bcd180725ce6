//! Tiers together: what is kept, for how long, and what a purge leaves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::cache::{CacheType, StoreConfig};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) size: u64,
    pub(super) body: Bytes,
}

impl Cached for Value {
    fn weight(&self) -> u64 {
        self.size
    }

    fn body(&self) -> &Bytes {
        &self.body
    }

    fn describe(&self) -> Vec<u8> {
        self.size.to_string().into_bytes()
    }

    fn restore(description: &[u8], body: Bytes) -> Option<Self> {
        let size = std::str::from_utf8(description).ok()?.parse().ok()?;
        Some(Self { size, body })
    }
}

/// A directory that is removed with the test.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let name = format!("imgforge-cache-{:016x}", rand::random::<u64>());
        Self(std::env::temp_dir().join(name))
    }

    /// Every file below, in no order.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    files.push(entry.path());
                }
            }
        }
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn key(text: &str) -> CacheKey {
    CacheKey::of(&[text.as_bytes()])
}

pub(super) fn kept(body: &str, source: &str) -> Kept<Value> {
    Kept {
        value: Value {
            size: body.len() as u64,
            body: Bytes::copy_from_slice(body.as_bytes()),
        },
        lifetime: Lifetime::new(Freshness {
            fresh: Duration::from_secs(60),
            ..Freshness::default()
        }),
        tags: Tags {
            source: source.into(),
            variant_of: key("variant"),
        },
    }
}

pub(super) fn config(kind: CacheType, folder: &Folder) -> StoreConfig {
    StoreConfig {
        kind,
        memory_capacity: 1 << 20,
        disk_path: Some(folder.0.clone()),
        disk_capacity: 1 << 20,
    }
}

pub(super) fn open(kind: CacheType, folder: &Folder) -> Store<Value> {
    Store::open(&config(kind, folder), RESULTS)
}

pub(super) fn put(store: &Store<Value>, name: &str, kept: Kept<Value>) {
    store.put(key(name), kept, store.epoch());
}

/// Waits until so many files are there.
pub(super) async fn until_files(folder: &Folder, count: usize) {
    let there = || {
        let files = folder.files();
        let temporary = files
            .iter()
            .any(|f| f.parent().is_some_and(|p| p.ends_with("tmp")));
        !temporary && files.len() == count
    };
    let patience = tokio::time::timeout(Duration::from_secs(20), async {
        while !there() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    patience
        .await
        .unwrap_or_else(|_| panic!("{:?}", folder.files()));
}

const KINDS: [CacheType; 3] = [CacheType::Memory, CacheType::Disk, CacheType::Hybrid];

#[tokio::test]
async fn what_is_put_is_there_at_once() {
    for kind in KINDS {
        let folder = Folder::new();
        let store = open(kind, &folder);
        assert!(store.get(&key("a")).await.is_none());
        put(&store, "a", kept("one", "s"));
        assert_eq!(
            &*store.get(&key("a")).await.unwrap().value.body,
            b"one",
            "{kind:?}"
        );
        put(&store, "a", kept("two", "s"));
        assert_eq!(
            &*store.get(&key("a")).await.unwrap().value.body,
            b"two",
            "{kind:?}"
        );
    }
    let off = open(CacheType::Off, &Folder::new());
    put(&off, "a", kept("one", "s"));
    assert!(off.get(&key("a")).await.is_none() && !off.is_on());
}

#[tokio::test]
async fn a_disk_outlives_its_process_and_moves_up_into_memory() {
    let folder = Folder::new();
    put(&open(CacheType::Disk, &folder), "a", kept("one", "s"));
    until_files(&folder, 1).await;
    let store = open(CacheType::Hybrid, &folder);
    assert!(store.peek(&key("a")).is_none());
    let again = store.get(&key("a")).await.expect("from the disk");
    assert_eq!(&*again.value.body, b"one");
    assert_eq!(&*again.tags.source, "s");
    assert_eq!(again.lifetime.state(), State::Fresh);
    assert!(store.peek(&key("a")).is_some(), "promoted");
}

#[tokio::test]
async fn large_results_are_kept_and_the_bound_holds() {
    let memory = |capacity| {
        let config = StoreConfig {
            kind: CacheType::Memory,
            memory_capacity: capacity,
            ..StoreConfig::default()
        };
        Store::<Value>::open(&config, RESULTS)
    };
    let sized = |size| Kept {
        value: Value {
            size,
            body: Bytes::new(),
        },
        ..kept("", "s")
    };
    let capacity = 64 << 20;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let store = memory(capacity);
        put(&store, name, sized(capacity / 4));
        assert!(store.peek(&key(name)).is_some(), "{name}");
        put(&store, "too large", sized(capacity));
        assert!(store.peek(&key("too large")).is_none());
    }
    let small = memory::Memory::new(1 << 20).unwrap();
    for number in 0..1000 {
        small.put(key(&number.to_string()), sized(10_000));
        assert!(small.state().bytes <= 1 << 20);
    }
    let state = small.state();
    assert!(state.entries > 50);
    assert_eq!(state.entries + state.evictions, 1000);
}

#[tokio::test]
async fn a_purge_takes_what_it_is_about_and_what_was_begun_before_it() {
    for kind in KINDS {
        let folder = Folder::new();
        let store = open(kind, &folder);
        let begun = store.epoch();
        put(&store, "a", kept("a", "http://a/1"));
        put(&store, "b", kept("b", "http://b/1"));
        if kind != CacheType::Memory {
            until_files(&folder, 2).await;
        }
        assert_eq!(
            store.purge(Purge::Prefix("http://a/".into())).await,
            1,
            "{kind:?}"
        );
        assert!(store.get(&key("a")).await.is_none(), "{kind:?}");
        assert!(store.get(&key("b")).await.is_some(), "{kind:?}");
        // The job had its source before the purge.
        store.put(key("a"), kept("old", "http://a/1"), begun);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(store.get(&key("a")).await.is_none(), "{kind:?}");
        put(&store, "a", kept("new", "http://a/1"));
        assert!(store.get(&key("a")).await.is_some(), "{kind:?}");
        let purge = Purge::Variants {
            source: "http://a/1".into(),
            variant_of: key("variant"),
        };
        if kind != CacheType::Memory {
            until_files(&folder, 2).await;
        }
        assert_eq!(store.purge(purge).await, 1, "{kind:?}");
        assert_eq!(store.purge(Purge::All).await, 1, "{kind:?}");
        assert_eq!(store.purge(Purge::All).await, 0, "{kind:?}");
    }
}

#[tokio::test]
async fn a_purge_before_the_scan_has_ended_counts() {
    let folder = Folder::new();
    let first = open(CacheType::Disk, &folder);
    for name in ["a", "b", "c"] {
        put(&first, name, kept(name, "http://a/1"));
    }
    until_files(&folder, 3).await;
    // Not polled in between, so its scan has not begun.
    let second = open(CacheType::Disk, &folder);
    second.purge(Purge::All).await;
    until_files(&folder, 0).await;
    assert!(second.get(&key("a")).await.is_none());
}

#[test]
fn values_are_shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Store<Value>>();
    is_shared::<Arc<Kept<Value>>>();
}
