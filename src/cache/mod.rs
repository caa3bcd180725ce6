//! Keeping what was made, and sharing the work on it: requests that need the same thing at the same time are one piece of
//! work, whether or not its outcome is kept. Rule: `spec/imgforge-original.md` section 5, `spec/http.md` section 14.
//!
//! Owns keys, lifetimes, storage and the hand-over between requests. It knows bytes and headers, not images, and keeps no
//! errors.

mod disk;
mod key;
mod lifetime;
mod memory;
mod policy;
mod purge;
mod single_flight;
mod store;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use self::key::{CacheKey, KeyParts};
pub use self::lifetime::{Freshness, Lifetime, State};
pub use self::policy::Policy;
pub use self::purge::{Epoch, Purge, Tags};
pub use self::single_flight::{Lead, Seat, SingleFlight, Turn};
pub use self::store::{Labels, RESULTS, SOURCES, Store};

/// What a cache can hold.
pub trait Cached: Clone + Send + Sync + 'static {
    /// Size in bytes: body and headers.
    fn weight(&self) -> u64;

    /// The large part.
    fn body(&self) -> &Bytes;

    /// Everything else, for [`Cached::restore`].
    fn describe(&self) -> Vec<u8>;

    /// The value again; `None` where the description is not one of this program's.
    fn restore(description: &[u8], body: Bytes) -> Option<Self>;
}

/// A value in a cache.
#[derive(Clone, Debug)]
pub struct Kept<V> {
    /// The value.
    pub value: V,
    /// How long it may be served.
    pub lifetime: Lifetime,
    /// What it belongs to.
    pub tags: Tags,
}
