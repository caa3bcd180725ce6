//! Both ways compared: over many pictures and options, whatever the direct lane answers must be what libvips would have.
//!
//! The limits are those of the recordings in `../shared/conformance`, whose corpus is used as well where it is there.

mod icc;
mod png;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use crate::codec::{Raster, jpeg};
use crate::config::Config;
use crate::decode;
use crate::encode;
use crate::format::ImageFormat;
use crate::options::{ClientFeatures, Parser};
use crate::processing::{Job, Processed, Request, Settings, process};
use crate::source::SourceImage;
use crate::vips::{self, BandFormat, Cancel, Image, ThreadGuard, calls};

/// Pixels of the largest picture of the corpus that is used; larger ones take too long without optimisation.
const LARGEST: i64 = 3_000_000;

#[test]
fn both_ways_give_the_same_picture() {
    vips::ready();
    let mut random = Random(2026);
    let mut covered = 0;
    let pictures = pictures();
    let count = pictures.len();
    for (name, bytes, format) in pictures {
        let mut tried = OPTIONS.map(str::to_owned).to_vec();
        tried.extend((0..4).map(|_| random.options()));
        for options in tried {
            covered += usize::from(compare(&name, &bytes, format, &options));
        }
    }
    assert!(covered > 12 * count, "{covered} cases of {count} pictures");
}

#[test]
fn what_is_not_covered_is_left_to_libvips() {
    vips::ready();
    let picture = scene("rgb.jpg");
    let is_covered = |options: &str, variables: &[(&str, &str)]| {
        let job = job(&picture, ImageFormat::Jpeg, options, variables);
        super::run(
            &job,
            &Request::new(&job.options, &job.settings),
            &Cancel::new(),
        )
        .is_some()
    };
    assert!(is_covered("rs:fit:50:50", &[]));
    for options in [
        "rs:fit:999:999:1",
        "t:10",
        "sm:0",
        "c:50:50:sm",
        "rs:fill:50:90/g:sm",
    ] {
        assert!(!is_covered(options, &[]), "{options}");
    }
    for variable in [
        "IMGFORGE_DIRECT_CODECS=false",
        "IMGPROXY_USE_LINEAR_COLORSPACE=true",
        "IMGPROXY_MAX_SRC_RESOLUTION=0.001",
    ] {
        assert!(
            !is_covered("rs:fit:50:50", &[variable.split_once('=').unwrap()]),
            "{variable}"
        );
    }
    for (name, format) in [
        ("cmyk.jpg", ImageFormat::Jpeg),
        ("metadata.jpg", ImageFormat::Jpeg),
        ("rgb.tiff", ImageFormat::Tiff),
    ] {
        let job = job(&scene(name), format, "rs:fit:50:50", &[]);
        assert!(
            super::run(
                &job,
                &Request::new(&job.options, &job.settings),
                &Cancel::new()
            )
            .is_none(),
            "{name}"
        );
    }
}

#[test]
fn damage_and_cancelled_jobs_are_left_to_libvips() {
    vips::ready();
    let whole = scene("large.jpg");
    let header = jpeg::header(&whole).unwrap();
    let raster = jpeg::decode(&whole, &header, 1, &|| false).unwrap();
    let options = jpeg::Options {
        quality: 90,
        progressive: true,
        ..jpeg::Options::default()
    };
    let progressive = jpeg::encode(&raster, &options, &|| false).unwrap();
    let is_covered = |bytes: &[u8], options: &str| {
        let job = job(bytes, ImageFormat::Jpeg, options, &[]);
        let request = Request::new(&job.options, &job.settings);
        super::run(&job, &request, &Cancel::new()).is_some()
    };
    for options in ["rs:fit:400:400", "rs:fit:10:10"] {
        for whole in [&whole[..], &progressive] {
            assert!(is_covered(whole, options));
            for length in [whole.len() / 3, whole.len() - 30, whole.len() - 1] {
                assert!(!is_covered(&whole[..length], options), "{length} {options}");
            }
        }
    }
    let cancel = Cancel::new();
    cancel.cancel();
    let job = job(&whole, ImageFormat::Jpeg, "rs:fit:50:50", &[]);
    assert!(super::run(&job, &Request::new(&job.options, &job.settings), &cancel).is_none());
    assert_eq!(
        process(&job, &cancel).unwrap_err().kind(),
        crate::Kind::Cancelled
    );
}

/// Whether the direct lane took the job; its result has been compared then.
fn compare(name: &str, bytes: &[u8], format: ImageFormat, options: &str) -> bool {
    let _thread = ThreadGuard::new();
    let case = format!("{name} {options}");
    let direct_job = job(bytes, format, options, &[]);
    let request = Request::new(&direct_job.options, &direct_job.settings);
    let Some(direct) = super::run(&direct_job, &request, &Cancel::new()) else {
        return false;
    };
    let direct = direct.unwrap_or_else(|e| panic!("{case}: {e}"));
    let slow = job(
        bytes,
        format,
        options,
        &[("IMGFORGE_DIRECT_CODECS", "false")],
    );
    let reference = process(&slow, &Cancel::new()).unwrap_or_else(|e| panic!("{case}: {e}"));
    assert_eq!(direct.format, reference.format, "{case}");
    assert_eq!(direct.source_size, reference.source_size, "{case}");
    assert_eq!(direct.result_size, reference.result_size, "{case}");
    // A search for a quality may end one step apart, as sizes are not quite equal.
    if !options.contains("mb:") {
        // The last bits of a smooth picture decide what is found again when it is compressed without loss.
        let scatter = if direct.format == ImageFormat::Png {
            400
        } else {
            64
        };
        let most = reference.bytes.len() + reference.bytes.len() / 50 + scatter;
        assert!(
            direct.bytes.len() <= most,
            "{case}: {} > {most}",
            direct.bytes.len()
        );
        same_pictures(&case, &direct, &reference);
    }
    true
}

fn same_pictures(case: &str, direct: &Processed, reference: &Processed) {
    let [ours, theirs] = [direct, reference].map(|result| opened(&result.bytes, result.format));
    for field in ["icc-profile-data", "xmp-data", "iptc-data"] {
        assert_eq!(ours.blob(field), theirs.blob(field), "{case}: {field}");
    }
    let orientation = |image: &Image| image.int("orientation").unwrap_or(1);
    assert_eq!(orientation(&ours), orientation(&theirs), "{case}");
    assert_eq!(ours.bands(), theirs.bands(), "{case}");
    assert_eq!(ours.has("exif-data"), theirs.has("exif-data"), "{case}");
    // A palette turns the last bit of a colour into another entry.
    if direct.format == ImageFormat::Gif || ours.int("palette-bit-depth").is_some() {
        return;
    }
    // What lies under transparent pixels does not count.
    let weighted = |image: Image| calls::cast(&calls::premultiply(&image)?, BandFormat::Uchar);
    let [ours, theirs] = [ours, theirs].map(|image| {
        let image = if image.has_alpha() {
            weighted(image).unwrap()
        } else {
            image
        };
        image.to_pixels().unwrap()
    });
    assert_eq!(ours.len(), theirs.len(), "{case}");
    let mut counts = [0_usize; 256];
    for (a, b) in ours.iter().zip(&theirs) {
        counts[usize::from(a.abs_diff(*b))] += 1;
    }
    let sum: usize = counts.iter().enumerate().map(|(n, count)| n * count).sum();
    let lossless = direct.format == ImageFormat::Png;
    // A low quality and a picture of some pixels magnify the last bit: only what is plainly another picture counts there.
    let (mean, far) = if lossless { (1, 12) } else { (6, 60) };
    assert!(
        sum <= mean * ours.len(),
        "{case}: mean {sum} / {}",
        ours.len()
    );
    let beyond: usize = counts[far + 1..].iter().sum();
    // One in a thousand, and at least one whole pixel of a small picture.
    assert!(
        beyond <= ours.len() / 1000 + 4,
        "{case}: {beyond} beyond {far} of {}",
        ours.len()
    );
}

fn opened(bytes: &Bytes, format: ImageFormat) -> Image {
    decode::loader(format)
        .unwrap()
        .load(bytes, &decode::LoadOptions::default())
        .unwrap()
}

pub(super) fn job(
    bytes: &[u8],
    format: ImageFormat,
    options: &str,
    variables: &[(&str, &str)],
) -> Job {
    let config = Config::from_pairs(variables).unwrap();
    let features = ClientFeatures::default();
    let path = format!("{options}/plain/local:///a");
    let parser = Parser::new(&config.url, 0).unwrap();
    let options = parser.parse(&path, &features, 0).unwrap().options;
    Job {
        source: SourceImage {
            bytes: Bytes::copy_from_slice(bytes),
            format,
            headers: HeaderMap::new(),
        },
        options,
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

/// Every kind of work once.
const OPTIONS: [&str; 17] = [
    "rs:fit:100:80",
    "rs:fill:64:64/g:so",
    "rs:fill:50:90/g:noea",
    "rs:force:90:40/f:png",
    "rs:fit:80:80/f:png",
    "w:33",
    "rs:force:9:70/f:png",
    "rs:force:80:3/f:png",
    "w:1/h:1/f:png",
    "q:95/rs:fit:120:120",
    "c:0.6:0.5:nowe:3:5/w:60/rot:90",
    "rs:fit:70:70:0:1/fl:1:1",
    "rs:fit:60:60/bl:2",
    "pd:3:4/rs:fit:50:50",
    "mb:900/rs:fit:90:90",
    "scp:0/rs:fit:70:70",
    "ar:0/rs:fit:70:70/f:webp",
];

/// Numbers that are the same in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % limit
    }

    fn one_of<'a>(&mut self, values: &[&'a str]) -> &'a str {
        values[usize::try_from(self.below(values.len() as u64)).unwrap()]
    }

    pub(super) fn options(&mut self) -> String {
        let kind = self.one_of(&["fit", "fill", "fill-down", "force", "auto"]);
        let (width, height) = (self.below(180), self.below(180));
        let mut options = vec![format!("rs:{kind}:{width}:{height}")];
        for more in [
            &["", "f:png", "f:jpg", "f:webp", "f:gif"][..],
            &["", "", "g:no", "g:fp:0.2:0.7", "g:soea:4:0.1"],
            &["", "", "c:0.5:0.5", "c:40:30:so:0:3", "c:0:0.3:fp:1:1"],
            &["", "", "rot:90", "rot:180", "rot:270"],
            &["", "", "fl:1", "fl:0:1", "fl:1:1"],
            &["", "", "dpr:1.5", "z:0.7", "mw:20"],
            &["", "", "ex:1", "exar:1", "pd:2:5:1"],
            &["", "", "bl:1", "sh:1", "pix:4"],
            &["", "", "q:40", "q:92", "mb:2000"],
            &["", "", "scp:0", "kcr:0", "ar:0"],
            &["", "", "bg:f0c"],
        ] {
            let more = self.one_of(more);
            if !more.is_empty() {
                options.push(more.to_owned());
            }
        }
        options.join("/")
    }
}

/// The pictures of the tests, some made here, and those of the corpus.
fn pictures() -> Vec<(String, Vec<u8>, ImageFormat)> {
    let mut pictures = Vec::new();
    for (name, bytes) in files() {
        let Some(header) = jpeg::header(&bytes) else {
            continue;
        };
        if i64::from(header.width) * i64::from(header.height) <= LARGEST {
            pictures.push((name, bytes, ImageFormat::Jpeg));
        }
    }
    let profiles = icc::profiles();
    let plain = [
        (401, 299, 3, 92, false),
        (640, 427, 3, 80, true),
        (333, 500, 1, 75, false),
        (17, 9, 3, 60, false),
        (1, 1, 3, 80, true),
    ];
    let plain = plain.map(|picture| (picture, None));
    let coloured = profiles
        .iter()
        .map(|(bands, profile)| ((190, 143, *bands, 90, false), Some(profile)));
    for ((width, height, bands, quality, progressive), profile) in plain.into_iter().chain(coloured)
    {
        let wave = |i: usize| {
            let (x, y) = (i / bands % width, i / bands / width);
            u8::try_from((x * x / 40 + y * (3 + i % bands) + x * y / 90) % 400 / 2 + 20).unwrap()
        };
        let bytes = (0..width * height * bands).map(wave).collect();
        let raster = Raster::new(width, height, bands, bytes).unwrap();
        let options = jpeg::Options {
            quality,
            progressive,
            profile: profile.map(|(_, bytes)| bytes.as_slice()),
            ..jpeg::Options::default()
        };
        let bytes = jpeg::encode(&raster, &options, &|| false).unwrap();
        let profile = profile.map_or("", |(name, _)| *name);
        pictures.push((
            format!("{width}x{height}x{bands} {profile}"),
            bytes.to_vec(),
            ImageFormat::Jpeg,
        ));
    }
    pictures
}

/// The files of the tests and of the corpus, with their paths.
pub(super) fn files() -> impl Iterator<Item = (String, Vec<u8>)> {
    let shared = std::option_env!("SHARED").unwrap_or("../shared");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.join("tests/images"), root.join(shared).join("corpus")];
    folders.into_iter().flat_map(|folder| {
        let mut files = Vec::new();
        collect(&folder, &mut files);
        files.sort();
        let read = |file: PathBuf| (file.display().to_string(), std::fs::read(&file).unwrap());
        files.into_iter().map(read)
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.metadata().is_ok_and(|file| file.len() < 3_000_000) {
            files.push(path);
        }
    }
}

pub(super) fn scene(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read(root.join("tests/images/scene").join(name)).unwrap()
}
