//! What is to be removed before its time, and what was begun before that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::CacheKey;

/// What an entry belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags {
    /// The source URL.
    pub source: Arc<str>,
    /// The request without what the client's headers contributed: entries with the same are variants of one URL.
    pub variant_of: CacheKey,
}

/// Which entries are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// All of them.
    All,
    /// Those of one source.
    Source(Arc<str>),
    /// Those of all sources whose URL begins so.
    Prefix(Arc<str>),
    /// The variants of one request.
    Variants {
        /// Its source.
        source: Arc<str>,
        /// [`Tags::variant_of`].
        variant_of: CacheKey,
    },
}

impl Purge {
    /// Whether the entry with these tags is removed.
    pub fn is_about(&self, tags: &Tags) -> bool {
        match self {
            Self::All => true,
            Self::Source(source) => *source == tags.source,
            Self::Prefix(prefix) => tags.source.starts_with(&**prefix),
            Self::Variants { source, variant_of } => {
                *source == tags.source && *variant_of == tags.variant_of
            }
        }
    }
}

/// Counts purges.
#[derive(Clone, Debug, Default)]
pub(super) struct Epochs(Arc<AtomicU64>);

impl Epochs {
    pub(super) fn now(&self) -> Epoch {
        Epoch {
            begun: self.0.load(Ordering::Acquire),
            current: self.clone(),
        }
    }

    pub(super) fn advance(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// A moment between two purges. What was begun before a purge is not kept after it.
#[derive(Clone, Debug)]
pub struct Epoch {
    begun: u64,
    current: Epochs,
}

impl Epoch {
    /// Whether a purge has come since.
    pub(super) fn has_passed(&self) -> bool {
        self.current.0.load(Ordering::Acquire) != self.begun
    }
}
