//! PNG in and out.

use png::{BitDepth, ColorType, Encoder};

use super::{Cancel, ImageFormat, OPTIONS, Random, Request, compare, files, job, scene};
use crate::codec::png::header;
use crate::vips;

/// Pixels of the largest picture that is used; without optimisation a PNG takes its time.
const LARGEST: u32 = 100_000;

/// What alpha brings.
const MORE: [&str; 8] = [
    "rs:fit:60:60/bg:f0c",
    "rs:fit:60:60/f:jpg/bg:f0c",
    "rs:fit:30:20/f:jpg",
    "rs:fill:40:40/ex:1",
    "rs:fit:90:90/f:webp",
    "rs:force:20:3",
    "scp:0/rs:fit:70:70/kcr:0",
    "pd:3:4/rs:fit:50:50/bg:777",
];

#[test]
fn both_ways_give_the_same_picture() {
    vips::ready();
    let mut random = Random(7);
    let mut covered = 0;
    let mut count = 0;
    for (name, bytes) in files().chain(drawn()) {
        if header(&bytes).is_none_or(|header| header.width * header.height > LARGEST) {
            continue;
        }
        // A third of the options each: the pictures are many.
        let tried = OPTIONS.iter().chain(&MORE).skip(count % 3).step_by(3);
        let mut tried: Vec<_> = tried.map(|options| (*options).to_owned()).collect();
        tried.push(random.options());
        count += 1;
        for options in tried {
            covered += usize::from(compare(&name, &bytes, ImageFormat::Png, &options));
        }
    }
    assert!(covered > 7 * count, "{covered} cases of {count} pictures");
}

#[test]
fn what_is_not_covered_is_left_to_libvips() {
    vips::ready();
    let is_covered = |bytes: &[u8]| {
        let job = job(bytes, ImageFormat::Png, "rs:fit:50:50", &[]);
        let request = Request::new(&job.options, &job.settings);
        super::super::run(&job, &request, &Cancel::new()).is_some()
    };
    let whole = scene("rgba.png");
    assert!(is_covered(&whole));
    for length in [whole.len() / 3, whole.len() - 40] {
        assert!(!is_covered(&whole[..length]), "{length}");
    }
    let mut damaged = whole;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert!(!is_covered(&damaged));
    for name in ["16bit.png", "16bit-alpha.png"] {
        assert!(!is_covered(&scene(name)), "{name}");
    }
}

/// One picture of every kind.
fn drawn() -> Vec<(String, Vec<u8>)> {
    use BitDepth::{Eight, Four, One, Two};
    use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    let key = |values: &'static [u8]| Some(values);
    let kinds = [
        (Grayscale, One, None),
        (Grayscale, Two, key(&[0, 2])),
        (Grayscale, Four, None),
        (Grayscale, Eight, key(&[0, 128])),
        (GrayscaleAlpha, Eight, None),
        (Indexed, One, None),
        (Indexed, Two, key(&[255, 100])),
        (Indexed, Four, None),
        (Indexed, Eight, key(&[0, 50, 255, 60])),
        (Rgb, Eight, None),
        (Rgb, Eight, key(&[0, 64, 0, 0, 0, 0])),
        (Rgba, Eight, None),
    ];
    let mut drawn = Vec::new();
    for (colour, depth, transparent) in kinds {
        for (width, height, opaque) in [(97, 64, false), (151, 97, true), (1, 9, false)] {
            let pixels = pixels(width, height, colour, depth, opaque);
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(&mut bytes, width, height);
            encoder.set_color(colour);
            encoder.set_depth(depth);
            if colour == Indexed {
                let last = [1, 3, 15, 19][(depth as usize).ilog2() as usize];
                let colours = (0..=last).flat_map(|n: u8| [n.wrapping_mul(9), 255 - n, n]);
                encoder.set_palette(colours.collect::<Vec<_>>());
            }
            if let Some(values) = transparent {
                encoder.set_trns(values);
            }
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&pixels).unwrap();
            writer.finish().unwrap();
            drawn.push((format!("{colour:?} {depth:?} {width}x{height}"), bytes));
        }
    }
    drawn
}

/// Soft shapes, with every value of alpha unless opaque.
fn pixels(width: u32, height: u32, colour: ColorType, depth: BitDepth, opaque: bool) -> Vec<u8> {
    let samples = colour.samples();
    let (bits, mut rows) = (depth as usize, Vec::new());
    let shift = depth as u32;
    for y in 0..height as usize {
        let mut row = Vec::new();
        for x in 0..width as usize {
            for band in 0..samples {
                let soft = (x * x / 60 + y * (2 + band) + x * y / 200) % 512;
                let value = if soft > 255 { 511 - soft } else { soft };
                let alpha = samples.is_multiple_of(2) && band == samples - 1;
                let value = match (alpha, opaque) {
                    (true, true) => 255,
                    (true, false) => (x * 4 + y).min(255),
                    _ if colour == ColorType::Indexed && bits == 8 => value % 20,
                    _ => value >> (8 - bits),
                };
                row.push(u8::try_from(value).unwrap());
            }
        }
        // Samples of fewer bits share a byte.
        for chunk in row.chunks(8 / bits) {
            let byte = (0..8 / bits).fold(0_u8, |byte, n| {
                let value = chunk.get(n).copied().unwrap_or(0);
                byte.checked_shl(shift).unwrap_or(0) | value
            });
            rows.push(byte);
        }
    }
    rows
}
