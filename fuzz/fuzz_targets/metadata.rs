//! Copyright out of IPTC and XMP. The first byte chooses.

#![no_main]

use imgforge::processing::fuzzing::{copyright_of_iptc, copyright_of_xmp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else {
        return;
    };
    let copyright = if which & 1 == 0 {
        copyright_of_iptc
    } else {
        copyright_of_xmp
    };
    if let Some(kept) = copyright(data) {
        assert_eq!(
            copyright(&kept).as_ref(),
            Some(&kept),
            "once more changes nothing"
        );
    }
});
