//! The sanitiser of SVG: what it gives out has nothing left to remove.

#![no_main]

use imgforge::processing::fuzzing::sanitise;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(clean) = sanitise(data) else { return };
    let again = sanitise(&clean).expect("its own output can be read");
    assert_eq!(again, clean, "once more changes nothing");
});
