//! The caches.

use std::time::Duration;

use super::errors::Warning;
use super::lists::format::SIZE;
use super::lists::size;
use super::types::format::SECONDS;
use super::types::{choice, seconds};
use super::var::{Scope, Var};

/// Where results are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheType {
    /// Nowhere; identical concurrent requests still share one job.
    #[default]
    Off,
    /// In memory.
    Memory,
}

/// `spec/imgforge-original.md` section 5.
#[derive(Clone, Debug, Default)]
pub struct CacheConfig {
    /// `IMGFORGE_CACHE_TYPE`.
    pub kind: CacheType,
    /// `IMGFORGE_CACHE_MEMORY_CAPACITY` in bytes.
    pub memory_capacity: u64,
    /// `IMGFORGE_NEGATIVE_TTL_…`.
    pub negative: NegativeTtl,
}

/// How long a failed source is not asked again, by class; zero is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NegativeTtl {
    /// The source answers with a status from 400 to 499.
    pub client_error: Duration,
    /// The source answers with a status from 500, in time or not at all.
    pub unavailable: Duration,
    /// The source is no image.
    pub not_an_image: Duration,
}

impl NegativeTtl {
    /// Whether nothing is remembered.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "CACHE_TYPE",
        "off",
        "off|memory",
        "Where results are kept: nowhere or in memory.",
        |d, v| choice(v, TYPES).map(|kind| d.config.cache.kind = kind),
    )
    .scope(Scope::Own),
    Var::new(
        "CACHE_MEMORY_CAPACITY",
        "256M",
        SIZE,
        "How many bytes of results are kept in memory. `K`, `M`, `G` and `KiB` … count in 1024, `KB` … in 1000. A bare \
         number below 1,000,000 is taken for a number of entries, as in older versions: it gives a warning and the \
         default.",
        |d, v| {
            let mut bytes = size(v)?;
            // The variable used to count entries, 1000 by default; as bytes such a number would be no cache at all.
            if bytes < ENTRY_COUNTS_END && v.trim().bytes().all(|b| b.is_ascii_digit()) {
                d.warnings.push(Warning::Note(format!(
                    "cache memory capacity {v} is too small for bytes and was taken for a number of entries, \
                     256 MiB are used"
                )));
                bytes = DEFAULT_CAPACITY;
            }
            d.config.cache.memory_capacity = bytes;
            Ok(())
        },
    )
    .scope(Scope::Own),
    Var::new(
        "NEGATIVE_TTL_CLIENT_ERROR",
        "0",
        SECONDS,
        "How long a source that answered with 400 to 499 is not asked again: its error is answered at once. 0 asks every \
         time.",
        |d, v| seconds(v).map(|ttl| d.config.cache.negative.client_error = ttl),
    )
    .scope(Scope::Own),
    Var::new(
        "NEGATIVE_TTL_UNAVAILABLE",
        "0",
        SECONDS,
        "The same for a source that answered with 500 or above, too late, or could not be reached.",
        |d, v| seconds(v).map(|ttl| d.config.cache.negative.unavailable = ttl),
    )
    .scope(Scope::Own),
    Var::new(
        "NEGATIVE_TTL_NOT_AN_IMAGE",
        "0",
        SECONDS,
        "The same for a source that is of no known format.",
        |d, v| seconds(v).map(|ttl| d.config.cache.negative.not_an_image = ttl),
    )
    .scope(Scope::Own),
];

const TYPES: &[(&str, CacheType)] = &[("off", CacheType::Off), ("memory", CacheType::Memory)];

/// Bare numbers below this are counts of entries. Rule: `spec/imgforge-original.md` section 5.
const ENTRY_COUNTS_END: u64 = 1_000_000;

const DEFAULT_CAPACITY: u64 = 256 * 1024 * 1024;
