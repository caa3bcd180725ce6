//! The generic cell rate algorithm: a token bucket whose whole state is one time. A pure function of that time and now.

use crate::config::rate_limits::RateLimit;
use crate::error::Quota;

/// A token bucket: full at first, one token per interval comes back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gcra {
    /// Nanoseconds until one token is back.
    interval: u64,
    /// Nanoseconds until an empty bucket is full.
    window: u64,
    /// Tokens in a full bucket.
    burst: u32,
}

/// The bucket is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Empty {
    /// Seconds, rounded up and at least 1, until there is a token.
    pub(super) wait: u32,
    /// What is left.
    pub(super) quota: Quota,
}

impl Gcra {
    /// `None` where the limit is off.
    pub(super) fn new(limit: &RateLimit) -> Option<Self> {
        if limit.per_minute == 0 {
            return None;
        }
        // Rounded up, so that a minute never has more than the limit.
        let interval = MINUTE.div_ceil(u64::from(limit.per_minute));
        let burst = limit.burst();
        Some(Self {
            interval,
            // Centuries, where it saturates.
            window: interval.saturating_mul(u64::from(burst)),
            burst,
        })
    }

    /// Takes a token. `full_at`: when the bucket will be full, which is its state; 0 at first. Gives the new state. Times
    /// are nanoseconds since any fixed point.
    pub(super) fn take(&self, full_at: u64, now: u64) -> Result<(u64, Quota), Empty> {
        let next = full_at.max(now).saturating_add(self.interval);
        // How much of the window is used, with this token and without.
        let used = next - now;
        let quota = |used: u64| Quota {
            limit: self.burst,
            remaining: whole(self.window.saturating_sub(used) / self.interval),
            reset: whole(used.div_ceil(SECOND)),
        };
        if used <= self.window {
            return Ok((next, quota(used)));
        }
        Err(Empty {
            wait: whole((used - self.window).div_ceil(SECOND)),
            quota: quota(used - self.interval),
        })
    }
}

fn whole(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

#[cfg(test)]
mod tests {
    use super::*;

    fn gcra(per_minute: u32, burst: u32) -> Gcra {
        let limit = RateLimit {
            per_minute,
            burst: Some(burst),
        };
        Gcra::new(&limit).unwrap()
    }

    /// How many of `asked` requests at `now` pass.
    fn passed(gcra: &Gcra, state: &mut u64, now: u64, asked: u32) -> u32 {
        let take = |_: &u32| match gcra.take(*state, now) {
            Ok((next, _)) => {
                *state = next;
                true
            }
            Err(_) => false,
        };
        u32::try_from((0..asked).filter(take).count()).unwrap()
    }

    #[test]
    fn off_is_no_bucket() {
        assert!(Gcra::new(&RateLimit::default()).is_none());
    }

    #[test]
    fn bursts_and_refills() {
        // One token a second, 5 at once.
        let gcra = gcra(60, 5);
        // Since start, asked, passed.
        for start in [0, 7 * SECOND + 1] {
            let mut state = 0;
            for (after, asked, expected) in [
                (0, 100, 5),
                (SECOND - 1, 100, 0),
                (SECOND, 100, 1),
                (4 * SECOND + SECOND / 2, 2, 2),
                (4 * SECOND + SECOND / 2, 100, 1),
                (1000 * SECOND, 100, 5),
            ] {
                let passed = passed(&gcra, &mut state, start + after, asked);
                assert_eq!(passed, expected, "{start} {after}");
            }
        }
    }

    #[test]
    fn no_minute_has_more_than_the_limit_and_the_burst() {
        for per_minute in [1, 7, 59, 61, 1000, 999_983] {
            let gcra = gcra(per_minute, 1);
            let (mut state, mut count) = (0, 0);
            for step in 0..20_000 {
                count += passed(&gcra, &mut state, step * (MINUTE / 20_000), 1);
            }
            assert!(count <= per_minute, "{per_minute}: {count}");
            assert!(count >= per_minute.min(9_999), "{per_minute}: {count}");
        }
    }

    #[test]
    fn what_is_left() {
        let gcra = gcra(30, 3);
        let quota = |remaining, reset| Quota {
            limit: 3,
            remaining,
            reset,
        };
        let now = 10 * SECOND;
        let (first, left) = gcra.take(0, now).unwrap();
        assert_eq!(left, quota(2, 2));
        let (second, left) = gcra.take(first, now + 1).unwrap();
        assert_eq!(left, quota(1, 4));
        let (third, left) = gcra.take(second, now + SECOND).unwrap();
        assert_eq!(left, quota(0, 5));
        for (after, wait, reset) in [(SECOND, 1, 5), (SECOND / 2, 2, 6), (2 * SECOND - 1, 1, 5)] {
            let quota = quota(0, reset);
            let refused = gcra.take(third, now + after);
            assert_eq!(refused, Err(Empty { wait, quota }), "{after}");
        }
        assert!(gcra.take(third, now + 2 * SECOND).is_ok());
    }

    #[test]
    fn a_clock_that_lags_behind_is_no_mistake() {
        let gcra = gcra(60, 2);
        let (state, _) = gcra.take(0, 100 * SECOND).unwrap();
        // Of two threads the one that has read the clock first may come second.
        assert!(gcra.take(state, 100 * SECOND - 1).is_err());
        assert!(gcra.take(state, 100 * SECOND).is_ok());
        assert_eq!(gcra.take(u64::MAX, 0).unwrap_err().quota.remaining, 0);
    }

    #[test]
    fn extreme_limits() {
        let (_, quota) = gcra(1, u32::MAX).take(0, 0).unwrap();
        assert_eq!((quota.limit, quota.reset), (u32::MAX, 60));
        let (_, quota) = gcra(u32::MAX, u32::MAX).take(0, 0).unwrap();
        assert_eq!((quota.remaining, quota.reset), (u32::MAX - 1, 1));
    }
}
