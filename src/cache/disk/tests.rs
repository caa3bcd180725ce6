//! What a disk may do to the cache, and what of that a client may notice: nothing but a miss.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use super::files::Files;
use crate::cache::tests::{Folder, config, kept, key, open, put, until_files};
use crate::cache::{CacheKey, Lifetime, RESULTS, State, Store};
use crate::config::cache::{CacheType, StoreConfig};

fn path(folder: &Folder, key: &CacheKey) -> std::path::PathBuf {
    Files::new(folder.0.join("results")).path(key)
}

/// A store with the entries `a` and `b` on the disk, and another one that has seen neither.
async fn written() -> (Folder, Store<crate::cache::tests::Value>) {
    let folder = Folder::new();
    let store = open(CacheType::Disk, &folder);
    put(&store, "a", kept("the body of a", "http://a"));
    put(&store, "b", kept("the body of b", "http://b"));
    until_files(&folder, 2).await;
    while store.is_writing() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (folder, store)
}

async fn body(store: &Store<crate::cache::tests::Value>, name: &str) -> Option<Vec<u8>> {
    let kept = store.get(&key(name)).await?;
    Some(kept.value.body.to_vec())
}

#[tokio::test]
async fn a_changed_file_is_a_miss_and_is_removed() {
    let (folder, store) = written().await;
    let file = path(&folder, &key("a"));
    let whole = fs::read(&file).unwrap();
    for at in [0, 20, 40, 100, 150, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(&file, &changed).unwrap();
        assert_eq!(body(&store, "a").await, None, "byte {at}");
        assert!(!file.exists(), "byte {at}");
    }
    for length in [0, 1, 100, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        assert_eq!(body(&store, "a").await, None, "{length} bytes");
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(
        body(&store, "a").await.as_deref(),
        Some(&b"the body of a"[..])
    );
}

#[tokio::test]
async fn a_file_in_the_place_of_another_is_a_miss() {
    let (folder, store) = written().await;
    fs::copy(path(&folder, &key("b")), path(&folder, &key("a"))).unwrap();
    assert_eq!(body(&store, "a").await, None);
    assert_eq!(
        body(&store, "b").await.as_deref(),
        Some(&b"the body of b"[..])
    );
}

#[tokio::test]
async fn links_pipes_and_folders_are_misses_and_what_they_lead_to_stays() {
    let (folder, store) = written().await;
    let file = path(&folder, &key("a"));
    let outside = folder.0.join("outside");
    fs::copy(&file, &outside).unwrap();
    fs::remove_file(&file).unwrap();
    symlink(&outside, &file).unwrap();
    assert_eq!(body(&store, "a").await, None);
    assert!(fs::symlink_metadata(&file).is_err() && outside.exists());
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    assert_eq!(body(&store, "a").await, None);
    fs::create_dir(&file).unwrap();
    fs::write(file.join("x"), "x").unwrap();
    assert_eq!(body(&store, "a").await, None);
    // The folder of entries is a link: nothing is written through it.
    let shard = file.parent().unwrap();
    fs::remove_dir_all(shard).unwrap();
    let elsewhere = folder.0.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, shard).unwrap();
    put(&store, "a", kept("again", "http://a"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert_eq!(
        body(&store, "b").await.as_deref(),
        Some(&b"the body of b"[..])
    );
}

/// Written by a clock that was ahead, and by one that is behind now.
#[tokio::test]
async fn a_clock_that_has_moved_keeps_nothing_fresh_for_longer() {
    let folder = Folder::new();
    let store = open(CacheType::Disk, &folder);
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    for (name, stored, state) in [
        ("ahead", now + hour, State::Stale),
        ("behind", now - hour, State::Stale),
        ("right", now, State::Fresh),
    ] {
        let mut kept = kept("body", "s");
        kept.lifetime = Lifetime::restored(kept.lifetime.freshness(), stored, stored);
        assert_eq!(kept.lifetime.state(), State::Fresh);
        put(&store, name, kept);
        while store.peek(&key(name)).is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let kept = store.get(&key(name)).await.expect(name);
        assert_eq!(kept.lifetime.state(), state, "{name}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_costs_nothing_but_hits() {
    let folder = Folder::new();
    fs::write(&folder.0, "a file").unwrap();
    let store = open(CacheType::Hybrid, &folder);
    for round in 0..20 {
        let name = round.to_string();
        put(&store, &name, kept("body", "s"));
        assert!(body(&store, &name).await.is_some(), "from the memory");
        assert_eq!(body(&store, "never").await, None);
    }
    fs::remove_file(&folder.0).unwrap();
}

#[tokio::test]
async fn a_read_only_directory_is_read() {
    let (folder, _) = written().await;
    let folders: Vec<_> = fs::read_dir(folder.0.join("results"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let set = |mode| {
        for folder in &folders {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o500);
    let store = open(CacheType::Disk, &folder);
    assert_eq!(
        body(&store, "a").await.as_deref(),
        Some(&b"the body of a"[..])
    );
    for round in 0..10 {
        put(&store, &round.to_string(), kept("body", "s"));
    }
    assert_eq!(
        body(&store, "b").await.as_deref(),
        Some(&b"the body of b"[..])
    );
    set(0o700);
}

#[tokio::test]
async fn the_bound_holds_and_the_least_recently_used_goes() {
    let folder = Folder::new();
    let capacity = 200 * 1024;
    let config = StoreConfig {
        disk_capacity: capacity,
        ..config(CacheType::Disk, &folder)
    };
    let store = Store::<crate::cache::tests::Value>::open(&config, RESULTS);
    let large = "x".repeat(9000);
    for round in 0..60 {
        let name = round.to_string();
        put(&store, &name, kept(&large, "s"));
        // One at a time, and the first is used all the while.
        while store.peek(&key(&name)).is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(body(&store, "0").await.is_some(), "{round}");
        let bytes: u64 = folder
            .files()
            .iter()
            .map(|f| f.metadata().unwrap().len())
            .sum();
        assert!(bytes <= capacity, "{bytes}");
    }
    assert_eq!(body(&store, "1").await, None);
    assert!(body(&store, "59").await.is_some());
    put(&store, "huge", kept(&"x".repeat(100_000), "s"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(body(&store, "huge").await, None, "more than its share");
    // Another process finds the same, with the same bound.
    let smaller = StoreConfig {
        disk_capacity: capacity / 2,
        ..config.clone()
    };
    let other = Store::<crate::cache::tests::Value>::open(&smaller, RESULTS);
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while folder.files().len() > 8 && std::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let left = folder.files().len();
    assert!((4..=8).contains(&left), "{left}");
    drop(other);
}

#[tokio::test]
async fn two_stores_on_one_directory_serve_each_other() {
    let folder = Folder::new();
    let (one, other) = (
        open(CacheType::Disk, &folder),
        open(CacheType::Disk, &folder),
    );
    for round in 0..20 {
        let name = round.to_string();
        let (first, second) = if round % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        put(first, &name, kept(&name, "s"));
        until_files(&folder, round + 1).await;
        assert_eq!(body(second, &name).await, Some(name.into_bytes()));
    }
    assert!(one.purge(crate::cache::Purge::All).await >= 20);
    assert_eq!(body(&other, "3").await, None);
}
