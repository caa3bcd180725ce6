//! The result cache.

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
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// `IMGFORGE_CACHE_TYPE`.
    pub kind: CacheType,
    /// `IMGFORGE_CACHE_MEMORY_CAPACITY` in bytes.
    pub memory_capacity: u64,
}
