//! The caches.

use std::path::PathBuf;
use std::time::Duration;

use super::draft::Draft;
use super::errors::{ConfigError, Warning};
use super::lists::format::SIZE;
use super::lists::size;
use super::types::format::{SECONDS, STRING};
use super::types::{choice, seconds};
use super::var::{Invalid, Scope, Var};

/// Where a cache keeps what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheType {
    /// Nowhere; concurrent requests still share work.
    #[default]
    Off,
    /// In memory.
    Memory,
    /// In a directory.
    Disk,
    /// In a directory, with a part of it in memory.
    Hybrid,
}

/// `spec/imgforge-original.md` section 5.
#[derive(Clone, Debug, Default)]
pub struct CacheConfig {
    /// Results.
    pub results: StoreConfig,
    /// Sources.
    pub sources: StoreConfig,
    /// How long both are used.
    pub freshness: FreshnessConfig,
    /// `IMGFORGE_NEGATIVE_TTL_…`.
    pub negative: NegativeTtl,
}

/// One cache.
#[derive(Clone, Debug, Default)]
pub struct StoreConfig {
    /// `IMGFORGE_CACHE_TYPE`, `IMGFORGE_SOURCE_CACHE`.
    pub kind: CacheType,
    /// `IMGFORGE_CACHE_MEMORY_CAPACITY`, `IMGFORGE_SOURCE_CACHE_MEMORY_CAPACITY` in bytes.
    pub memory_capacity: u64,
    /// `IMGFORGE_CACHE_DISK_PATH`; there where `kind` needs it.
    pub disk_path: Option<PathBuf>,
    /// `IMGFORGE_CACHE_DISK_CAPACITY`, `IMGFORGE_SOURCE_CACHE_DISK_CAPACITY` in bytes.
    pub disk_capacity: u64,
}

/// How long what a source has sent is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreshnessConfig {
    /// `IMGFORGE_CACHE_DEFAULT_TTL`: where the source says nothing.
    pub default_ttl: Duration,
    /// `IMGFORGE_CACHE_MAX_TTL`: whatever the source says.
    pub max_ttl: Duration,
    /// `IMGFORGE_CACHE_STALE_WHILE_REVALIDATE`: where the source says nothing.
    pub stale_while_revalidate: Duration,
    /// `IMGFORGE_CACHE_STALE_IF_ERROR`: where the source says nothing.
    pub stale_if_error: Duration,
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
        "off|memory|disk|hybrid",
        "Where results are kept: nowhere, in memory, in the directory `IMGFORGE_CACHE_DISK_PATH`, or there with a part of \
         it in memory.",
        |d, v| choice(v, TYPES).map(|kind| d.config.cache.results.kind = kind),
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
            let bytes = bytes_not_entries(d, v, 1_000_000, 256 << 20)?;
            d.config.cache.results.memory_capacity = bytes;
            Ok(())
        },
    )
    .scope(Scope::Own),
    Var::new(
        "CACHE_DISK_PATH",
        "",
        STRING,
        "Directory of the caches that are on a disk, required for them. Made where it is missing. What is in it survives \
         restarts; several servers may share it.",
        |d, v| {
            d.config.cache.results.disk_path = Some(PathBuf::from(v));
            d.config.cache.sources.disk_path = Some(PathBuf::from(v));
            Ok(())
        },
    )
    .scope(Scope::Own),
    Var::new(
        "CACHE_DISK_CAPACITY",
        "1G",
        SIZE,
        "How many bytes of results are kept on the disk. A bare number below 16,777,216 is taken for a number of entries, \
         as older documentation had it: it gives a warning and the default.",
        |d, v| {
            let bytes = bytes_not_entries(d, v, 16 << 20, 1 << 30)?;
            d.config.cache.results.disk_capacity = bytes;
            Ok(())
        },
    )
    .scope(Scope::Own),
    Var::new(
        "SOURCE_CACHE",
        "off",
        "off|memory|disk|hybrid",
        "Where sources are kept, with the same choices as for results. All sizes of a picture share its source.",
        |d, v| choice(v, TYPES).map(|kind| d.config.cache.sources.kind = kind),
    )
    .scope(Scope::Own),
    Var::new(
        "SOURCE_CACHE_MEMORY_CAPACITY",
        "256M",
        SIZE,
        "How many bytes of sources are kept in memory.",
        |d, v| size(v).map(|bytes| d.config.cache.sources.memory_capacity = bytes),
    )
    .scope(Scope::Own),
    Var::new(
        "SOURCE_CACHE_DISK_CAPACITY",
        "1G",
        SIZE,
        "How many bytes of sources are kept on the disk, in a folder of their own in `IMGFORGE_CACHE_DISK_PATH`.",
        |d, v| size(v).map(|bytes| d.config.cache.sources.disk_capacity = bytes),
    )
    .scope(Scope::Own),
    Var::new(
        "CACHE_DEFAULT_TTL",
        "86400",
        SECONDS,
        "How long a result or source is fresh where the source's headers do not say.",
        |d, v| seconds(v).map(|ttl| d.config.cache.freshness.default_ttl = ttl),
    )
    .scope(Scope::Own),
    Var::new(
        "CACHE_MAX_TTL",
        "2592000",
        SECONDS,
        "How long a result or source is fresh at most, and served stale at most, whatever the source's headers say.",
        |d, v| seconds(v).map(|ttl| d.config.cache.freshness.max_ttl = ttl),
    )
    .scope(Scope::Own),
    Var::new(
        "CACHE_STALE_WHILE_REVALIDATE",
        "60",
        SECONDS,
        "How long after its freshness a result is still served while the source is asked again, where the source's \
         headers do not say.",
        |d, v| seconds(v).map(|ttl| d.config.cache.freshness.stale_while_revalidate = ttl),
    )
    .scope(Scope::Own),
    Var::new(
        "CACHE_STALE_IF_ERROR",
        "86400",
        SECONDS,
        "How long after its freshness a result or source is still served where the source cannot be had, where its \
         headers do not say.",
        |d, v| seconds(v).map(|ttl| d.config.cache.freshness.stale_if_error = ttl),
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

/// What only makes sense together.
pub(super) fn complete(draft: &mut Draft) {
    let CacheConfig {
        results, sources, ..
    } = &draft.config.cache;
    for (store, variable) in [(results, "CACHE_TYPE"), (sources, "SOURCE_CACHE")] {
        let needs_path = matches!(store.kind, CacheType::Disk | CacheType::Hybrid);
        if needs_path && store.disk_path.is_none() {
            draft.errors.push(ConfigError::Together(format!(
                "IMGFORGE_CACHE_DISK_PATH must be set where IMGFORGE_{variable} is disk or hybrid"
            )));
        }
    }
}

/// A number of bytes. Older versions documented a number of entries, which as bytes would be no cache at all: a bare
/// number below `end` gives `default`. Rule: `spec/imgforge-original.md` section 5.
fn bytes_not_entries(
    draft: &mut Draft,
    text: &str,
    end: u64,
    default: u64,
) -> Result<u64, Invalid> {
    let bytes = size(text)?;
    if bytes >= end || !text.trim().bytes().all(|b| b.is_ascii_digit()) {
        return Ok(bytes);
    }
    draft.warnings.push(Warning::Note(format!(
        "cache capacity {text} is too small for bytes and was taken for a number of entries, {} MiB are used",
        default >> 20
    )));
    Ok(default)
}

const TYPES: &[(&str, CacheType)] = &[
    ("off", CacheType::Off),
    ("memory", CacheType::Memory),
    ("disk", CacheType::Disk),
    ("hybrid", CacheType::Hybrid),
];
