//! Whole jobs: any bytes as a source, through the decoders, the pipeline and the encoders. The first byte chooses the
//! options.
//!
//! libvips and the codecs under it are not instrumented: the fuzzer is led by our code alone, and sees where theirs
//! writes outside its memory.

#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::HeaderMap;
use imgforge::config::Config;
use imgforge::format::ImageFormat;
use imgforge::format::sniff::sniff;
use imgforge::options::{ClientFeatures, Options, Parser};
use imgforge::processing::{Job, Settings, process};
use imgforge::source::SourceImage;
use imgforge::vips::{self, Cancel, ThreadGuard, Vector, VipsSettings};
use imgforge::{decode, encode};
use libfuzzer_sys::fuzz_target;

/// One for every kind of way through the program.
const OPTIONS: &[&str] = &[
    "rs:fit:20:20/f:jpg",
    "rs:fill:16:16/f:jpg",
    "rs:fit:40:40/f:webp",
    "rs:fit:30:30/f:png",
    "rs:force:9:31/f:png",
    "rs:fill:20:10/g:sm/f:jpg",
    "c:10:10:so/f:png",
    "rs:fit:64:64/el:1/f:jpg",
    "rot:90/rs:fit:20:20/f:jpg",
    "rs:fit:20:20/sm:0/kcr:1/f:jpg",
    "t:10/f:png",
    "rs:fit:20:20/bl:1/sh:1/pd:2/bg:f00/f:jpg",
    "f:png",
    "f:jpg",
    "f:webp",
    "rs:fit:20:20/f:gif",
];

static SETTINGS: LazyLock<(Vec<Options>, Arc<Settings>)> = LazyLock::new(|| {
    let settings = VipsSettings {
        vector: Vector::Auto,
        allowed_loaders: decode::OPERATIONS,
        leak_check: false,
        cache_trace: false,
    };
    vips::init(&settings).unwrap();
    // A quarter of a megapixel, so that a case takes milliseconds.
    let config = Config::from_pairs(&[
        ("IMGPROXY_MAX_SRC_RESOLUTION", "0.25"),
        ("IMGPROXY_MAX_ANIMATION_FRAMES", "3"),
    ])
    .unwrap();
    let parser = Parser::new(&config.url, 0).unwrap();
    let parse = |options: &&str| {
        let path = format!("{options}/plain/local:///a");
        parser
            .parse(&path, &ClientFeatures::default(), 0)
            .unwrap()
            .options
    };
    let settings = Settings {
        processing: config.processing.clone(),
        limits: config.limits.clone(),
        watermark_opacity: config.assets.watermark_opacity,
        savable: encode::savable().collect(),
    };
    (OPTIONS.iter().map(parse).collect(), Arc::new(settings))
});

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else {
        return;
    };
    let Some(format) = sniff(data, None, None) else {
        return;
    };
    // A drawing of a few bytes can keep librsvg busy for hours. The server's deadline ends it, nothing does here.
    if format == ImageFormat::Svg {
        return;
    }
    let (options, settings) = &*SETTINGS;
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
    let _thread = ThreadGuard::new();
    if let Ok(result) = process(&job, &Cancel::new()) {
        assert_eq!(
            sniff(&result.bytes, None, None),
            Some(result.format),
            "what is written can be told"
        );
    }
});
