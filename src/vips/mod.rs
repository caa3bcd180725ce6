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
mod metadata;
mod object;
mod operation;
mod source;
#[cfg(test)]
mod stress;
mod target;
mod value;
mod vector;

use std::ffi::{CStr, CString, c_void};
use std::marker::PhantomData;
use std::sync::OnceLock;

use libvips::bindings::{
    GLogLevelFlags, GLogLevelFlags_G_LOG_LEVEL_DEBUG, GLogLevelFlags_G_LOG_LEVEL_INFO,
    GLogLevelFlags_G_LOG_LEVEL_MESSAGE, GLogLevelFlags_G_LOG_LEVEL_WARNING, g_log_set_handler,
    g_type_name, gchar, vips_block_untrusted_set, vips_cache_set_max, vips_cache_set_max_files,
    vips_cache_set_max_mem, vips_concurrency_set, vips_init, vips_leak_set, vips_object_map,
    vips_operation_block_set, vips_thread_shutdown, vips_tracked_get_allocs, vips_tracked_get_mem,
    vips_tracked_get_mem_highwater, vips_type_find, vips_version,
};

pub use cancel::{Cancel, CancelScope};
pub use error::Error;
pub use features::{has_operation, operation_has_argument, probe_save};
pub use image::Image;
pub use kinds::{Access, Angle, BandFormat, Direction, Extend, Interpretation, Kernel, Pcs};
pub use metadata::Metadata;
pub use operation::{Built, Operation};
pub use source::Source;
pub use target::Target;
pub use value::Value;
pub use vector::Vector;

/// How libvips is set up.
#[derive(Clone, Copy, Debug)]
pub struct VipsSettings {
    /// Whether vector code is used.
    pub vector: Vector,
    /// Nicknames of the loaders that may run, for example `jpegload_source`. All others are blocked. A loader that this
    /// libvips lacks is skipped.
    pub allowed_loaders: &'static [&'static str],
    /// Whether libvips keeps books about its objects; for tests.
    pub leak_check: bool,
}

/// What initialisation found and decided, for one line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitReport {
    /// Major, minor and micro version of the running libvips.
    pub vips_version: (u32, u32, u32),
    /// Whether vector code is on.
    pub vector_on: bool,
    /// Why.
    pub reason: String,
}

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

/// Starts libvips once per process; later calls return the first result whatever they ask for.
///
/// The operation cache is off, one thread works for each image, operations that libvips does not trust are blocked, and
/// of all loaders only the allowed ones can run.
///
/// # Errors
///
/// libvips does not start.
pub fn init(settings: &VipsSettings) -> Result<InitReport, Error> {
    STATE.get_or_init(|| start(settings)).clone()
}

/// Version of the running libvips: major, minor, micro.
pub fn version() -> (u32, u32, u32) {
    let part = |index| {
        // SAFETY: returns a constant of the library, also before initialisation.
        let number = unsafe { vips_version(index) };
        u32::try_from(number).unwrap_or(0)
    };
    (part(0), part(1), part(2))
}

/// Memory in use now. All zero before [`init`].
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

/// Every way into libvips asks this first, so that no safe call can reach a library that was not started.
fn ensure_ready(operation: &str) -> Result<(), Error> {
    match STATE.get() {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(error.clone()),
        None => Err(Error::new(operation, "libvips is not initialised")),
    }
}

fn start(settings: &VipsSettings) -> Result<InitReport, Error> {
    // SAFETY: the name is a constant string; the once-cell keeps other threads out.
    if unsafe { vips_init(c"imgforge".as_ptr()) } != 0 {
        return Err(Error::take("vips_init"));
    }
    // SAFETY: sets a flag that is read when libvips shuts down.
    unsafe { vips_leak_set(i32::from(settings.leak_check)) };
    // SAFETY: sets a number.
    unsafe { vips_cache_set_max(0) };
    // SAFETY: sets a number.
    unsafe { vips_cache_set_max_mem(0) };
    // SAFETY: sets a number.
    unsafe { vips_cache_set_max_files(0) };
    // SAFETY: sets a number.
    unsafe { vips_concurrency_set(1) };
    redirect_log();
    block_operations(settings.allowed_loaders);
    let vips_version = version();
    let (vector_on, reason) = vector::configure(settings.vector, vips_version);
    Ok(InitReport {
        vips_version,
        vector_on,
        reason,
    })
}

/// Blocks what libvips does not trust and every loader, then allows those asked for. Some versions do not trust SVG and
/// JPEG XL; those are allowed one by one here, never by switching the protection off.
fn block_operations(allowed_loaders: &[&str]) {
    // SAFETY: marks operation classes.
    unsafe { vips_block_untrusted_set(1) };
    block(c"VipsForeignLoad", true);
    let loaders = allowed_loaders
        .iter()
        .map(|name| (c"VipsForeignLoad", *name));
    let savers = UNTRUSTED_SAVERS
        .iter()
        .map(|name| (c"VipsForeignSave", *name));
    for (base, nickname) in loaders.chain(savers) {
        if let Some(class) = class_name(base, nickname) {
            block(class, false);
        }
    }
}

fn block(class: &CStr, blocked: bool) {
    // SAFETY: the name is terminated; libvips marks the class and those below it.
    unsafe { vips_operation_block_set(class.as_ptr(), i32::from(blocked)) };
}

fn class_name(base: &CStr, nickname: &str) -> Option<&'static CStr> {
    let nickname = CString::new(nickname).ok()?;
    // SAFETY: both names are terminated strings; libvips is initialised.
    let kind = unsafe { vips_type_find(base.as_ptr(), nickname.as_ptr()) };
    if kind == 0 {
        return None;
    }
    // SAFETY: asks about a registered type.
    let name = unsafe { g_type_name(kind) };
    // SAFETY: the name of a registered type is a terminated string that is never freed.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })
}

/// Warnings about damaged images are frequent and of interest only when one looks for them: they become debug events
/// instead of lines on standard error.
fn redirect_log() {
    let levels = GLogLevelFlags_G_LOG_LEVEL_WARNING
        | GLogLevelFlags_G_LOG_LEVEL_MESSAGE
        | GLogLevelFlags_G_LOG_LEVEL_INFO
        | GLogLevelFlags_G_LOG_LEVEL_DEBUG;
    // SAFETY: the handler is a function that lives as long as the process and needs no data.
    unsafe {
        g_log_set_handler(
            c"VIPS".as_ptr(),
            levels,
            Some(log_event),
            std::ptr::null_mut(),
        )
    };
}

unsafe extern "C" fn log_event(
    _domain: *const gchar,
    _level: GLogLevelFlags,
    message: *const gchar,
    _data: *mut c_void,
) {
    if message.is_null() {
        return;
    }
    // SAFETY: glib passes a terminated string that lives during the call.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    tracing::debug!(target: "libvips", %text, "message from libvips");
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

/// Savers that some versions block as untrusted although they only read our own pixels.
const UNTRUSTED_SAVERS: [&str; 1] = ["jxlsave_target"];

static STATE: OnceLock<Result<InitReport, Error>> = OnceLock::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starting_twice_gives_the_same_report() {
        let first = stress::ready();
        let other = VipsSettings {
            vector: Vector::On,
            allowed_loaders: &[],
            leak_check: false,
        };
        assert_eq!(init(&other), Ok(first.clone()));
        assert_eq!(first.vips_version, version());
        assert!(version() >= (8, 13, 0), "{:?}", version());
        assert!(!first.reason.is_empty());
    }

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
