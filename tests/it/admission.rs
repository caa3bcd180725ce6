//! Admission by cost: who passes whom, who is refused at once, and how much memory runs at the same time.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, Server, client, eventually, pictures};

/// A picture and options that keep a worker busy for some hundred milliseconds.
const EXPENSIVE: &str = "bl:19";

fn expensive_picture() -> Script {
    Script::file(pictures::noise_png(600, 600), "image/png")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cheap_request_is_not_stuck_behind_expensive_ones() {
    let origin = Origin::start().await;
    origin
        .on("/cheap.png", Script::image("grid.png"))
        .otherwise(expensive_picture());
    let env = [("IMGPROXY_WORKERS", "1"), ("IMGPROXY_TIMEOUT", "120")];
    let server = Server::start(&env).await;
    let mut expensive = JoinSet::new();
    for number in 0..10 {
        let path = image_path(EXPENSIVE, &origin.url(&format!("/{number}.png")));
        let addr = server.addr;
        expensive.spawn(async move { client::request(addr, "GET", &path, &[]).await.status });
    }
    eventually("all expensive sources are fetched", || {
        origin.order().len() == 10
    })
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let reply = server.image("w:10", &origin.url("/cheap.png")).await;
    assert_eq!(reply.status, 200);
    let mut done = 0;
    while expensive.try_join_next().is_some() {
        done += 1;
    }
    assert!(done <= 5, "{done} expensive ones went before");
    // And nobody is forgotten.
    let others = expensive.join_all().await;
    assert!(others.iter().all(|status| *status == 200), "{others:?}");
}

/// The value of a series.
fn value(scrape: &str, series: &str) -> f64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("{series} is missing"))
        .trim()
        .parse()
        .unwrap()
}

const REFUSED: &str = "imgforge_rejected_requests_total{reason=\"deadline\"}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_in_time_is_refused_at_once() {
    let origin = Origin::start().await;
    origin.otherwise(expensive_picture());
    let env = [("IMGPROXY_WORKERS", "1"), ("IMGPROXY_TIMEOUT", "10")];
    let process = Process::start(&env).await;
    let addr = process.addr;
    let path = |number: usize| image_path(EXPENSIVE, &origin.url(&format!("/{number}.png")));
    // How long such a job takes has to be learnt. Few of them are refused while it is.
    for number in 0..6 {
        assert_eq!(process.get(&path(number)).await.status, 200);
    }
    assert!(value(&process.scrape().await, REFUSED) < 1.0);
    let mut all = JoinSet::new();
    for number in 100..400 {
        let path = path(number);
        all.spawn(async move {
            let started = Instant::now();
            let reply = client::request(addr, "GET", &path, &[]).await;
            (reply, started.elapsed())
        });
    }
    let mut is_refused = false;
    while !is_refused {
        let (reply, took) = all.join_next().await.expect("a refusal").unwrap();
        if reply.status == 503 {
            assert_eq!(reply.text(), "Timeout");
            let seconds: u32 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds));
            assert!(took < Duration::from_secs(8), "{took:?}");
            is_refused = true;
        }
    }
    let scrape = process.scrape().await;
    assert!(value(&scrape, REFUSED) > 0.0);
    assert!(value(&scrape, "imgforge_queue_work_seconds") > 0.0);
    // Where others take the processor meanwhile, some wait in vain all the same, but most were told at once.
    let (mut done, mut late, mut at_once) = (0, 0, 1);
    while let Some(Ok((reply, took))) = all.join_next().await {
        match (reply.status, took < Duration::from_secs(8)) {
            (200, _) => done += 1,
            (503, true) => at_once += 1,
            (503, false) => late += 1,
            (other, _) => panic!("{other}"),
        }
    }
    assert!(done > 0);
    assert!(at_once > 2 * late, "{at_once} at once, {late} in vain");
}

/// Security case 81.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_pictures_wait_for_memory() {
    const GIB: u64 = 1 << 30;
    let origin = Origin::start().await;
    // 49 megapixels, 147 MB as soon as they are decoded.
    origin.otherwise(Script::file(pictures::declared_bmp(7000), "image/bmp"));
    let env = [("IMGPROXY_WORKERS", "16"), ("IMGPROXY_TIMEOUT", "20")];
    let process = Process::start_within(GIB, &env).await;
    let addr = process.addr;
    let mut all = JoinSet::new();
    for number in 0..200 {
        let path = image_path("w:100/format:jpg", &origin.url(&format!("/{number}.bmp")));
        all.spawn(async move { client::request(addr, "GET", &path, &[]).await.status });
    }
    let mut counts = [0; 2];
    let mut most: f64 = 0.0;
    while let Some(status) = all.join_next().await {
        match status.unwrap() {
            200 => counts[0] += 1,
            503 => counts[1] += 1,
            other => panic!("{other}\n{}", process.log()),
        }
        if (counts[0] + counts[1]) % 20 == 0 {
            let scrape = process.scrape().await;
            most = most.max(value(&scrape, "imgforge_decoded_memory_bytes"));
        }
    }
    assert!(counts[0] > 0, "{counts:?}");
    assert!(most <= 512.0 * 1024.0 * 1024.0, "{most}");
    assert_eq!(process.get("/health").await.status, 200);
    assert!(process.peak_memory() < GIB);
}
