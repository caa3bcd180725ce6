//! Things that are in progress.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{IMAGES_IN_PROGRESS, OPERATIONS_ACTIVE, REQUESTS_IN_PROGRESS};

/// Counts one thing as in progress until dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the count"]
pub struct InProgress(&'static AtomicU64);

impl InProgress {
    /// An image request inside the handler.
    pub fn requests() -> Self {
        Self::new(&REQUESTS_IN_PROGRESS)
    }

    /// An image request that holds a worker, or a raw stream.
    pub fn images() -> Self {
        Self::new(&IMAGES_IN_PROGRESS)
    }

    /// An image on a worker thread.
    pub fn operations() -> Self {
        Self::new(&OPERATIONS_ACTIVE)
    }

    fn new(count: &'static AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
