//! Failed downloads: what is shared of them, and for how long they are remembered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::CacheKey;
use crate::config::cache::NegativeTtl;
use crate::error::{Error, Kind};
use crate::source::FetchError;

/// A failed download, as every request that waited for it is told.
#[derive(Clone, Debug)]
pub(in crate::service) struct Failure {
    /// The error of the request.
    pub(in crate::service) error: Error,
    /// Whether the fallback image may stand in.
    pub(in crate::service) allows_fallback: bool,
    /// Whether it says nothing about the source, only about one request.
    pub(super) is_own: bool,
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self {
            allows_fallback: error.allows_fallback(),
            // A download that was given up early may succeed in the time that another request has left.
            is_own: matches!(
                error,
                FetchError::RequestTimeout { .. } | FetchError::DownloadTimeout { .. }
            ),
            error: error.into(),
        }
    }
}

/// Failures of a moment ago, by source.
#[derive(Debug)]
pub(super) struct Negative {
    ttl: NegativeTtl,
    entries: Mutex<HashMap<CacheKey, (Failure, Instant)>>,
}

impl Negative {
    pub(super) fn new(ttl: NegativeTtl) -> Self {
        Self {
            ttl,
            entries: Mutex::default(),
        }
    }

    /// The failure of a source, while it is remembered.
    pub(super) fn recall(&self, key: &CacheKey) -> Option<Failure> {
        if self.ttl.is_off() {
            return None;
        }
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (failure, until) = entries.get(key)?;
        (Instant::now() < *until).then(|| failure.clone())
    }

    /// Remembers the failure of a source for as long as its class is remembered.
    pub(super) fn remember(&self, key: CacheKey, failure: &Failure) {
        let ttl = self.ttl_of(failure);
        if ttl.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST_ENTRIES {
            entries.retain(|_, (_, until)| now < *until);
        }
        if entries.len() < MOST_ENTRIES {
            entries.insert(key, (failure.clone(), now + ttl));
        }
    }

    /// Forgets all failures.
    pub(super) fn clear(&self) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.clear();
    }

    fn ttl_of(&self, failure: &Failure) -> Duration {
        match failure.error.kind() {
            Kind::SourceClientError(_) => self.ttl.client_error,
            Kind::SourceServerError | Kind::SourceUnreachable | Kind::SourceTimeout => {
                self.ttl.unavailable
            }
            Kind::SourceFormatUnknown => self.ttl.not_an_image,
            _ => Duration::ZERO,
        }
    }
}

/// Bound of the memory: an entry has some hundred bytes.
const MOST_ENTRIES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_their_own_time() {
        let negative = Negative::new(NegativeTtl {
            client_error: Duration::from_secs(60),
            ..NegativeTtl::default()
        });
        let status = |status| {
            Failure::from(FetchError::Status {
                status,
                excerpt: String::new(),
            })
        };
        let (missing, broken) = (CacheKey::of(&[b"a"]), CacheKey::of(&[b"b"]));
        negative.remember(missing, &status(404));
        negative.remember(broken, &status(500));
        let recalled = negative.recall(&missing).expect("a remembered failure");
        assert_eq!(recalled.error.kind(), Kind::SourceClientError(404));
        assert!(negative.recall(&broken).is_none());
        negative.clear();
        assert!(negative.recall(&missing).is_none());
    }

    #[test]
    fn memory_ends_and_is_bounded() {
        let negative = Negative::new(NegativeTtl {
            not_an_image: Duration::from_millis(1),
            ..NegativeTtl::default()
        });
        let failure = Failure::from(FetchError::FormatUnknown);
        for number in 0..2 * MOST_ENTRIES {
            negative.remember(CacheKey::of(&[&number.to_be_bytes()]), &failure);
        }
        assert!(negative.entries.lock().unwrap().len() <= MOST_ENTRIES);
        std::thread::sleep(Duration::from_millis(5));
        assert!(
            negative
                .recall(&CacheKey::of(&[&0_usize.to_be_bytes()]))
                .is_none()
        );
    }
}
