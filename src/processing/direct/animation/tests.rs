//! Both ways compared before the encoder, which would blur the differences: pixels, frames and metadata.

use bytes::Bytes;

use super::super::tests::{Random, job};
use crate::decode::{self, LoadOptions};
use crate::format::ImageFormat;
use crate::processing::pipeline::Context;
use crate::processing::{Job, Request, animation, load, output_format, process};
use crate::vips::{self, Cancel, Image, ThreadGuard, Value, calls};

#[test]
fn both_ways_give_the_same_frames() {
    vips::ready();
    let mut random = Random(2027);
    let (mut covered, mut cases) = (0, 0);
    let sources = sources();
    assert!(sources.len() >= 5);
    for (name, bytes, format) in &sources {
        let mut tried = OPTIONS.map(str::to_owned).to_vec();
        tried.extend((0..3).map(|_| random.options()));
        for options in tried {
            cases += 1;
            covered += usize::from(compare(name, bytes, *format, &options));
        }
    }
    // Transparent ones are left to libvips, and what would be enlarged or only turned.
    assert!(covered > 40, "{covered} of {cases}");
}

#[test]
fn what_is_not_covered_is_left_to_libvips() {
    vips::ready();
    let film = blinking();
    let is_covered = |options: &str, variable: &str| {
        let variables = [ANIMATED, variable.split_once('=').unwrap()];
        let job = job(&film, ImageFormat::Gif, options, &variables);
        opened(&job, |context, image| super::run(context, image).is_some())
    };
    assert!(is_covered("rs:fit:30:30", "IMGPROXY_QUALITY=80"));
    let transparent = job(
        &super::super::tests::scene("film.gif"),
        ImageFormat::Gif,
        "rs:fit:30:30",
        &[ANIMATED],
    );
    assert!(opened(&transparent, |context, image| {
        super::run(context, image).is_none()
    }));
    for options in [
        "rs:fit:99:99:1",
        "rot:90",
        "rs:fill:30:30:sm",
        "c:9:9:sm/w:5",
    ] {
        let options = options.replace(":sm", "/g:sm");
        assert!(!is_covered(&options, "IMGPROXY_QUALITY=80"), "{options}");
    }
    for variable in [
        "IMGFORGE_DIRECT_CODECS=false",
        "IMGPROXY_USE_LINEAR_COLORSPACE=true",
    ] {
        assert!(!is_covered("rs:fit:30:30", variable), "{variable}");
    }
}

#[test]
fn damage_and_cancelled_jobs_end_as_they_do_on_libvips() {
    vips::ready();
    let _thread = ThreadGuard::new();
    let film = blinking();
    for length in [film.len() / 2, film.len() - 40] {
        let result = |direct: &'static str| {
            let variables = [ANIMATED, ("IMGFORGE_DIRECT_CODECS", direct)];
            let job = job(
                &film[..length],
                ImageFormat::Gif,
                "rs:fit:30:30/f:webp",
                &variables,
            );
            let result = process(&job, &Cancel::new());
            result
                .map(|done| done.result_size)
                .map_err(|error| error.kind())
        };
        assert_eq!(result("true"), result("false"), "{length}");
    }
    let job = job(&film, ImageFormat::Gif, "rs:fit:30:30/f:webp", &[ANIMATED]);
    let covered = opened(&job, |context, image| {
        context.cancel.cancel();
        super::run(context, image).is_some()
    });
    assert!(!covered);
}

#[test]
fn encoded_animations_keep_their_frames() {
    vips::ready();
    let _thread = ThreadGuard::new();
    for (format, name) in [(ImageFormat::Webp, "webp"), (ImageFormat::Gif, "gif")] {
        let options = format!("rs:fill:20:10/f:{name}");
        let job = job(&blinking(), ImageFormat::Gif, &options, &[ANIMATED]);
        let result = process(&job, &Cancel::new()).unwrap();
        assert_eq!(result.format, format);
        let image = pages(&result.bytes, format, 3);
        assert_eq!(
            (image.width(), image.page_height(), image.height()),
            (20, 10, 30)
        );
        assert_eq!(image.array_int("delay"), Some(vec![50, 100, 150]), "{name}");
    }
}

/// Whether the frames were scaled directly; they have been compared then.
fn compare(name: &str, bytes: &[u8], format: ImageFormat, options: &str) -> bool {
    let _thread = ThreadGuard::new();
    let case = format!("{name} {options}");
    let run = |direct: &'static str| {
        let variables = [ANIMATED, ("IMGFORGE_DIRECT_CODECS", direct)];
        let job = job(bytes, format, options, &variables);
        opened(&job, |context, image| {
            let covered = super::run(context, image).is_some();
            let done = animation::run(context, image).unwrap_or_else(|e| panic!("{case}: {e}"));
            // The source goes, and what it has decoded with it.
            (covered, done.copy_memory().unwrap())
        })
    };
    let (covered, ours) = run("true");
    if !covered {
        return false;
    }
    let (_, theirs) = run("false");
    let shape = |image: &Image| (image.width(), image.height(), image.bands());
    assert_eq!(shape(&ours), shape(&theirs), "{case}");
    assert_eq!(ours.interpretation(), theirs.interpretation(), "{case}");
    assert_eq!(ours.resolution(), theirs.resolution(), "{case}");
    let fields = |image: &Image| {
        let mut fields = image.fields();
        // Where an operation has put the origin: a note of libvips that no encoder writes.
        fields.retain(|field| !field.ends_with("offset"));
        fields.sort();
        fields
    };
    assert_eq!(fields(&ours), fields(&theirs), "{case}");
    for field in fields(&ours) {
        assert_eq!(ours.int(&field), theirs.int(&field), "{case}: {field}");
        assert_eq!(
            ours.array_int(&field),
            theirs.array_int(&field),
            "{case}: {field}"
        );
        assert_eq!(ours.blob(&field), theirs.blob(&field), "{case}: {field}");
    }
    same_pixels(&case, &ours, &theirs);
    true
}

/// The limits of the recordings: the mean and one pixel in a thousand, colours weighted by alpha.
fn same_pixels(case: &str, ours: &Image, theirs: &Image) {
    let bands = usize::try_from(ours.bands()).unwrap();
    let [ours, theirs] = [ours, theirs].map(|image| {
        let weighted = calls::premultiply(image).unwrap();
        calls::cast(&weighted, vips::BandFormat::Uchar)
            .unwrap()
            .to_pixels()
            .unwrap()
    });
    let differences = ours
        .iter()
        .zip(&theirs)
        .map(|(a, b)| usize::from(a.abs_diff(*b)));
    let sum: usize = differences.sum();
    // In a picture of some pixels the way of rounding counts.
    assert!(
        sum <= ours.len() + 16,
        "{case}: mean {sum} / {}",
        ours.len()
    );
    let pixels = ours.chunks(bands).zip(theirs.chunks(bands));
    let far = |a: &[u8], b: &[u8]| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > 12);
    let beyond = pixels.filter(|(a, b)| far(a, b)).count();
    let most = ours.len() / bands / 1000 + 1;
    assert!(beyond <= most, "{case}: {beyond} beyond, {most} allowed");
}

/// Opens the frames of a job and hands them on, as `process` does.
fn opened<T>(job: &Job, next: impl FnOnce(&Context<'_>, &Image) -> T) -> T {
    let (request, cancel) = (Request::new(&job.options, &job.settings), Cancel::new());
    let header = load::header(job, &request, &cancel).unwrap();
    let frames = load::frames(&header.image, request.max_animation_frames);
    let format = output_format(job, header.image.has_alpha(), frames > 1).unwrap();
    let header = load::reopen(job, header, frames, &cancel).unwrap();
    let context = Context {
        job,
        request: &request,
        format,
        frames,
        cancel: &cancel,
    };
    next(&context, &header.image)
}

const ANIMATED: (&str, &str) = ("IMGPROXY_MAX_ANIMATION_FRAMES", "4");

const OPTIONS: [&str; 18] = [
    "f:webp",
    "rs:fit:30:20",
    "rs:fill:25:25/g:so",
    "rs:force:31:7",
    "w:1",
    "rs:fit:30:30/rot:90",
    "rs:fit:20:30/fl:1:1/rot:270",
    "c:0.6:0.5:nowe:3:5/w:12",
    "rs:fit:30:30/ex:1",
    "rs:fill:90:30/exar:1",
    "pd:3:4/rs:fit:24:24",
    "rs:fit:30:30/bg:f0c",
    "rs:fit:30:30/bl:1",
    "rs:fit:30:30/pix:3/pd:1/bg:0f0",
    "rs:fit:30:30/sm:0",
    "rs:fit:30:30/kcr:0/scp:0",
    "rs:fit:30:30/ar:0",
    "rs:fill:29:13/f:gif",
];

/// Three opaque frames.
fn blinking() -> Vec<u8> {
    let name = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images/frames.gif");
    std::fs::read(name).unwrap()
}

/// Animations of the tests and of the corpus, and one with orientation and profile.
fn sources() -> Vec<(String, Vec<u8>, ImageFormat)> {
    let mut sources = Vec::new();
    for (name, bytes) in super::super::tests::files() {
        let format = match name.rsplit_once('.') {
            Some((_, "gif")) => ImageFormat::Gif,
            Some((_, "webp")) => ImageFormat::Webp,
            _ => continue,
        };
        let loaded = decode::loader(format).unwrap();
        let Ok(image) = loaded.load(&Bytes::from(bytes.clone()), &LoadOptions::default()) else {
            continue;
        };
        let pixels = i64::from(image.width()) * i64::from(image.height());
        if image.int("n-pages").is_some_and(|n| n > 1) && pixels <= LARGEST {
            sources.push((name, bytes, format));
        }
    }
    sources.push(("turned".to_owned(), turned(), ImageFormat::Webp));
    sources
}

/// The film before a colour, in another space, lying on its side.
fn turned() -> Vec<u8> {
    let film = pages(
        &Bytes::from(super::super::tests::scene("film.gif")),
        ImageFormat::Gif,
        4,
    )
    .copy_memory()
    .unwrap();
    let transform = calls::IccTransform {
        output_profile: "p3",
        embedded: false,
        input_profile: Some("srgb"),
        pcs: vips::Pcs::Xyz,
        depth: 8,
    };
    let film = calls::flatten(&film, &[90.0, 10.0, 200.0]).unwrap();
    let film = calls::icc_transform(&film, transform).unwrap();
    let film = film
        .edit(|metadata| metadata.set_int("orientation", 6))
        .unwrap();
    let lossless = [("lossless", Value::Bool(true))];
    calls::save(&film, "webpsave_target", &lossless)
        .unwrap()
        .to_vec()
}

fn pages(bytes: &Bytes, format: ImageFormat, pages: i32) -> Image {
    let options = LoadOptions {
        pages,
        ..LoadOptions::default()
    };
    decode::loader(format)
        .unwrap()
        .load(bytes, &options)
        .unwrap()
}

/// Pixels of the largest frame of the corpus that is used.
const LARGEST: i64 = 150_000;
