//! The direct lane: sources that it may decode, under options that it covers, and the parsers in front of it alone.
//!
//! What it answers libvips must have answered as well, with a picture of the same size. The first byte chooses the options.

#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::HeaderMap;
use imgforge::codec::{exif, icc, jpeg};
use imgforge::config::Config;
use imgforge::format::ImageFormat;
use imgforge::format::sniff::sniff;
use imgforge::options::{ClientFeatures, Options, Parser};
use imgforge::processing::{Job, Settings, process};
use imgforge::source::SourceImage;
use imgforge::vips::{self, Cancel, ThreadGuard, Vector, VipsSettings};
use imgforge::{decode, encode};
use libfuzzer_sys::fuzz_target;

/// Shrinking while decoding by every factor, each encoder, and what follows on libvips.
const OPTIONS: &[&str] = &[
    "rs:fit:20:20/f:jpg",
    "rs:fit:5:5/f:jpg",
    "rs:fit:100:100/f:jpg",
    "rs:fill:16:16/f:webp",
    "rs:fit:30:30/f:png",
    "rs:force:9:31/q:95/f:jpg",
    "c:10:10:so/rs:fit:8:8/f:png",
    "rot:90/rs:fit:20:20/f:jpg",
    "rs:fit:20:20/scp:0/sm:1/f:jpg",
    "rs:fit:20:20/bl:1/f:jpg",
    "f:jpg",
    "f:png",
    "f:webp",
];

/// The options, and the settings with the lane on and off.
static SETTINGS: LazyLock<(Vec<Options>, [Arc<Settings>; 2])> = LazyLock::new(|| {
    let settings = VipsSettings {
        vector: Vector::Auto,
        allowed_loaders: decode::OPERATIONS,
        leak_check: false,
        cache_trace: false,
    };
    vips::init(&settings).unwrap();
    let settings = ["true", "false"].map(|is_on| {
        // A quarter of a megapixel, so that a case takes milliseconds.
        let config = Config::from_pairs(&[
            ("IMGPROXY_MAX_SRC_RESOLUTION", "0.25"),
            ("IMGPROXY_MAX_ANIMATION_FRAMES", "3"),
            ("IMGFORGE_DIRECT_CODECS", is_on),
        ])
        .unwrap();
        Arc::new(Settings {
            processing: config.processing.clone(),
            limits: config.limits.clone(),
            watermark_opacity: config.assets.watermark_opacity,
            savable: encode::savable().collect(),
        })
    });
    let parser = Parser::new(&Config::default().url, 0).unwrap();
    let parse = |options: &&str| {
        let path = format!("{options}/plain/local:///a");
        parser
            .parse(&path, &ClientFeatures::default(), 0)
            .unwrap()
            .options
    };
    (OPTIONS.iter().map(parse).collect(), settings)
});

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else {
        return;
    };
    _ = exif::parse(data);
    _ = icc::is_sound(data, 3);
    _ = icc::ToSrgb::new(data);
    if let Some(header) = jpeg::header(data) {
        if let Some(block) = header.exif {
            _ = exif::parse(block);
        }
    }
    let Some(format) = sniff(data, None, None) else {
        return;
    };
    if !matches!(
        format,
        ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Webp | ImageFormat::Gif
    ) {
        return;
    }
    let (options, settings) = &*SETTINGS;
    let _thread = ThreadGuard::new();
    let [lane, libvips] = settings.each_ref().map(|settings| {
        let job = Job {
            source: SourceImage {
                bytes: Bytes::copy_from_slice(data),
                format,
                headers: HeaderMap::new(),
            },
            options: options[usize::from(*which) % options.len()].clone(),
            features: ClientFeatures::default(),
            settings: Arc::clone(settings),
            watermark: None,
        };
        let result = process(&job, &Cancel::new()).ok()?;
        Some((result.format, result.result_size))
    });
    assert_eq!(lane, libvips, "{}", OPTIONS[usize::from(*which) % OPTIONS.len()]);
});
