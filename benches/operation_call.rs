//! One libvips operation through our layer, beside the same operation through libvips' own C function: what looking
//! arguments up and checking them costs. Nothing is evaluated, because libvips is lazy.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first mistake")]
#![expect(unsafe_code, reason = "the C function is what is compared with")]

use std::hint::black_box;
use std::ptr;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use imgforge::decode;
use imgforge::vips::{self, Direction, Image, Interpretation, Kernel, Vector, VipsSettings, calls};
use libvips::bindings;

fn operation_call(c: &mut Criterion) {
    vips::init(&VipsSettings {
        vector: Vector::Auto,
        allowed_loaders: decode::OPERATIONS,
        leak_check: false,
        cache_trace: false,
    })
    .unwrap();
    let pixels = Bytes::from_static(&[100; 64 * 64 * 3]);
    let image = Image::from_pixels(pixels, 64, 64, 3, Interpretation::Srgb).unwrap();

    c.bench_function("flip, our layer", |b| {
        b.iter(|| calls::flip(black_box(&image), Direction::Horizontal).unwrap());
    });
    c.bench_function("flip, C function", |b| {
        let image = black();
        b.iter(|| flip(black_box(image)));
        // SAFETY: gives back the reference that `black` returned; nothing uses the image any more.
        unsafe { bindings::g_object_unref(image.cast()) };
    });
    c.bench_function("resize, our layer", |b| {
        b.iter(|| calls::resize(black_box(&image), 0.3, 0.3, Some(Kernel::Lanczos3)).unwrap());
    });
    c.bench_function("argument that does not exist", |b| {
        b.iter(|| vips::operation_has_argument("flip", black_box("from_the_future")));
    });
}

/// A black image of the same size; the caller owns the reference.
fn black() -> *mut bindings::VipsImage {
    let mut out = ptr::null_mut();
    // SAFETY: `out` is a place for one pointer; the list of arguments ends with a null.
    let failed = unsafe { bindings::vips_black(&raw mut out, 64, 64, ptr::null::<u8>()) };
    assert_eq!(failed, 0);
    out
}

fn flip(image: *mut bindings::VipsImage) {
    let mut out = ptr::null_mut();
    let direction = bindings::VipsDirection_VIPS_DIRECTION_HORIZONTAL;
    // SAFETY: `image` is alive, `out` is a place for one pointer; the list of arguments ends with a null.
    let failed = unsafe { bindings::vips_flip(image, &raw mut out, direction, ptr::null::<u8>()) };
    assert_eq!(failed, 0);
    // SAFETY: the call has given one reference, which ends here.
    unsafe { bindings::g_object_unref(out.cast()) };
}

criterion_group!(benches, operation_call);
criterion_main!(benches);
