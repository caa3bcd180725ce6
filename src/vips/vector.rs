//! Whether libvips may use vector code.
//!
//! libvips before 8.15 makes vector code at run time with ORC, and ORC below 0.4.34 corrupts memory when two pipelines
//! run at once (`spec/libvips-versions.md` 3.14).

use std::ffi::{CStr, c_char};

/// Whether vector code is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vector {
    /// Off where the engine is known or suspected not to be thread-safe.
    #[default]
    Auto,
    /// Always on.
    On,
    /// Always off.
    Off,
}

/// Switches vector code and says whether it is on and why. libvips must be initialised and must not have run anything.
pub(super) fn configure(wish: Vector, vips: (u32, u32, u32)) -> (bool, String) {
    let (wanted, reason) = decide(wish, vips, orc_version().as_deref());
    match wish {
        // `VIPS_NOVECTOR` in the environment stays in force.
        Vector::Auto if wanted => {}
        _ => set_enabled(wanted),
    }
    (is_enabled(), reason)
}

fn decide(wish: Vector, vips: (u32, u32, u32), orc: Option<&str>) -> (bool, String) {
    match (wish, orc) {
        (Vector::On, _) => (true, "switched on by configuration".to_owned()),
        (Vector::Off, _) => (false, "switched off by configuration".to_owned()),
        (Vector::Auto, Some(text)) => match parse(text) {
            Some(orc) if orc >= SAFE_ORC => (true, format!("ORC {text} is thread-safe")),
            _ => (false, format!("ORC {text} is not thread-safe")),
        },
        (Vector::Auto, None) if (vips.0, vips.1) < FIRST_WITHOUT_ORC => (
            false,
            "the version of ORC is unknown, and this libvips may use it".to_owned(),
        ),
        (Vector::Auto, None) => (true, "this libvips does not use ORC".to_owned()),
    }
}

fn parse(version: &str) -> Option<(u32, u32, u32)> {
    let mut parts = version.split(['.', '-']).map(str::parse);
    let mut next = || parts.next()?.ok();
    Some((next()?, next()?, next()?))
}

/// The version of the ORC in this process; `None` without ORC.
fn orc_version() -> Option<String> {
    // SAFETY: looks a name up among the libraries of the process.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"orc_version_string".as_ptr()) };
    if symbol.is_null() {
        return None;
    }
    type VersionString = unsafe extern "C" fn() -> *const c_char;
    // SAFETY: this is the type that ORC's header declares for the symbol.
    let version_string = unsafe { std::mem::transmute::<*mut libc::c_void, VersionString>(symbol) };
    // SAFETY: takes no arguments and returns a constant string.
    let text = unsafe { version_string() };
    if text.is_null() {
        return Some(String::new());
    }
    // SAFETY: a terminated string that lives as long as the library.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

fn set_enabled(enabled: bool) {
    // SAFETY: sets a flag.
    unsafe { vips_vector_set_enabled(i32::from(enabled)) };
}

fn is_enabled() -> bool {
    // SAFETY: reads a flag.
    unsafe { vips_vector_isenabled() != 0 }
}

// Missing in the generated bindings; declared in libvips' `vector.h`, in 8.14 as in 8.18.
unsafe extern "C" {
    fn vips_vector_set_enabled(enabled: libvips::bindings::gboolean);
    fn vips_vector_isenabled() -> libvips::bindings::gboolean;
}

/// The first ORC whose code memory is thread-safe.
const SAFE_ORC: (u32, u32, u32) = (0, 4, 34);

/// The first libvips that uses Highway by default.
const FIRST_WITHOUT_ORC: (u32, u32) = (8, 15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_code_is_off_only_where_it_may_crash() {
        let cases = [
            ("old orc", Vector::Auto, (8, 14, 1), Some("0.4.33"), false),
            ("fixed orc", Vector::Auto, (8, 14, 1), Some("0.4.34"), true),
            ("newer orc", Vector::Auto, (8, 15, 1), Some("0.4.38"), true),
            ("git orc", Vector::Auto, (8, 14, 1), Some("0.4.34-1"), true),
            ("strange orc", Vector::Auto, (8, 14, 1), Some("new"), false),
            ("no orc, old", Vector::Auto, (8, 14, 5), None, false),
            ("no orc, new", Vector::Auto, (8, 15, 0), None, true),
            ("forced on", Vector::On, (8, 14, 1), Some("0.4.33"), true),
            ("forced off", Vector::Off, (8, 18, 2), None, false),
        ];
        for (name, wish, vips, orc, expected) in cases {
            assert_eq!(decide(wish, vips, orc).0, expected, "{name}");
        }
    }
}
