//! The only unsafe code: safe handles over libvips.
//!
//! It owns initialisation, object lifetimes, argument checks, error texts and cancellation. It imports nothing else of
//! this crate and must not know requests, options or plans. Only the raw bindings of the `libvips` crate are used: its
//! safe layer frees images twice and reads freed bytes. No pointer leaves this folder.

#![expect(unsafe_code, reason = "this folder is the boundary to libvips")]

pub mod calls;
mod cancel;
mod error;
mod features;
mod image;
mod kinds;
mod memory;
mod metadata;
mod object;
mod operation;
mod region;
mod setup;
mod source;
#[cfg(test)]
mod stress;
mod target;
mod value;
mod vector;

use std::ffi::c_void;
use std::marker::PhantomData;

use libvips::bindings::{vips_object_map, vips_thread_shutdown, vips_version};

pub use cancel::{Cancel, CancelScope};
pub use error::Error;
pub use features::{has_operation, operation_has_argument, probe_save};
pub use image::Image;
pub use kinds::{Access, Angle, BandFormat, Direction, Extend, Interpretation, Kernel, Pcs};
pub use memory::{Allocator, Memory, allocator, memory, trim};
pub use metadata::Metadata;
pub use operation::{Built, Operation};
pub use region::Region;
use setup::ensure_ready;
pub use setup::{InitReport, VipsSettings, init, is_ready};
pub use source::Source;
#[cfg(test)]
pub(crate) use stress::ready;
pub use target::Target;
pub use value::Value;
pub use vector::Vector;

/// Version of the running libvips: major, minor, micro.
pub fn version() -> (u32, u32, u32) {
    let part = |index| {
        // SAFETY: returns a constant of the library, also before initialisation.
        let number = unsafe { vips_version(index) };
        u32::try_from(number).unwrap_or(0)
    };
    (part(0), part(1), part(2))
}

/// Number of libvips objects alive in the process, for leak tests. 0 before [`init`].
pub fn live_objects() -> usize {
    if ensure_ready("live_objects").is_err() {
        return 0;
    }
    let mut count = 0_usize;
    // SAFETY: libvips calls the function for every object under its lock; it only adds to `count`, which outlives it.
    unsafe {
        vips_object_map(
            Some(count_object),
            (&raw mut count).cast(),
            std::ptr::null_mut(),
        )
    };
    count
}

/// Limits glibc's memory arenas, which otherwise grow with the number of threads and are never given back. Call it
/// before threads start. Without effect on other C libraries. Returns whether the limit was taken.
pub fn set_arena_max(arenas: i32) -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: sets one number of the allocator.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) != 0 }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        let _ = arenas;
        false
    }
}

/// Sets the nice value of the calling thread, from 0 (normal) to 19 (lowest). Returns whether it was taken; elsewhere
/// than on Linux nothing happens, as the call would be about the whole process there.
pub fn lower_thread_priority(nice: i32) -> bool {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: takes plain numbers and touches no memory; id 0 means the calling thread on Linux.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) == 0 }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = nice;
        false
    }
}

/// Ends a job on this thread when dropped: forgets error texts and frees libvips' buffers of the thread.
///
/// A worker makes one for every job, before its first image, so that it is dropped after the last.
#[derive(Debug)]
pub struct ThreadGuard {
    not_send: PhantomData<*const ()>,
}

impl ThreadGuard {
    /// A guard for the current thread.
    pub fn new() -> Self {
        Self {
            not_send: PhantomData,
        }
    }
}

impl Default for ThreadGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        if ensure_ready("thread").is_err() {
            return;
        }
        error::clear_buffer();
        // SAFETY: frees what libvips stored for this thread; it is made again when needed.
        unsafe { vips_thread_shutdown() };
    }
}

unsafe extern "C" fn count_object(
    _object: *mut c_void,
    count: *mut c_void,
    _unused: *mut c_void,
) -> *mut c_void {
    let count = count.cast::<usize>();
    // SAFETY: `live_objects` passes its counter, and libvips calls this one at a time.
    unsafe { *count += 1 };
    std::ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_works_before_the_start() {
        stress::run_alone("vips::tests::child_does_not_start_libvips");
    }

    #[test]
    #[ignore = "libvips must not be started; nothing_works_before_the_start runs it alone"]
    fn child_does_not_start_libvips() {
        let _guard = ThreadGuard::new();
        let bytes = bytes::Bytes::from_static(&[0; 3]);
        assert!(Operation::new("resize").is_err());
        assert!(Target::memory().is_err());
        assert!(Image::from_pixels(bytes, 1, 1, 3, Interpretation::Srgb).is_err());
        assert!(!has_operation("resize"));
        assert_eq!(live_objects(), 0);
        assert_eq!(memory().current, 0);
    }

    #[test]
    fn pixels_in_memory_are_counted() {
        let image = stress::picture(64, 64, 3).copy_memory();
        let image = calls::cast(&image.unwrap(), BandFormat::Double).unwrap();
        let held = image.copy_memory().unwrap();
        let memory = memory();
        assert!(memory.current >= 64 * 64 * 3 * 8, "{memory:?}");
        assert!(memory.highwater >= memory.current && memory.allocs > 0);
        assert!(live_objects() > 0);
        drop(held);
    }
}
