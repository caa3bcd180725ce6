//! Cost of resolving one request: the part of every processed image that runs before a pixel is decoded.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use imgforge::format::ImageFormat;
use imgforge::geometry::{Angle, GravityKind, Size};
use imgforge::ops::PipelineOptions;
use imgforge::ops::resize::ResizingType;
use imgforge::plan::{ImageInfo, Plan, Settings};

fn plan(c: &mut Criterion) {
    let info = ImageInfo {
        size: Size::new(4000, 3000),
        orientation: 6,
        format: Some(ImageFormat::Jpeg),
        frames: 1,
    };
    let settings = Settings {
        auto_rotate: true,
        disable_shrink_on_load: false,
        max_result_dimension: 2000,
        max_result_pixels: 500_000_000,
    };

    let mut thumbnail = PipelineOptions::default();
    thumbnail.resize.kind = ResizingType::Fill;
    thumbnail.resize.width = 300;
    thumbnail.resize.height = 200;

    let mut everything = thumbnail.clone();
    everything.resize.dpr = 1.5;
    everything.resize.min_width = 250;
    everything.crop.width = 0.8;
    everything.crop.height = 2000.0;
    everything.crop.gravity.kind = Some(GravityKind::NorthEast);
    everything.extend.enabled = true;
    everything.extend_aspect_ratio.enabled = true;
    everything.padding.top = Some(10);
    everything.rotate = Angle::D90;

    for (name, options) in [("thumbnail", thumbnail), ("everything", everything)] {
        c.bench_function(&format!("plan/{name}"), |b| {
            b.iter(|| walk(black_box(&options), black_box(&info), &settings));
        });
    }
}

/// Everything that the executor asks, in its order.
fn walk(options: &PipelineOptions, info: &ImageInfo, settings: &Settings) -> Option<Size> {
    let mut plan = Plan::resolve(options, info, settings).ok()?;
    if plan.preshrink(1.0).is_some() {
        plan.rebase(&ImageInfo {
            size: Size::new(500, 375),
            ..*info
        });
    }
    let size = Size::new(500, 375);
    black_box((
        plan.crop(size),
        plan.scale(),
        plan.rotation(),
        plan.crop_to_result(size),
        plan.extend(size),
        plan.extend_aspect_ratio(size),
    ));
    plan.padding(size)
        .map(|canvas| Size::new(canvas.width, canvas.height))
}

criterion_group!(benches, plan);
criterion_main!(benches);
