//! Whole jobs: from the encoded source to the encoded result, without network and queue.
//!
//! The tiny source shows what a job costs beside its pixels; the others are a page's usual thumbnail.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first mistake")]

use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::HeaderMap;
use imgforge::config::Config;
use imgforge::decode;
use imgforge::encode;
use imgforge::format::ImageFormat;
use imgforge::options::{ClientFeatures, Parser};
use imgforge::processing::{Job, Settings, process};
use imgforge::source::SourceImage;
use imgforge::vips::{self, Cancel, ThreadGuard, Vector, VipsSettings};

const TINY: &[u8] = include_bytes!("../tests/images/grid.jpg");
const SAMPLE: &[u8] = include_bytes!("../examples/pictures/sample.jpg");

fn job(bytes: &'static [u8], options: &str) -> Job {
    let config = Config::from_pairs(&[]).unwrap();
    let parser = Parser::new(&config.url, 0).unwrap();
    let features = ClientFeatures::default();
    let path = format!("{options}/plain/local:///a.jpg");
    Job {
        source: SourceImage {
            bytes: Bytes::from_static(bytes),
            format: ImageFormat::Jpeg,
            headers: HeaderMap::new(),
        },
        options: parser.parse(&path, &features, 0).unwrap().options,
        features,
        settings: Arc::new(Settings {
            processing: config.processing.clone(),
            limits: config.limits.clone(),
            watermark_opacity: config.assets.watermark_opacity,
            savable: encode::savable().collect(),
        }),
        watermark: None,
    }
}

fn pipeline(c: &mut Criterion) {
    vips::init(&VipsSettings {
        vector: Vector::Auto,
        allowed_loaders: decode::OPERATIONS,
        leak_check: false,
        cache_trace: false,
    })
    .unwrap();
    let mut group = c.benchmark_group("process");
    group.sample_size(20);
    for (name, bytes, options) in [
        ("96x64 to 48x32 JPEG", TINY, "rs:fit:48:32"),
        ("1200x800 to 300x200 JPEG", SAMPLE, "rs:fill:300:200"),
        ("1200x800 to 300x200 WebP", SAMPLE, "rs:fill:300:200/f:webp"),
        (
            "1200x800 to 300x200 PNG, blurred",
            SAMPLE,
            "rs:fill:300:200/bl:2/f:png",
        ),
    ] {
        let job = job(bytes, options);
        group.bench_function(name, |b| {
            b.iter(|| {
                // As a worker does around each job.
                let _thread = ThreadGuard::new();
                process(&job, &Cancel::new()).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
