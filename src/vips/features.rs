//! What the running libvips can do. Distributions ship formats as modules, so an operation can be missing although the
//! headers know it.

use bytes::Bytes;

use super::operation::is_concrete;
use super::{Error, Image, Interpretation, Operation, Value, calls, ensure_ready};

/// Whether there is an operation of this nickname, for example `jpegload_source`.
pub fn has_operation(nickname: &str) -> bool {
    let name = std::ffi::CString::new(nickname);
    ensure_ready(nickname).is_ok() && name.is_ok_and(|name| is_concrete(c"VipsOperation", &name))
}

/// Whether an operation has an input argument of this name.
pub fn operation_has_argument(nickname: &str, argument: &str) -> bool {
    Operation::new(nickname).is_ok_and(|operation| operation.supports(argument))
}

/// Encodes a small RGB picture and returns the number of bytes.
///
/// The HEIF savers exist even without an encoder for the wanted compression; only trying shows it.
///
/// # Errors
///
/// The saver is missing or cannot encode with these arguments.
pub fn probe_save(nickname: &str, arguments: &[(&str, Value<'_>)]) -> Result<usize, Error> {
    let pixels: Vec<u8> = (0..PROBE_SIDE * PROBE_SIDE * 3)
        .map(|n| u8::try_from(n % 251).unwrap_or(0))
        .collect();
    let side = PROBE_SIDE;
    let image = Image::from_pixels(Bytes::from(pixels), side, side, 3, Interpretation::Srgb)?;
    Ok(calls::save(&image, nickname, arguments)?.len())
}

/// Side of the probe in pixels: AV1 encoders refuse less than 16.
const PROBE_SIDE: i32 = 64;

#[cfg(test)]
mod tests {
    use super::super::stress::ready;
    use super::*;

    #[test]
    fn operations_and_arguments_are_looked_up() {
        ready();
        assert!(has_operation("resize") && has_operation("jpegload_source"));
        assert!(!has_operation("bmpload_source") && !has_operation("a\0b"));
        assert!(operation_has_argument("jpegsave_target", "Q"));
        assert!(!operation_has_argument(
            "jpegsave_target",
            "from_the_future"
        ));
        assert!(!operation_has_argument("no_such", "Q"));
    }

    #[test]
    fn a_probe_encodes_or_says_why_not() {
        ready();
        assert!(probe_save("jpegsave_target", &[]).unwrap() > 100);
        assert!(probe_save("bmpsave_target", &[]).is_err());
        assert!(probe_save("jpegsave_target", &[("Q", Value::Int(1000))]).is_err());
    }
}
