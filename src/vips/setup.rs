//! Starting libvips: once per process, with everything off that a proxy must not have on.

use std::ffi::{CStr, CString, c_void};
use std::sync::OnceLock;

use libvips::bindings::{
    GLogLevelFlags, GLogLevelFlags_G_LOG_LEVEL_DEBUG, GLogLevelFlags_G_LOG_LEVEL_INFO,
    GLogLevelFlags_G_LOG_LEVEL_MESSAGE, GLogLevelFlags_G_LOG_LEVEL_WARNING, g_log_set_handler,
    g_type_name, gchar, vips_block_untrusted_set, vips_cache_set_max, vips_cache_set_max_files,
    vips_cache_set_max_mem, vips_cache_set_trace, vips_concurrency_set, vips_init, vips_leak_set,
    vips_operation_block_set, vips_type_find,
};

use super::vector::{self, Vector};
use super::{Error, version};

/// How libvips is set up.
#[derive(Clone, Copy, Debug)]
pub struct VipsSettings {
    /// Whether vector code is used.
    pub vector: Vector,
    /// Nicknames of the loaders that may run, for example `jpegload_source`. All others are blocked. A loader that this
    /// libvips lacks is skipped.
    pub allowed_loaders: &'static [&'static str],
    /// Switches libvips' own leak check on, as `VIPS_LEAK` in the environment does; for tests.
    pub leak_check: bool,
    /// Lets libvips print every operation that it builds on standard output.
    pub cache_trace: bool,
}

/// Whether [`init`] has succeeded.
pub fn is_ready() -> bool {
    matches!(STATE.get(), Some(Ok(_)))
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

/// Every way into libvips asks this first, so that no safe call can reach a library that was not started.
pub(super) fn ensure_ready(operation: &str) -> Result<(), Error> {
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
    if settings.leak_check {
        // SAFETY: sets a flag.
        unsafe { vips_leak_set(1) };
    }
    if settings.cache_trace {
        // SAFETY: sets a flag.
        unsafe { vips_cache_set_trace(1) };
    }
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

/// Savers that some versions block as untrusted although they only read our own pixels.
const UNTRUSTED_SAVERS: [&str; 1] = ["jxlsave_target"];

static STATE: OnceLock<Result<InitReport, Error>> = OnceLock::new();

#[cfg(test)]
mod tests {
    use super::super::stress;
    use super::*;

    #[test]
    fn starting_twice_gives_the_same_report() {
        let first = stress::ready();
        let other = VipsSettings {
            vector: Vector::On,
            allowed_loaders: &[],
            leak_check: false,
            cache_trace: false,
        };
        assert_eq!(init(&other), Ok(first.clone()));
        assert_eq!(first.vips_version, version());
        assert!(version() >= (8, 13, 0), "{:?}", version());
        assert!(!first.reason.is_empty());
    }
}
