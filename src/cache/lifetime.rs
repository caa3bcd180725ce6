//! How long something may be served, and how old it is.
//!
//! Ages grow with the monotonic clock; the wall clock counts only where an entry comes from an earlier process. A wall
//! clock that has moved backwards makes such an entry stale, never fresh for longer.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What a source allows, from the moment of its response on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// May be served without asking the source.
    pub fresh: Duration,
    /// After that: may be served while the source is asked.
    pub while_revalidate: Duration,
    /// After `fresh`: may be served where the source cannot be had.
    pub if_error: Duration,
}

/// What an entry may be used for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Served as it is.
    Fresh,
    /// Served as it is, once more; the source is to be asked at the same time.
    Revalidate,
    /// The source is to be asked first; where it cannot be had, the entry may be served.
    IfError,
    /// The source is to be asked first.
    Stale,
}

/// The life of one entry.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    freshness: Freshness,
    stored: SystemTime,
    /// Age at `since`.
    age: Duration,
    since: Instant,
}

impl Lifetime {
    /// Begins now.
    pub fn new(freshness: Freshness) -> Self {
        Self {
            freshness,
            stored: SystemTime::now(),
            age: Duration::ZERO,
            since: Instant::now(),
        }
    }

    /// Began at `stored`, by the wall clock. A moment that is still to come makes the entry stale.
    pub fn restored(freshness: Freshness, stored: SystemTime, now: SystemTime) -> Self {
        Self {
            freshness,
            stored,
            age: now.duration_since(stored).unwrap_or(Duration::MAX),
            since: Instant::now(),
        }
    }

    /// What the source allowed.
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// What is left of it now, for something that is made from the entry.
    pub fn remaining(&self) -> Freshness {
        let age = self.age();
        let Freshness {
            fresh,
            while_revalidate,
            if_error,
        } = self.freshness;
        let overdue = age.saturating_sub(fresh);
        Freshness {
            fresh: fresh.saturating_sub(age),
            while_revalidate: while_revalidate.saturating_sub(overdue),
            if_error: if_error.saturating_sub(overdue),
        }
    }

    /// Milliseconds since 1970 at which the life began.
    pub(super) fn stored_ms(&self) -> u64 {
        let since = self.stored.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Time since the source's response.
    pub fn age(&self) -> Duration {
        self.age.saturating_add(self.since.elapsed())
    }

    /// Whole seconds of freshness that are left; below zero after its end. Rule: RFC 9211 section 2.5.
    pub fn ttl(&self) -> i64 {
        let (age, fresh) = (self.age(), self.freshness.fresh);
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        if age <= fresh {
            seconds(fresh.saturating_sub(age))
        } else {
            seconds(age.saturating_sub(fresh)).saturating_neg()
        }
    }

    /// What the entry may be used for now.
    pub fn state(&self) -> State {
        let age = self.age();
        let Freshness {
            fresh,
            while_revalidate,
            if_error,
        } = self.freshness;
        if age < fresh {
            State::Fresh
        } else if age < fresh.saturating_add(while_revalidate) {
            State::Revalidate
        } else if age < fresh.saturating_add(if_error) {
            State::IfError
        } else {
            State::Stale
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn aged(age: Duration) -> Lifetime {
        let freshness = Freshness {
            fresh: 2 * MINUTE,
            while_revalidate: MINUTE,
            if_error: 3 * MINUTE,
        };
        let stored = UNIX_EPOCH + 1000 * MINUTE;
        Lifetime::restored(freshness, stored, stored + age)
    }

    #[test]
    fn states_by_age() {
        for (seconds, state, ttl) in [
            (0, State::Fresh, 119),
            (119, State::Fresh, 0),
            (120, State::Revalidate, 0),
            (179, State::Revalidate, -59),
            (181, State::IfError, -61),
            (299, State::IfError, -179),
            (301, State::Stale, -181),
        ] {
            let lifetime = aged(Duration::from_secs(seconds));
            assert_eq!(lifetime.state(), state, "{seconds}");
            assert_eq!(lifetime.ttl(), ttl, "{seconds}");
        }
        assert_eq!(aged(3 * MINUTE).remaining().fresh, Duration::ZERO);
        assert!(aged(4 * MINUTE).remaining().if_error <= MINUTE);
        assert!(aged(MINUTE).remaining().fresh > 59 * MINUTE / 60);
    }

    #[test]
    fn a_clock_that_has_moved_back_makes_entries_stale() {
        let freshness = Freshness {
            fresh: MINUTE,
            while_revalidate: MINUTE,
            if_error: MINUTE,
        };
        let now = UNIX_EPOCH + 1000 * MINUTE;
        let lifetime = Lifetime::restored(freshness, now + MINUTE, now);
        assert_eq!(lifetime.state(), State::Stale);
        assert!(lifetime.ttl() < 0);
        assert_eq!(lifetime.remaining(), Freshness::default());
    }
}
