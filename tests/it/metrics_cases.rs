//! The table "cases worth fixing in tests" of `spec/monitoring.md` B3: what each kind of request counts, and that it counts
//! nothing else. And the listener's isolation: a scrape never waits for images.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::common::client::{self, Reply};
use crate::common::server::image_path;
use crate::common::{Origin, PATIENCE, Process, Script, eventually, pictures};
use crate::metrics::{Scrape, scrape};

const CACHE: (&str, &str) = ("IMGFORGE_CACHE_TYPE", "memory");
const SLOW: (&str, &str) = ("IMGPROXY_AVIF_SPEED", "0");
const HTTP: &str = "http_requests_duration_seconds_count{method=\"GET\",path=\"/{*path}\"}";
const HIT: &str = "cache_hits_total{cache_type=\"memory\"}";
const MISS: &str = "cache_misses_total{cache_type=\"memory\"}";
const FETCHES: &str = "source_image_fetch_duration_seconds_count";
const FETCHED: &str = "source_images_fetched_total{status=\"success\"}";
const FAILED: &str = "source_images_fetched_total{status=\"error\"}";
const BLOCKED: &str = "imgforge_ssrf_blocked_total";

/// Families whose growth is compared. A histogram stands for all of its series by its count.
const COUNTED: &[&str] = &[
    "http_requests_duration_seconds_count",
    "image_processing_duration_seconds_count",
    "source_image_fetch_duration_seconds_count",
    "processed_images_total",
    "source_images_fetched_total",
    "cache_hits_total",
    "cache_misses_total",
    "status_codes_total",
    "imgforge_source_fetches_total",
    "imgforge_auxiliary_fetches_total",
    "imgforge_ssrf_blocked_total",
];

fn status(code: u16) -> String {
    format!("status_codes_total{{status=\"{code}\"}}")
}

fn outcome(name: &str) -> String {
    format!("imgforge_source_fetches_total{{scheme=\"http\",outcome=\"{name}\"}}")
}

fn http(method: &str, path: &str) -> String {
    format!("http_requests_duration_seconds_count{{method=\"{method}\",path=\"{path}\"}}")
}

fn processed(format: &str) -> [String; 2] {
    [
        format!("image_processing_duration_seconds_count{{format=\"{format}\"}}"),
        format!("processed_images_total{{format=\"{format}\"}}"),
    ]
}

/// The series that one more request of the main listener has made grow, and by how much.
struct Growth<'a> {
    process: &'a Process,
    before: Scrape,
}

impl<'a> Growth<'a> {
    async fn of(process: &'a Process) -> Self {
        // The answer to an earlier request is seen before the request is counted.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = scrape(process).await;
        Self { process, before }
    }

    /// Waits for the request to be counted and holds what has grown, by 1 each, against `expected`.
    async fn is(self, name: &str, expected: &[&str]) {
        let end = Instant::now() + PATIENCE;
        let requests = |scrape: &Scrape| -> f64 {
            let is_request = |key: &str| key.starts_with(COUNTED[0]);
            let counts = scrape.samples.iter().filter(|(key, _)| is_request(key));
            counts.map(|(_, value)| value).sum()
        };
        let after = loop {
            let after = scrape(self.process).await;
            if requests(&after) > requests(&self.before) {
                break after;
            }
            assert!(Instant::now() < end, "{name}: the request is not counted");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let grown: BTreeMap<&str, f64> = after
            .samples
            .iter()
            .filter(|(key, _)| COUNTED.contains(&key.split('{').next().unwrap()))
            .map(|(key, value)| (key.as_str(), value - self.before.value(key)))
            .filter(|(_, growth)| *growth != 0.0)
            .collect();
        let expected: BTreeMap<&str, f64> = expected.iter().map(|key| (*key, 1.0)).collect();
        assert_eq!(grown, expected, "{name}");
    }
}

/// One GET, its status, and all that it counts.
async fn case(
    process: &Process,
    name: &str,
    target: &str,
    headers: &[(&str, &str)],
    code: u16,
    others: &[&str],
) -> Reply {
    let growth = Growth::of(process).await;
    let reply = client::request(process.addr, "GET", target, headers).await;
    assert_eq!(reply.status, code, "{name}: {}", reply.text());
    let status = status(code);
    let mut expected = vec![HTTP, &status];
    expected.extend_from_slice(others);
    growth.is(name, &expected).await;
    reply
}

#[tokio::test]
async fn images_and_validators() {
    let origin = Origin::start().await;
    origin
        .on(
            "/a.png",
            Script::image("grid.png").header("ETag", "\"version-1\""),
        )
        // A head that declares a body which a 304 does not have.
        .on("/same.png", Script::status(304).cut(0))
        .on("/two.gif", Script::file(two_frames(), "image/gif"));
    let process = Process::start(&[CACHE, ("IMGPROXY_MAX_ANIMATION_FRAMES", "2")]).await;
    let image = image_path("w:10", &origin.url("/a.png"));
    let [processing, pictures] = processed("png");
    let ok = outcome("ok");
    let fetch = [FETCHES, FETCHED, &ok];

    let fresh = [&fetch[..], &[MISS, &processing, &pictures]].concat();
    let first = case(&process, "fresh image", &image, &[], 200, &fresh).await;
    case(&process, "cache hit", &image, &[], 200, &[HIT]).await;
    let known = [("If-None-Match", first.header("etag").unwrap())];
    case(&process, "304 from the cache", &image, &known, 304, &[HIT]).await;

    let same = image_path("w:10", &origin.url("/same.png"));
    let not_modified = outcome("not_modified");
    let relayed = [FETCHES, FETCHED, &not_modified, MISS];
    case(
        &process,
        "304 from the origin",
        &same,
        &known,
        304,
        &relayed,
    )
    .await;

    let raw = image_path("raw:1", &origin.url("/a.png"));
    case(&process, "raw", &raw, &[], 200, &fetch).await;
    let skipped = image_path("skp:png", &origin.url("/a.png"));
    let without_processing = [&fetch[..], &[MISS]].concat();
    case(&process, "skipped", &skipped, &[], 200, &without_processing).await;

    let animated = image_path("q:80", &format!("{}@gif", origin.url("/two.gif")));
    let [processing, pictures] = processed("gif");
    let once = [&fetch[..], &[MISS, &processing, &pictures]].concat();
    let reply = case(&process, "animation", &animated, &[], 200, &once).await;
    let frames = reply.body.windows(2).filter(|w| *w == [0x21, 0xf9]).count();
    assert_eq!(frames, 2, "the result is animated");
}

#[tokio::test]
async fn failures_of_the_source() {
    let origin = Origin::start().await;
    origin.on("/stall.png", Script::image("grid.png").stall(40));
    let process = Process::start(&[CACHE]).await;
    let missing = image_path("w:10", &origin.url("/missing.png"));
    let not_found = outcome("not_found");
    let failed = [FETCHES, FAILED, &not_found, MISS];
    case(&process, "origin 404", &missing, &[], 404, &failed).await;
    let raw = image_path("raw:1", &origin.url("/missing.png"));
    case(&process, "raw 404", &raw, &[], 404, &failed[..3]).await;

    let closed = image_path("w:10", "http://127.0.0.1:1/a.png");
    let connect = outcome("connect");
    let failed = [FETCHES, FAILED, &connect, MISS];
    case(&process, "nobody listens", &closed, &[], 404, &failed).await;
    let unknown = image_path("w:10", "http://nobody.invalid/a.png");
    let dns = outcome("dns");
    let failed = [FETCHES, FAILED, &dns, MISS];
    case(&process, "no such name", &unknown, &[], 404, &failed).await;

    // Nothing is sent, so these are no fetches.
    let blocked = image_path("w:10", "http://169.254.1.1/a.png");
    case(&process, "blocked", &blocked, &[], 404, &[MISS, BLOCKED]).await;
    let scheme = image_path("w:10", "ftp://127.0.0.1/a.png");
    case(&process, "unknown scheme", &scheme, &[], 404, &[MISS]).await;

    let growth = Growth::of(&process).await;
    let target = image_path("w:10", &origin.url("/stall.png"));
    let client = client::send(process.addr, "GET", &target, &[]).await;
    eventually("the origin was asked", || {
        !origin.asked("/stall.png").is_empty()
    })
    .await;
    drop(client);
    let (gone, cancelled) = (status(499), outcome("cancelled"));
    let expected = [HTTP, &gone, FETCHES, FAILED, &cancelled, MISS];
    growth.is("aborted client", &expected).await;
}

#[tokio::test]
async fn bytes_of_downloads_count_however_they_end() {
    const BYTES: &str = "imgforge_source_bytes_total{scheme=\"http\"}";
    let origin = Origin::start().await;
    let whole = pictures::file("grid.png").len();
    origin
        .on("/whole.png", Script::image("grid.png"))
        .on("/raw.png", Script::image("grid.png"))
        .on("/cut.png", Script::image("grid.png").cut(50))
        .on("/stall.png", Script::image("grid.png").stall(40));
    let process = Process::start(&[("IMGPROXY_DOWNLOAD_TIMEOUT", "1")]).await;
    for (options, path, code) in [
        ("w:10", "/whole.png", 200),
        ("raw:1", "/raw.png", 200),
        ("w:10", "/cut.png", 422),
        ("w:10", "/stall.png", 504),
    ] {
        let target = image_path(options, &origin.url(path));
        assert_eq!(process.get(&target).await.status, code, "{path}");
    }
    assert_eq!(
        scrape(&process).await.value(BYTES),
        (2 * whole + 50 + 40) as f64
    );
}

#[tokio::test]
async fn refusals() {
    let origin = Origin::start().await;
    origin
        .on("/mute1", Script::mute())
        .on("/mute2", Script::mute());
    let keys = [
        CACHE,
        ("IMGPROXY_KEY", "736563726574"),
        ("IMGPROXY_SALT", "68656c6c6f"),
    ];
    let signed = Process::start(&keys).await;
    let forged = format!("/forged/w:10/plain/{}", origin.url("/a.png"));
    case(&signed, "bad signature", &forged, &[], 403, &[]).await;

    let env = [
        CACHE,
        ("IMGPROXY_WORKERS", "1"),
        ("IMGPROXY_REQUESTS_QUEUE_SIZE", "1"),
    ];
    let process = Process::start(&env).await;
    let mut held = Vec::new();
    for (path, present) in [("/mute1", 1.0), ("/mute2", 2.0)] {
        let target = image_path("w:10", &origin.url(path));
        held.push(client::send(process.addr, "GET", &target, &[]).await);
        reaches(&process, "requests_in_progress", present).await;
    }
    let third = image_path("w:10", &origin.url("/a.png"));
    case(&process, "queue full", &third, &[], 429, &[]).await;
    assert!(origin.asked("/a.png").is_empty());
}

#[tokio::test]
async fn pictures_of_the_server_itself() {
    let origin = Origin::start().await;
    for path in ["/a.png", "/watermark.png", "/fallback.png"] {
        origin.on(path, Script::image("grid.png"));
    }
    let (watermark, fallback) = (origin.url("/watermark.png"), origin.url("/fallback.png"));
    let env = [
        CACHE,
        ("IMGPROXY_WATERMARK_URL", watermark.as_str()),
        ("IMGPROXY_FALLBACK_IMAGE_URL", fallback.as_str()),
    ];
    let process = Process::start(&env).await;
    let start = scrape(&process).await;
    for kind in ["watermark", "fallback"] {
        for (status, count) in [("success", 1.0), ("error", 0.0)] {
            let key =
                format!("imgforge_auxiliary_fetches_total{{kind=\"{kind}\",status=\"{status}\"}}");
            assert_eq!(start.samples.get(&key), Some(&count), "{key}");
        }
    }
    assert_eq!(
        start.value(FETCHES),
        0.0,
        "downloads at start are no fetches"
    );

    let [processing, pictures] = processed("png");
    let ok = outcome("ok");
    let marked = image_path("w:10/wm:1", &origin.url("/a.png"));
    let fresh = [FETCHES, FETCHED, &ok, MISS, &processing, &pictures];
    case(&process, "watermark", &marked, &[], 200, &fresh).await;
    let missing = image_path("w:10", &origin.url("/missing.png"));
    let not_found = outcome("not_found");
    let replaced = [FETCHES, FAILED, &not_found, MISS, &processing, &pictures];
    case(&process, "fallback image", &missing, &[], 200, &replaced).await;
}

#[tokio::test]
async fn requests_that_are_no_images() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let process = Process::start(&[CACHE]).await;
    let image = image_path("w:10", &origin.url("/a.png"));
    let (not_found, bad) = (status(404), status(400));
    for (method, target, route, others) in [
        ("HEAD", image.as_str(), "/{*path}", &[][..]),
        ("OPTIONS", &image, "/{*path}", &[]),
        ("GET", "/health", "/health", &[]),
        ("GET", "/", "/", &[]),
        ("POST", &image, "unmatched", &[not_found.as_str()]),
        ("BREW", &image, "unmatched", &[&not_found]),
        ("GET", "/%zz", "unmatched", &[&bad]),
    ] {
        let growth = Growth::of(&process).await;
        client::request(process.addr, method, target, &[]).await;
        let label = if method == "BREW" { "OTHER" } else { method };
        let request = http(label, route);
        let mut expected = vec![request.as_str()];
        expected.extend_from_slice(others);
        growth.is(&format!("{method} {target}"), &expected).await;
    }
}

#[tokio::test]
async fn a_timeout_while_processing_is_no_sample() {
    let origin = Origin::start().await;
    origin.on("/a.png", noise());
    let process = Process::start(&[CACHE, SLOW, ("IMGPROXY_TIMEOUT", "1")]).await;
    let slow = slow(&origin, 1);
    let ok = outcome("ok");
    let expected = [FETCHES, FETCHED, &ok, MISS];
    case(&process, "timeout", &slow, &[], 503, &expected).await;
}

#[tokio::test]
async fn a_scrape_waits_for_nothing() {
    let origin = Origin::start().await;
    origin.on("/a.png", noise());
    let env = [
        SLOW,
        ("IMGPROXY_WORKERS", "2"),
        ("IMGPROXY_REQUESTS_QUEUE_SIZE", "2"),
        ("IMGPROXY_TIMEOUT", "120"),
        ("IMGPROXY_GRACEFUL_STOP_TIMEOUT", "120"),
    ];
    let process = Process::start(&env).await;
    let mut held = Vec::new();
    for number in 1..=4 {
        held.push(client::send(process.addr, "GET", &slow(&origin, number), &[]).await);
    }
    reaches(
        &process,
        "image_operations_active{operation=\"process\"}",
        2.0,
    )
    .await;
    reaches(&process, "imgforge_queue_length", 2.0).await;
    assert_eq!(process.get(&slow(&origin, 5)).await.status, 429);
    is_prompt(&process, "busy").await;
    assert_eq!(scrape(&process).await.value("imgforge_ready"), 1.0);

    process.signal("TERM");
    let stopped = Instant::now() + PATIENCE;
    while tokio::net::TcpStream::connect(process.addr).await.is_ok() {
        assert!(Instant::now() < stopped, "the main listener stays open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    is_prompt(&process, "stopping").await;
    let seen = scrape(&process).await;
    assert_eq!(seen.value("requests_in_progress"), 4.0, "all still busy");
    assert_eq!(seen.value("imgforge_ready"), 0.0);
}

/// A scrape is answered within 50 ms. The median, because this machine runs other tests as well.
async fn is_prompt(process: &Process, when: &str) {
    let mut times = Vec::new();
    for _ in 0..21 {
        let started = Instant::now();
        scrape(process).await;
        times.push(started.elapsed());
    }
    times.sort();
    assert!(times[10] < Duration::from_millis(50), "{when}: {times:?}");
    assert!(times[20] < Duration::from_secs(1), "{when}: {times:?}");
}

async fn reaches(process: &Process, gauge: &str, value: f64) {
    let end = Instant::now() + PATIENCE;
    while scrape(process).await.value(gauge) != value {
        assert!(Instant::now() < end, "{gauge} does not become {value}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn noise() -> Script {
    Script::file(pictures::noise_png(64, 64), "image/png")
}

/// The path of an image that keeps a worker busy for many seconds, with [`SLOW`]; each number is another image.
fn slow(origin: &Origin, number: u32) -> String {
    let source = format!("{}@avif", origin.url("/a.png"));
    let size = 3000 + number;
    image_path(&format!("rs:force:{size}:{size}/el:1"), &source)
}

/// A GIF of two frames with one pixel each.
fn two_frames() -> Vec<u8> {
    let mut gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    gif.extend_from_slice(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0");
    for codes in [0x44, 0x4c] {
        gif.extend_from_slice(b"\x21\xf9\x04\0\x0a\0\0\0");
        gif.extend_from_slice(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02");
        gif.extend_from_slice(&[codes, 0x01, 0]);
    }
    gif.push(0x3b);
    gif
}
