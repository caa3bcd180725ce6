//! Stops asking a disk that keeps failing, for a while.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    open_until: Mutex<Option<Instant>>,
}

impl Breaker {
    /// Whether the disk may be asked.
    pub(super) fn allows(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) < MOST_FAILURES {
            return true;
        }
        let mut open_until = self
            .open_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match *open_until {
            Some(until) if Instant::now() < until => false,
            _ => {
                // One attempt; the others wait for what comes of it.
                *open_until = Some(Instant::now() + PAUSE);
                true
            }
        }
    }

    /// The disk has done what it was asked; whether it had been given up.
    pub(super) fn succeeded(&self) -> bool {
        self.failures.load(Ordering::Relaxed) > 0
            && self.failures.swap(0, Ordering::Relaxed) >= MOST_FAILURES
    }

    /// The disk has failed; whether it is given up now.
    pub(super) fn failed(&self) -> bool {
        let failures = self
            .failures
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        if failures >= MOST_FAILURES {
            let mut open_until = self
                .open_until
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *open_until = Some(Instant::now() + PAUSE);
        }
        failures == MOST_FAILURES
    }
}

const MOST_FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_failures_in_a_row_and_closes_with_a_success() {
        let breaker = Breaker::default();
        for _ in 1..MOST_FAILURES {
            assert!(!breaker.failed());
            assert!(breaker.allows());
        }
        assert!(!breaker.succeeded());
        for _ in 1..MOST_FAILURES {
            assert!(!breaker.failed());
        }
        assert!(breaker.failed());
        assert!(!breaker.allows());
        // After the pause one attempt is made.
        *breaker.open_until.lock().unwrap() = Some(Instant::now());
        assert!(breaker.allows());
        assert!(!breaker.allows());
        assert!(breaker.succeeded());
        assert!(breaker.allows());
    }
}
