//! Memory that goes back to the system, and switches that make libvips talk.

use std::time::Duration;

use super::types::format::{BOOL, SECONDS};
use super::types::{boolean, positive_seconds};
use super::var::Var;

/// `spec/configuration.md` sections 3.2 and 3.6.
#[derive(Clone, Debug)]
pub struct DebuggingConfig {
    /// `FREE_MEMORY_INTERVAL`, at least a second.
    pub free_memory_interval: Duration,
    /// `LOG_MEM_STATS`.
    pub log_memory: bool,
    /// `VIPS_LEAK_CHECK`.
    pub leak_check: bool,
    /// `VIPS_CACHE_TRACE`.
    pub cache_trace: bool,
}

impl Default for DebuggingConfig {
    fn default() -> Self {
        Self {
            free_memory_interval: Duration::from_secs(10),
            log_memory: false,
            leak_check: false,
            cache_trace: false,
        }
    }
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "FREE_MEMORY_INTERVAL",
        "10",
        SECONDS,
        "How often memory that is free is given back to the system. On systems without `malloc_trim` the allocator does \
         that by itself.",
        |d, v| positive_seconds(v).map(|t| d.config.debugging.free_memory_interval = t),
    ),
    Var::new(
        "LOG_MEM_STATS",
        "false",
        BOOL,
        "Log at the same interval how much memory the process, the allocator and libvips hold.",
        |d, v| boolean(v).map(|b| d.config.debugging.log_memory = b),
    ),
    Var::new(
        "VIPS_LEAK_CHECK",
        "false",
        BOOL,
        "Let libvips keep account of its objects, and log at the end how many were left over. It costs time.",
        |d, v| boolean(v).map(|b| d.config.debugging.leak_check = b),
    ),
    Var::new(
        "VIPS_CACHE_TRACE",
        "false",
        BOOL,
        "Let libvips print every operation that it builds on standard output, in its own form.",
        |d, v| boolean(v).map(|b| d.config.debugging.cache_trace = b),
    ),
];
