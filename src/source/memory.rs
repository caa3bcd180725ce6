//! How many bytes of sources may be in memory at the same time: those that are being downloaded and those that wait for
//! a worker or are being worked on.
//!
//! A source claims its bytes as they come. Where there is no room it is not read further, and its sender is held back.
//! One source at a time may go beyond the budget, so that half-read ones never wait for each other.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The budget. Clones share it.
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("held", &self.held())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

struct Shared {
    free: Arc<Semaphore>,
    /// The right to go beyond the budget; there is one.
    beyond: Arc<Semaphore>,
    /// Of the whole budget, in blocks; 0 is no limit.
    total: u32,
    waiting: AtomicU64,
}

impl Memory {
    /// A budget of `bytes`, counted in blocks of 16 KiB, at least one; 0 is no limit.
    pub fn new(bytes: u64) -> Self {
        let total = blocks(bytes);
        Self {
            shared: Arc::new(Shared {
                free: Arc::new(Semaphore::new(usize::try_from(total).unwrap_or(0))),
                beyond: Arc::new(Semaphore::new(1)),
                total,
                waiting: AtomicU64::new(0),
            }),
        }
    }

    /// A claim of nothing yet, for one source.
    pub fn claim(&self) -> Claim {
        Claim {
            shared: Arc::clone(&self.shared),
            held: Mutex::default(),
        }
    }

    /// Bytes that are claimed, in whole blocks, without those beyond the budget.
    pub fn held(&self) -> u64 {
        let free = u32::try_from(self.shared.free.available_permits()).unwrap_or(u32::MAX);
        u64::from(self.shared.total.saturating_sub(free)) * BLOCK
    }

    /// Sources that are not read further for want of room.
    pub fn waiting(&self) -> u64 {
        self.shared.waiting.load(Ordering::Relaxed)
    }
}

/// The bytes that one source takes; they are given back when it is dropped.
pub struct Claim {
    shared: Arc<Shared>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    blocks: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedSemaphorePermit>,
    waited: Duration,
    /// Since when it waits again.
    since: Option<Instant>,
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("waited", &self.waited())
            .finish_non_exhaustive()
    }
}

impl Claim {
    /// Waits until the source may have `bytes` bytes in all, first come, first served.
    pub async fn grow(&self, bytes: u64) {
        let missing = self.missing(bytes);
        if missing == 0 {
            return;
        }
        let free = Arc::clone(&self.shared.free);
        if let Ok(permit) = Arc::clone(&free).try_acquire_many_owned(missing) {
            return self.keep(permit);
        }
        let _waiting = Waiting::new(self);
        // The semaphores are never closed, so there is always a permit in the end.
        tokio::select! {
            biased;
            permit = free.acquire_many_owned(missing) => if let Ok(permit) = permit {
                self.keep(permit);
            },
            permit = Arc::clone(&self.shared.beyond).acquire_owned() => self.held().beyond = permit.ok(),
        }
    }

    /// How long the source has waited for room so far.
    pub fn waited(&self) -> Duration {
        let held = self.held();
        held.waited + held.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Blocks to claim until `bytes` are covered.
    fn missing(&self, bytes: u64) -> u32 {
        let held = self.held();
        if held.beyond.is_some() || self.shared.total == 0 {
            return 0;
        }
        let has = held.blocks.as_ref().map_or(0, |p| p.num_permits());
        blocks(bytes).saturating_sub(u32::try_from(has).unwrap_or(u32::MAX))
    }

    fn keep(&self, permit: OwnedSemaphorePermit) {
        let mut held = self.held();
        match &mut held.blocks {
            Some(blocks) => blocks.merge(permit),
            none => *none = Some(permit),
        }
    }

    /// No code that can panic runs under the lock, so a poisoned one is as good as any.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a claim as waiting, and its time, until dropped.
struct Waiting<'a>(&'a Claim);

impl<'a> Waiting<'a> {
    fn new(claim: &'a Claim) -> Self {
        claim.shared.waiting.fetch_add(1, Ordering::Relaxed);
        claim.held().since = Some(Instant::now());
        Self(claim)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.shared.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut held = self.0.held();
        if let Some(since) = held.since.take() {
            held.waited += since.elapsed();
        }
    }
}

/// Whole blocks, at most 16 TiB of them.
fn blocks(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(BLOCK)).map_or(MOST_BLOCKS, |blocks| blocks.min(MOST_BLOCKS))
}

const BLOCK: u64 = 16 * 1024;
const MOST_BLOCKS: u32 = 1 << 30;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Whether a claim gets its bytes without waiting.
    fn at_once(claim: &Claim, bytes: u64) -> bool {
        claim.grow(bytes).now_or_never().is_some()
    }

    #[test]
    fn sources_take_what_they_have() {
        let memory = Memory::new(10 * MIB);
        let (first, second) = (memory.claim(), memory.claim());
        assert!(at_once(&first, 1));
        assert!(at_once(&first, BLOCK));
        assert_eq!(memory.held(), BLOCK);
        assert!(at_once(&first, 6 * MIB));
        assert!(at_once(&second, 4 * MIB));
        assert_eq!(memory.held(), 10 * MIB);
        drop(first);
        assert_eq!(memory.held(), 4 * MIB);
    }

    #[tokio::test]
    async fn without_room_one_goes_on_and_the_others_wait_in_order() {
        let memory = Memory::new(3 * MIB);
        let [first, second, third] = [memory.claim(), memory.claim(), memory.claim()];
        for claim in [&first, &second, &third] {
            assert!(at_once(claim, MIB));
        }
        assert!(at_once(&first, 2 * MIB), "one may go beyond the budget");
        assert!(at_once(&first, 100 * MIB), "and it stays the one");
        {
            let mut more = Box::pin(second.grow(2 * MIB));
            let mut behind = Box::pin(third.grow(2 * MIB));
            assert!((&mut more).now_or_never().is_none());
            assert!((&mut behind).now_or_never().is_none());
            assert_eq!(memory.waiting(), 2);
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(second.waited() >= Duration::from_millis(5));
            // What the first gives back is enough for one.
            drop(first);
            assert!((&mut more).now_or_never().is_some());
            assert!((&mut behind).now_or_never().is_some(), "now beyond");
        }
        assert_eq!((memory.held(), memory.waiting()), (3 * MIB, 0));
        assert!(!at_once(&second, 3 * MIB), "the third has the right");
    }

    /// Half-read sources that together are larger than the budget all end.
    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let memory = Memory::new(MIB);
        let sources = (0..20).map(|_| {
            let claim = memory.claim();
            async move {
                for part in 1..=10 {
                    claim.grow(part * MIB / 10).await;
                    tokio::task::yield_now().await;
                }
            }
        });
        let all = futures_util::future::join_all(sources);
        tokio::time::timeout(Duration::from_secs(10), all)
            .await
            .unwrap();
        assert_eq!((memory.held(), memory.waiting()), (0, 0));
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let memory = Memory::new(0);
        let claim = memory.claim();
        assert!(at_once(&claim, u64::MAX));
        assert_eq!(memory.held(), 0);
    }
}
