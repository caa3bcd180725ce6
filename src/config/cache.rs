//! The result cache.

use super::errors::Warning;
use super::lists::format::SIZE;
use super::lists::size;
use super::types::choice;
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
];

const TYPES: &[(&str, CacheType)] = &[("off", CacheType::Off), ("memory", CacheType::Memory)];

/// Bare numbers below this are counts of entries. Rule: `spec/imgforge-original.md` section 5.
const ENTRY_COUNTS_END: u64 = 1_000_000;

const DEFAULT_CAPACITY: u64 = 256 * 1024 * 1024;
