//! What a format is told by: the first bytes, the extension, the declared type.

#![no_main]

use imgforge::format::sniff::{WINDOW, sniff};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let format = sniff(data, None, None);
    let start = data.get(..WINDOW).unwrap_or(data);
    assert_eq!(sniff(start, None, None), format, "only the window counts");
    let raw = sniff(data, Some("nef"), Some("image/x-nikon-nef"));
    assert!(
        raw.is_none() || raw == format,
        "a name can only rule a format out"
    );
});
