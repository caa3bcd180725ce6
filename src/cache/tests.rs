use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use tokio::task::JoinSet;

use super::*;
use crate::{Error, Kind};

#[derive(Clone, Debug)]
struct Value {
    size: u64,
    number: usize,
    stale: Arc<AtomicBool>,
}

impl Weighted for Value {
    fn weight(&self) -> u64 {
        self.size
    }

    fn is_fresh(&self) -> bool {
        !self.stale.load(Ordering::Relaxed)
    }
}

fn value(size: u64, number: usize) -> Value {
    Value {
        size,
        number,
        stale: Arc::default(),
    }
}

fn cache(capacity: u64) -> ResultCache<Value> {
    ResultCache::new(&CacheConfig {
        kind: CacheType::Memory,
        memory_capacity: capacity,
        ..CacheConfig::default()
    })
}

fn off() -> ResultCache<Value> {
    ResultCache::new(&CacheConfig {
        kind: CacheType::Off,
        memory_capacity: 1 << 20,
        ..CacheConfig::default()
    })
}

fn key(text: &str) -> CacheKey {
    CacheKey::new(&KeyParts {
        options: text,
        source_url: "",
        features: "",
        forwarded: "",
        conditions: "",
        limits: "",
    })
}

async fn lead(cache: &ResultCache<Value>, text: &str) -> LeadGuard<Value> {
    match cache.get_or_lead(key(text)).await {
        Lookup::Lead(guard) => guard,
        other => panic!("{other:?}"),
    }
}

/// Starts followers and waits until all of them are in the queue.
async fn follow(cache: &ResultCache<Value>, text: &str, count: usize) -> JoinSet<Lookup<Value>> {
    let mut followers = JoinSet::new();
    let queued = Arc::new(AtomicUsize::new(0));
    for _ in 0..count {
        let (cache, key, queued) = (cache.clone(), key(text), Arc::clone(&queued));
        followers.spawn(async move {
            queued.fetch_add(1, Ordering::Relaxed);
            cache.get_or_lead(key).await
        });
    }
    while queued.load(Ordering::Relaxed) < count {
        tokio::task::yield_now().await;
    }
    followers
}

#[tokio::test]
async fn hits_and_misses() {
    let cache = cache(1 << 20);
    lead(&cache, "a").await.complete(value(10, 1));
    assert!(matches!(
        cache.get_or_lead(key("a")).await,
        Lookup::Hit(value) if value.number == 1
    ));
    lead(&cache, "b").await.complete_unkept(value(10, 2));
    drop(lead(&cache, "b").await);
    assert_eq!((cache.entries(), cache.running()), (1, 0));
    assert!(cache.bytes() > 10 && cache.bytes() < 200);
}

#[tokio::test]
async fn large_results_are_really_kept() {
    let capacity = 64 << 20;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let cache = cache(capacity);
        lead(&cache, name).await.complete(value(capacity / 4, 1));
        assert!(cache.get(&key(name)).is_some(), "{name}");
    }
    let cache = cache(capacity);
    lead(&cache, "a").await.complete(value(capacity, 1));
    assert_eq!((cache.entries(), cache.evictions()), (0, 1));
}

#[tokio::test]
async fn weight_stays_within_the_capacity() {
    let cache = cache(1 << 20);
    for number in 0..1000 {
        let name = number.to_string();
        lead(&cache, &name).await.complete(value(10_000, number));
        assert!(cache.bytes() <= 1 << 20);
    }
    assert!(cache.entries() > 50);
    assert_eq!(cache.entries() as u64 + cache.evictions(), 1000);
}

#[tokio::test]
async fn stale_values_are_dropped() {
    let cache = cache(1 << 20);
    let first = value(10, 1);
    lead(&cache, "a").await.complete(first.clone());
    first.stale.store(true, Ordering::Relaxed);
    let guard = lead(&cache, "a").await;
    assert_eq!(cache.entries(), 0);
    guard.complete(first);
    assert_eq!(cache.entries(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_followers_are_one_job() {
    for cache in [cache(1 << 20), off()] {
        let guard = lead(&cache, "a").await;
        let followers = follow(&cache, "a", 1000).await;
        assert_eq!(cache.running(), 1);
        guard.complete(value(10, 7));
        let outcomes = followers.join_all().await;
        assert_eq!(outcomes.len(), 1000);
        for outcome in outcomes {
            match outcome {
                Lookup::Shared(Ok(value)) | Lookup::Hit(value) => assert_eq!(value.number, 7),
                Lookup::Lead(_) if cache.inner.store.is_none() => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(cache.running(), 0);
    }
}

#[tokio::test]
async fn a_leader_that_leaves_hands_over() {
    let cache = off();
    let guard = lead(&cache, "a").await;
    let mut followers = follow(&cache, "a", 3).await;
    drop(guard);
    for left in (0..3).rev() {
        let Some(Ok(Lookup::Lead(guard))) = followers.join_next().await else {
            panic!("no hand-over");
        };
        assert_eq!(followers.len(), left);
        assert_eq!(cache.running(), 1);
        match left {
            // Errors that concern one request only hand over as well.
            2 => guard.fail(Error::new(Kind::Timeout, "")),
            1 => guard.fail(Error::new(Kind::QueueFull, "")),
            _ => guard.fail(Error::new(Kind::Cancelled, "")),
        }
    }
    assert_eq!(cache.running(), 0);
}

#[tokio::test]
async fn followers_that_have_left_are_skipped() {
    let cache = off();
    let guard = lead(&cache, "a").await;
    let mut gone = follow(&cache, "a", 5).await;
    let mut followers = follow(&cache, "a", 1).await;
    gone.abort_all();
    while gone.join_next().await.is_some() {}
    drop(guard);
    assert!(matches!(
        followers.join_next().await,
        Some(Ok(Lookup::Lead(_)))
    ));
    assert_eq!(cache.running(), 0);
}

#[tokio::test]
async fn a_duty_that_reaches_a_leaving_follower_is_not_lost() {
    let cache = off();
    let guard = lead(&cache, "a").await;
    let mut first = Box::pin(cache.get_or_lead(key("a")));
    assert!(futures_util::poll!(&mut first).is_pending());
    let mut second = Box::pin(cache.get_or_lead(key("a")));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(guard);
    // The first follower has been told but never looks.
    drop(first);
    assert!(matches!(second.await, Lookup::Lead(_)));
    assert_eq!(cache.running(), 0);
}

#[tokio::test]
async fn definite_errors_are_shared_and_kept_nowhere() {
    let cache = cache(1 << 20);
    let guard = lead(&cache, "a").await;
    let followers = follow(&cache, "a", 10).await;
    guard.fail(Error::new(Kind::BrokenImage, "x"));
    for outcome in followers.join_all().await {
        match outcome {
            Lookup::Shared(Err(error)) => assert_eq!(error.kind(), Kind::BrokenImage),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((cache.running(), cache.entries()), (0, 0));
    drop(lead(&cache, "a").await);
}

#[tokio::test]
async fn followers_keep_their_own_deadlines() {
    let cache = off();
    let guard = lead(&cache, "a").await;
    let waiting = tokio::time::timeout(Duration::from_millis(20), cache.get_or_lead(key("a")));
    assert!(waiting.await.is_err());
    guard.complete(value(1, 1));
    assert_eq!(cache.running(), 0);
}
