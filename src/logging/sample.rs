//! Keeps a flood of warnings and errors from filling the disk. Rule: `spec/security.md` case 85.
//!
//! In every second the first lines of each kind are written, and a limited number of all kinds together, so that a
//! client that varies its mistakes gains nothing. The rest is counted.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use tracing::Metadata;

use super::line::Record;

/// Decides line by line. Holds at most [`ALL_KINDS`] × `burst` kinds.
pub(super) struct Sampler {
    burst: u32,
    since: Option<Instant>,
    kinds: HashMap<u64, u32>,
    written: u32,
    suppressed: u64,
}

/// What happens to a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) write: bool,
    /// Lines of the last second with lines that were not written, told once.
    pub(super) suppressed_before: u64,
}

impl Sampler {
    /// `burst` lines of a kind in a second; 0 lets all pass.
    pub(super) fn new(burst: u32) -> Self {
        Self {
            burst,
            since: None,
            kinds: HashMap::new(),
            written: 0,
            suppressed: 0,
        }
    }

    /// A line of this kind at this time; `None` is a line that is always written.
    pub(super) fn admit(&mut self, kind: Option<u64>, now: Instant) -> Verdict {
        let suppressed_before = self.turn(now);
        let write = self.burst == 0 || kind.is_none_or(|kind| self.count(kind));
        self.suppressed += u64::from(!write);
        Verdict {
            write,
            suppressed_before,
        }
    }

    /// Begins a new second where the old one is over.
    fn turn(&mut self, now: Instant) -> u64 {
        let is_over = |since: Instant| now.duration_since(since) >= SECOND;
        if !self.since.is_none_or(is_over) {
            return 0;
        }
        self.since = Some(now);
        self.kinds.clear();
        self.written = 0;
        std::mem::take(&mut self.suppressed)
    }

    fn count(&mut self, kind: u64) -> bool {
        if self.written >= self.burst.saturating_mul(ALL_KINDS) {
            return false;
        }
        let of_kind = self.kinds.entry(kind).or_default();
        if *of_kind >= self.burst {
            return false;
        }
        *of_kind += 1;
        self.written += 1;
        true
    }
}

/// Lines of one kind come from the same place in the code and tell of the same error with the same status.
pub(super) fn kind(metadata: &Metadata<'_>, record: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    metadata.callsite().hash(&mut hasher);
    if let Some(status) = record.field("status") {
        status.to_string().hash(&mut hasher);
    }
    match record.field("error") {
        Some(error) => error.to_string().hash(&mut hasher),
        None => record.message().hash(&mut hasher),
    }
    hasher.finish()
}

const SECOND: Duration = Duration::from_secs(1);
/// How many times the lines of one kind all kinds together may have.
const ALL_KINDS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_kind_leaves_room_for_others() {
        let mut sampler = Sampler::new(3);
        let start = Instant::now();
        let wrote = |sampler: &mut Sampler, kind, at| sampler.admit(kind, at).write;
        let first = (0..1000).filter(|_| wrote(&mut sampler, Some(1), start));
        assert_eq!(first.count(), 3);
        assert!(wrote(&mut sampler, Some(2), start));
        assert!(wrote(&mut sampler, None, start));
        let next = sampler.admit(None, start + SECOND);
        assert_eq!((next.write, next.suppressed_before), (true, 997));
        let next = sampler.admit(Some(1), start + SECOND);
        assert_eq!((next.write, next.suppressed_before), (true, 0));
    }

    #[test]
    fn many_kinds_are_limited_together() {
        let mut sampler = Sampler::new(3);
        let now = Instant::now();
        let written = (0..1000).filter(|kind| sampler.admit(Some(*kind), now).write);
        assert_eq!(written.count(), 30);
        assert!(sampler.kinds.len() <= 30);
    }

    #[test]
    fn zero_is_no_limit() {
        let mut sampler = Sampler::new(0);
        let now = Instant::now();
        assert!((0..1000).all(|_| sampler.admit(Some(1), now).write));
    }
}
