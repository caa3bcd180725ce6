//! Fixtures for the tests of this folder, and the tests that hunt for leaks, freed memory and races.
//!
//! Counting objects only makes sense while nothing else runs, so those tests start this test binary again as a child
//! that runs one ignored test with glib's checks on.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::calls::{self, Canvas};
use super::*;

/// Starts libvips with all loaders of the project allowed.
pub(crate) fn ready() -> InitReport {
    let settings = VipsSettings {
        vector: Vector::Auto,
        allowed_loaders: &[
            "jpegload_source",
            "pngload_source",
            "webpload_source",
            "gifload_source",
            "svgload_source",
            "heifload_source",
            "tiffload_source",
            "jxlload_source",
        ],
        leak_check: true,
        cache_trace: false,
    };
    init(&settings).unwrap()
}

/// A picture with different colours everywhere.
pub(super) fn picture(width: i32, height: i32, bands: i32) -> Image {
    ready();
    let count = usize::try_from(width * height * bands).unwrap();
    let pixels: Vec<u8> = (0..count)
        .map(|n| u8::try_from((n * 7 + n / 97) % 256).unwrap())
        .collect();
    let space = if bands < 3 {
        Interpretation::Bw
    } else {
        Interpretation::Srgb
    };
    Image::from_pixels(Bytes::from(pixels), width, height, bands, space).unwrap()
}

/// A JPEG of this size.
pub(super) fn jpeg(width: i32, height: i32) -> Bytes {
    calls::save(
        &picture(width, height, 3),
        "jpegsave_target",
        &[("Q", Value::Int(80))],
    )
    .unwrap()
}

fn decode(bytes: Bytes) -> Result<Image, Error> {
    let source = Source::from_bytes(bytes);
    calls::load("jpegload_source", &source, Access::Sequential, &[])
}

/// What a request does, without failing.
fn job(bytes: &Bytes, format: &str) -> Bytes {
    let _guard = ThreadGuard::new();
    let cancel = Cancel::new();
    let _scope = cancel.scope();
    let image = decode(bytes.clone()).unwrap();
    cancel.watch(&image);
    let image = calls::resize(&image, 0.4, 0.4, None).unwrap();
    let image = image
        .edit(|metadata| {
            metadata.remove("exif-data");
            metadata.set_resolution(72.0 / 25.4, 72.0 / 25.4);
        })
        .unwrap();
    let image = calls::copy_with_interpretation(&image, Interpretation::Srgb).unwrap();
    let image = calls::rot(&image.copy_memory().unwrap(), Angle::D90).unwrap();
    let canvas = Canvas {
        left: 2,
        top: 3,
        width: image.width() + 4,
        height: image.height() + 6,
        extend: Extend::Black,
        background: None,
    };
    let image = calls::embed(&calls::add_alpha(&image).unwrap(), canvas).unwrap();
    let image = calls::flatten(&image, &[255.0; 3]).unwrap();
    cancel.watch(&image);
    calls::save(&image, format, &[]).unwrap()
}

/// The ways in which a request fails.
fn failing_job(bytes: &Bytes) {
    let _guard = ThreadGuard::new();
    let image = decode(bytes.clone()).unwrap();
    assert!(Operation::new("no_such_operation").is_err());
    assert!(calls::gaussblur(&image, -1.0).is_err());
    assert!(calls::extract_area(&image, 0, 0, 1 << 20, 1).is_err());
    assert!(calls::save(&image, "jpegsave_target", &[("Q", Value::Int(0))]).is_err());
    assert!(decode(bytes.slice(..20)).is_err());
    assert!(decode(Bytes::new()).is_err());
    let operation = Operation::new("bandjoin").unwrap();
    assert!(operation.set("in", &[image][..]).unwrap().run().is_ok());
    let broken = Source::from_bytes(bytes.slice(..bytes.len() / 2));
    let truncated = calls::load(
        "jpegload_source",
        &broken,
        Access::Sequential,
        &[("fail-on", Value::Str("warning"))],
    )
    .unwrap();
    assert!(calls::save(&truncated, "pngsave_target", &[]).is_err());
}

fn cancelled_job(bytes: &Bytes) {
    let _guard = ThreadGuard::new();
    let cancel = Cancel::new();
    let _scope = cancel.scope();
    let image = decode(bytes.clone()).unwrap();
    cancel.watch(&image);
    cancel.cancel();
    assert!(calls::save(&image, "pngsave_target", &[]).is_err());
}

#[test]
fn a_cancelled_blur_ends_soon() {
    let cancel = Cancel::new();
    let bytes = jpeg(3000, 3000);
    let worker = {
        let cancel = cancel.clone();
        thread::spawn(move || {
            let _guard = ThreadGuard::new();
            let _scope = cancel.scope();
            let image = decode(bytes).unwrap();
            cancel.watch(&image);
            let blurred = calls::gaussblur(&image, 200.0).unwrap();
            cancel.watch(&blurred);
            let result = calls::save(&blurred, "jpegsave_target", &[]);
            (result.is_err(), Instant::now())
        })
    };
    thread::sleep(Duration::from_millis(500));
    assert!(!worker.is_finished(), "the blur must take longer than this");
    let asked = Instant::now();
    cancel.cancel();
    let (failed, ended) = worker.join().unwrap();
    assert!(failed);
    let waited = ended - asked;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[test]
fn an_image_registered_after_cancelling_is_killed() {
    let bytes = jpeg(64, 64);
    let cancel = Cancel::new();
    cancel.cancel();
    let image = decode(bytes).unwrap();
    cancel.watch(&image);
    assert!(cancel.is_cancelled());
    assert!(image.to_pixels().is_err());
}

#[test]
fn registering_keeps_no_image_alive() {
    let bytes = jpeg(64, 64);
    let held = Bytes::from_owner(Held(bytes, None));
    let (sender, receiver) = std::sync::mpsc::channel();
    let watched = Bytes::from_owner(Held(held, Some(sender)));
    let cancel = Cancel::new();
    let image = decode(watched).unwrap();
    cancel.watch(&image);
    drop(image);
    assert_eq!(receiver.try_recv(), Ok(()), "the source bytes are freed");
    cancel.cancel();
}

/// Bytes that report when they are freed.
struct Held(Bytes, Option<std::sync::mpsc::Sender<()>>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(sender) = &self.1 {
            sender.send(()).unwrap();
        }
    }
}

#[test]
#[expect(
    clippy::redundant_clone,
    reason = "a clone that outlives its original is a case"
)]
fn every_derived_image_keeps_the_bytes() {
    let original = jpeg(200, 100);
    let expected = decode(original.clone()).unwrap().to_pixels().unwrap();
    // Each case drops what it started from before the pixels are made.
    type Derive = fn(Image) -> Image;
    let cases: [(&str, Derive); 4] = [
        ("the image itself", |image| image),
        ("a clone", |image| image.clone()),
        ("a copy with other metadata", |image| {
            image.edit(|metadata| metadata.set_int("n", 1)).unwrap()
        }),
        ("two flips", |image| {
            let flipped = calls::flip(&image, Direction::Vertical).unwrap();
            calls::flip(&flipped, Direction::Vertical).unwrap()
        }),
    ];
    for (name, derive) in cases {
        let (sender, receiver) = std::sync::mpsc::channel();
        let bytes = Bytes::copy_from_slice(&original);
        let source = Source::from_bytes(Bytes::from_owner(Held(bytes, Some(sender))));
        let image = calls::load("jpegload_source", &source, Access::Random, &[]).unwrap();
        drop(source);
        let derived = derive(image);
        assert!(receiver.try_recv().is_err(), "{name}: freed too early");
        assert_eq!(derived.to_pixels().unwrap(), expected, "{name}");
        drop(derived);
        assert_eq!(receiver.try_recv(), Ok(()), "{name}: never freed");
    }
}

#[test]
fn wrapped_pixels_live_as_long_as_what_is_made_of_them() {
    ready();
    let (sender, receiver) = std::sync::mpsc::channel();
    let pixels = Bytes::from((0..60).collect::<Vec<u8>>());
    let held = Bytes::from_owner(Held(pixels, Some(sender)));
    let image = Image::from_pixels(held, 5, 4, 3, Interpretation::Srgb).unwrap();
    let flipped = calls::flip(&image, Direction::Horizontal).unwrap();
    drop(image);
    assert!(receiver.try_recv().is_err());
    assert_eq!(flipped.to_pixels().unwrap()[..6], [12, 13, 14, 9, 10, 11]);
    drop(flipped);
    assert_eq!(receiver.try_recv(), Ok(()));
}

/// A CMYK picture without a profile gets libvips' own on the way to sRGB; it must live as long as the result.
#[test]
fn a_profile_that_libvips_adds_outlives_the_conversion() {
    ready();
    let image = picture(64, 64, 4);
    let image = calls::copy_with_interpretation(&image, Interpretation::Cmyk).unwrap();
    let mut image = calls::colourspace(&image, Interpretation::Srgb, None).unwrap();
    let before = image.blob("icc-profile-data");
    image = image.copy_memory().unwrap();
    assert_eq!(image.blob("icc-profile-data"), before);
}

#[test]
fn two_loads_of_one_source_do_not_disturb_each_other() {
    let source = Source::from_bytes(jpeg(300, 200));
    let load = || calls::load("jpegload_source", &source, Access::Sequential, &[]).unwrap();
    let (first, second) = (load(), load());
    assert_eq!(first.to_pixels().unwrap(), second.to_pixels().unwrap());
}

#[test]
fn an_image_and_its_clone_work_on_two_threads() {
    let image = decode(jpeg(300, 200)).unwrap().copy_memory().unwrap();
    let flipped = calls::flip(&image, Direction::Horizontal).unwrap();
    let (first, second) = (flipped.clone(), flipped);
    drop(image);
    let other = thread::spawn(move || {
        let _guard = ThreadGuard::new();
        first.to_pixels().unwrap()
    });
    let here = second.to_pixels().unwrap();
    drop(second);
    assert_eq!(other.join().unwrap(), here);
}

#[test]
fn encoded_bytes_outlive_everything_and_move_between_threads() {
    let bytes = jpeg(50, 40);
    let length = bytes.len();
    let part = bytes.slice(..2);
    drop(bytes);
    let part = thread::spawn(move || {
        assert_eq!(part[..], [0xff, 0xd8]);
        part
    })
    .join()
    .unwrap();
    assert!(length > part.len());
}

#[test]
fn jobs_on_two_threads_agree() {
    let bytes = jpeg(120, 90);
    run_threads(2, Duration::from_secs(3), &bytes);
}

#[test]
#[ignore = "takes ten minutes; run it before a release"]
fn ten_minutes_of_small_jobs() {
    let threads = thread::available_parallelism()
        .map_or(2, usize::from)
        .max(2);
    run_threads(threads, STRESS_TIME, &jpeg(120, 90));
}

fn run_threads(threads: usize, time: Duration, bytes: &Bytes) {
    let expected: Vec<Bytes> = FORMATS.iter().map(|format| job(bytes, format)).collect();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let end = Instant::now() + time;
                let mut jobs = 0_usize;
                while Instant::now() < end {
                    let kind = jobs % FORMATS.len();
                    assert_eq!(job(bytes, FORMATS[kind]), expected[kind]);
                    if jobs.is_multiple_of(10) {
                        failing_job(bytes);
                        cancelled_job(bytes);
                    }
                    jobs += 1;
                }
                assert!(jobs > 0);
            });
        }
    });
}

#[test]
fn jobs_leave_nothing_behind() {
    run_alone("vips::stress::child_counts_what_jobs_leave");
}

/// Runs one ignored test of this binary in a process of its own, in which glib's complaints are fatal.
pub(super) fn run_alone(test: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--test-threads=1"])
        .env("G_DEBUG", "fatal-criticals")
        .env("VIPS_LEAK", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("1 passed"), "{text}{errors}");
}

#[test]
#[ignore = "counts the objects of the whole process; jobs_leave_nothing_behind runs it alone"]
fn child_counts_what_jobs_leave() {
    let bytes = jpeg(120, 90);
    let round = |count: usize| {
        for number in 0..count {
            job(&bytes, FORMATS[number % FORMATS.len()]);
            failing_job(&bytes);
            cancelled_job(&bytes);
        }
    };
    round(10);
    let (objects, memory_before) = (live_objects(), memory());
    round(1000);
    assert_eq!(live_objects(), objects);
    let memory_after = memory();
    assert_eq!(memory_after.current, memory_before.current);
    assert_eq!(memory_after.allocs, memory_before.allocs);
    assert_eq!(objects, 0, "nothing is alive between jobs");
}

const FORMATS: [&str; 2] = ["jpegsave_target", "pngsave_target"];

const STRESS_TIME: Duration = Duration::from_secs(600);
