//! How far a download is that several requests wait for: what of their own time it has used.
//!
//! A request may wait for a download no longer than it may download. What does not count, for the one that downloads nor
//! for those that wait for it: the wait for the turn of the host, and for room in memory.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::source::Claim;

/// The downloads of one flight, of which one runs at a time.
#[derive(Debug, Default)]
pub(super) struct Progress(watch::Sender<Option<Begun>>);

#[derive(Clone, Debug)]
struct Begun {
    /// When the first download began.
    at: Instant,
    /// Of the latest one; not kept alive, because it holds memory.
    claim: Weak<Claim>,
}

impl Progress {
    /// A download begins.
    pub(super) fn begin(&self, claim: Option<&Arc<Claim>>) {
        self.0.send_modify(|begun| {
            let at = begun.as_ref().map_or_else(Instant::now, |begun| begun.at);
            let claim = claim.map_or_else(Weak::new, Arc::downgrade);
            *begun = Some(Begun { at, claim });
        });
    }

    /// When a request of the moment `asked` has had its time; `None` while no download has begun.
    pub(super) fn end(&self, asked: Instant, timeout: Duration) -> Option<Instant> {
        let begun = self.0.borrow();
        begun.as_ref().map(|begun| begun.end(asked, timeout))
    }

    /// Waits until a request of the moment `asked` has had its time.
    pub(super) async fn used_up(&self, asked: Instant, timeout: Duration) {
        let mut changes = self.0.subscribe();
        loop {
            // The sender is here, so that waiting cannot fail.
            let _ = changes.wait_for(Option::is_some).await;
            match self.end(asked, timeout) {
                Some(end) if Instant::now() < end => sleep_until(end).await,
                _ => return,
            }
        }
    }
}

impl Begun {
    fn end(&self, asked: Instant, timeout: Duration) -> Instant {
        let waited = self.claim.upgrade().map(|claim| claim.waited());
        self.at.max(asked) + timeout + waited.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn only_the_time_of_a_download_counts() {
        let (progress, asked) = (Progress::default(), Instant::now());
        let mut waiting = Box::pin(progress.used_up(asked, Duration::ZERO));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(progress.end(asked, TIMEOUT), None);
        progress.begin(None);
        waiting.await;
        let end = progress.end(asked, TIMEOUT).expect("an end");
        assert!(end > asked + TIMEOUT, "the wait did not count");
        // Another one takes over: what has been used is used.
        tokio::time::sleep(Duration::from_millis(2)).await;
        progress.begin(None);
        assert_eq!(progress.end(asked, TIMEOUT), Some(end));
        // Who has come later has the whole time.
        let later = end + TIMEOUT;
        assert_eq!(progress.end(later, TIMEOUT), Some(later + TIMEOUT));
    }

    #[tokio::test]
    async fn waiting_for_room_does_not_count() {
        let memory = crate::source::Memory::new(1 << 20);
        let claim = Arc::new(memory.claim());
        let (progress, asked) = (Progress::default(), Instant::now());
        progress.begin(Some(&claim));
        let end = progress.end(asked, TIMEOUT).expect("an end");
        let others = [memory.claim(), memory.claim()];
        others[0].grow(1 << 20).await;
        others[1].grow(1 << 20).await;
        let mut growing = Box::pin(claim.grow(1));
        assert!(futures_util::poll!(&mut growing).is_pending());
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(progress.end(asked, TIMEOUT) > Some(end));
        drop(growing);
        drop(claim);
        assert_eq!(progress.end(asked, TIMEOUT), Some(end));
    }
}
