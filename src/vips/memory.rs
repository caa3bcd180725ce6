//! The memory of libvips and of the allocator under it.

use super::setup::ensure_ready;
use libvips::bindings::{
    vips_tracked_get_allocs, vips_tracked_get_mem, vips_tracked_get_mem_highwater,
};

/// Memory that libvips allocated for pixels; decoders' own memory is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in use.
    pub current: u64,
    /// The most bytes that were in use at once.
    pub highwater: u64,
    /// Number of allocations in use.
    pub allocs: u64,
}

/// Memory in use now. All zero before [`super::init`].
pub fn memory() -> Memory {
    if ensure_ready("memory").is_err() {
        return Memory {
            current: 0,
            highwater: 0,
            allocs: 0,
        };
    }
    // SAFETY: reads a counter under libvips' lock.
    let current = unsafe { vips_tracked_get_mem() };
    // SAFETY: reads a counter under libvips' lock.
    let highwater = unsafe { vips_tracked_get_mem_highwater() };
    // SAFETY: reads a counter under libvips' lock.
    let allocs = unsafe { vips_tracked_get_allocs() };
    Memory {
        current,
        highwater,
        allocs: u64::try_from(allocs).unwrap_or(0),
    }
}

/// What glibc's allocator holds, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocator {
    /// In use by the program, small blocks.
    pub used: usize,
    /// Free, but not given back to the system.
    pub free: usize,
    /// In use by the program, large blocks with a mapping of their own.
    pub mapped: usize,
}

/// State of the allocator; `None` where the C library does not tell.
pub fn allocator() -> Option<Allocator> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: reads counters under the allocator's locks.
        let info = unsafe { libc::mallinfo2() };
        Some(Allocator {
            used: info.uordblks,
            free: info.fordblks,
            mapped: info.hblkhd,
        })
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}

/// Gives free memory back to the system; returns whether there was any. Without effect on other C libraries than glibc.
pub fn trim() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: takes the allocator's locks one after the other and touches free memory only.
        unsafe { libc::malloc_trim(0) != 0 }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_knows_of_a_large_block() {
        let before = allocator().unwrap();
        let block = vec![1_u8; 256 << 20];
        let after = allocator().unwrap();
        assert!(
            after.used + after.mapped >= before.used + (256 << 20),
            "{before:?} {after:?}"
        );
        drop(block);
        trim();
    }
}
