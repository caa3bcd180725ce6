//! Bytes that are no picture, or only nearly: an answer of the 4xx kind or a picture, no crash, no memory kept.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, pictures};

const FORMATS: &[&str] = &["jpg", "png", "webp", "gif", "avif", "heic", "tiff"];
const RESULTS: &[&str] = &["jpg", "png", "webp", "gif", "avif", "tiff"];

/// Puts every hostile file on the origin and lists the paths.
fn serve(origin: &Origin) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(7);
    let mut paths = Vec::new();
    let mut add = |name: String, ending: &str, bytes: Vec<u8>| {
        let path = format!("/{name}.{ending}");
        origin.on(&path, Script::file(bytes, pictures::mime(&path)));
        paths.push(path);
    };
    for ending in FORMATS {
        for stem in ["truncated", "broken"] {
            add(
                stem.to_owned(),
                ending,
                pictures::file(&format!("{stem}.{ending}")),
            );
        }
        let good = pictures::file(&format!("grid.{ending}"));
        // Twenty bytes wrong, the first four right.
        for number in 0..3 {
            let mut bytes = good.clone();
            for _ in 0..20 {
                let at = random.random_range(4..bytes.len());
                bytes[at] = random.random();
            }
            add(format!("wrong{number}"), ending, bytes);
        }
        add(
            "head".to_owned(),
            ending,
            good[..good.len().min(64)].to_vec(),
        );
        add("signature".to_owned(), ending, good[..12].to_vec());
        add("empty".to_owned(), ending, Vec::new());
        let noise = (0..2000).map(|_| random.random()).collect();
        add("noise".to_owned(), ending, noise);
    }
    paths
}

#[tokio::test]
async fn hostile_bytes_are_refused_and_forgotten() {
    let origin = Origin::start().await;
    let paths = serve(&origin);
    let process = Process::start(&[("IMGPROXY_WORKERS", "2")]).await;
    let mut memory = Vec::new();
    for round in 0..ROUNDS {
        let mut wrong = Vec::new();
        // Every file meets every result format once in six rounds, and all of them in the first.
        let targets: Vec<String> = paths
            .iter()
            .enumerate()
            .flat_map(|(number, path)| {
                let results = if round == 0 {
                    RESULTS
                } else {
                    let which = (number + round) % RESULTS.len();
                    &RESULTS[which..=which]
                };
                results
                    .iter()
                    .map(|result| image_path("w:40", &origin.url(&format!("{path}@{result}"))))
                    .collect::<Vec<_>>()
            })
            .collect();
        for some in targets.chunks(4) {
            let replies =
                futures_util::future::join_all(some.iter().map(|target| process.get(target))).await;
            for (reply, target) in replies.iter().zip(some) {
                if reply.status >= 500 {
                    wrong.push(format!("{target}: {} {}", reply.status, reply.text()));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        memory.push(process.memory() >> 20);
    }
    println!("resident memory in MiB: {memory:?}");
    let early = *memory[..ROUNDS / 2].iter().max().unwrap();
    let late = *memory[ROUNDS / 2..].iter().max().unwrap();
    assert!(
        late <= early + ALLOWED_GROWTH,
        "resident memory in MiB grows from round to round: {memory:?}"
    );
}

const ROUNDS: usize = 20;
/// MiB; what an allocator keeps varies by more than a few.
const ALLOWED_GROWTH: u64 = 16;

/// Small files that declare enormous pictures: the memory that they cost is that of the result, not of the declaration.
#[tokio::test]
async fn declared_sizes_cost_no_memory() {
    let origin = Origin::start().await;
    let drawing = |side: u64| {
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1' width='{side}' height='{side}'><path d='M0 0V1H1'/></svg>"
        )
    };
    origin
        .on(
            "/large.svg",
            Script::file(drawing(10_000_000), "image/svg+xml"),
        )
        .on("/bomb.png", Script::file(declared_png(60_000), "image/png"))
        .on(
            "/bomb.bmp",
            Script::file(pictures::declared_bmp(60_000), "image/bmp"),
        );
    let process = Process::start(&[]).await;
    // What the first picture takes stays.
    origin.on("/small.svg", Script::file(drawing(100), "image/svg+xml"));
    let first = process
        .get(&image_path("w:20", &origin.url("/small.svg@png")))
        .await;
    assert_eq!(first.status, 200);
    let before = process.peak_memory();
    for (options, source, status) in [
        ("w:200", "/large.svg@png", 200),
        ("w:1500", "/large.svg@jpg", 200),
        ("w:200", "/bomb.png@jpg", 422),
        ("w:200", "/bomb.bmp@png", 422),
    ] {
        let reply = process.get(&image_path(options, &origin.url(source))).await;
        assert_eq!(reply.status, status, "{options} {source}");
    }
    let rise = (process.peak_memory() - before) >> 20;
    assert!(rise < 100, "memory rises by {rise} MiB");
}

/// A PNG of 1 bit that has no pixels for the size it declares.
fn declared_png(side: u32) -> Vec<u8> {
    let mut picture = pictures::png(1, 1, |_, _| [0; 3]);
    let mut header = b"IHDR".to_vec();
    header.extend_from_slice(&side.to_be_bytes());
    header.extend_from_slice(&side.to_be_bytes());
    header.extend_from_slice(&[1, 0, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    picture[12..29].copy_from_slice(&header);
    picture[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    picture
}
