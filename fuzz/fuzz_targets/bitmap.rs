//! Bitmaps, alone and in icons: what their headers say, and their pixels where the size is within a limit.

#![no_main]

use std::sync::Once;

use bytes::Bytes;
use imgforge::decode::bmp::Header;
use imgforge::decode::{self, LoadOptions, ico};
use imgforge::vips::{self, Vector, VipsSettings};
use libfuzzer_sys::fuzz_target;

/// As the server does, and small enough for a thousand pictures in a second.
const MOST_PIXELS: i64 = 1 << 18;

fuzz_target!(|data: &[u8]| {
    for header in [Header::of_file(data), Header::of_icon(data)]
        .into_iter()
        .flatten()
    {
        let size = header.size();
        assert!(size.width > 0 && size.height > 0, "{size}");
        if size.pixels() <= MOST_PIXELS as _ {
            if let Ok(raster) = header.decode() {
                let bytes = raster.width as usize * raster.height as usize * raster.bands as usize;
                assert_eq!(raster.pixels.len(), bytes);
            }
        }
    }
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(Some(size)) = ico::LOADER.size_before_decoding(&bytes) {
        assert!(size.width <= 256 && size.height <= 256, "{size}");
        start();
        if let Ok(image) = ico::LOADER.load(&bytes, &LoadOptions::default()) {
            let picture = (i64::from(image.width()), i64::from(image.height()));
            assert_eq!(
                picture,
                (size.width, size.height),
                "limits were checked with another size"
            );
        }
    }
});

fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let settings = VipsSettings {
            vector: Vector::Auto,
            allowed_loaders: decode::OPERATIONS,
            leak_check: false,
            cache_trace: false,
        };
        vips::init(&settings).unwrap();
    });
}
