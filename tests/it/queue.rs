//! Workers and the queue in front of them, over real connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, Server, client, eventually, pictures};

async fn send(server: &Server, source: &str) -> TcpStream {
    client::send(server.addr, "GET", &image_path("w:10", source), &[]).await
}

/// A server with one worker and room for one more request, busy with `/slow.png`; the connection of the first.
async fn busy(origin: &Origin) -> (Server, TcpStream) {
    let env = [
        ("IMGPROXY_WORKERS", "1"),
        ("IMGPROXY_REQUESTS_QUEUE_SIZE", "1"),
    ];
    let server = Server::start(&env).await;
    let running = send(&server, &origin.url("/slow.png")).await;
    eventually("the first request is being worked on", || {
        origin.connections() == 1
    })
    .await;
    (server, running)
}

#[tokio::test]
async fn a_full_queue_answers_at_once() {
    let origin = Origin::start().await;
    let slow = Script::image("grid.png").delay(Duration::from_secs(2));
    origin
        .on("/slow.png", slow.clone())
        .on("/waiting.png", slow)
        .on("/refused.png", Script::image("grid.png"));
    let (server, mut running) = busy(&origin).await;
    let mut waiting = send(&server, &origin.url("/waiting.png")).await;
    tokio::time::sleep(Duration::from_millis(200)).await;

    let started = Instant::now();
    let refused = server.image("w:10", &origin.url("/refused.png")).await;
    assert_eq!(
        (refused.status, refused.text().as_str()),
        (429, "Too many requests")
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(origin.asked("/refused.png").len(), 0);
    assert_eq!(
        server.get("/health").await.status,
        200,
        "health needs no worker"
    );
    let raw = server.image("raw:1", &origin.url("/refused.png")).await;
    assert_eq!(raw.status, 200, "a raw stream needs no worker");

    assert_eq!(client::read(&mut running, "GET").await.status, 200);
    assert_eq!(client::read(&mut waiting, "GET").await.status, 200);
    let later = server.image("w:10", &origin.url("/refused.png")).await;
    assert_eq!(later.status, 200);
}

#[tokio::test]
async fn downloads_of_one_host_begin_in_the_order_of_arrival() {
    let origin = Origin::start().await;
    let slow = Script::image("grid.png").delay(Duration::from_millis(700));
    origin
        .on("/0.png", slow)
        .otherwise(Script::image("grid.png"));
    let server = Server::start(&[("IMGFORGE_MAX_DOWNLOADS_PER_HOST", "1")]).await;
    let mut all = Vec::new();
    for number in 0..8 {
        all.push(send(&server, &origin.url(&format!("/{number}.png"))).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for stream in &mut all {
        assert_eq!(client::read(stream, "GET").await.status, 200);
    }
    let expected: Vec<String> = (0..8).map(|number| format!("/{number}.png")).collect();
    assert_eq!(origin.order(), expected);
}

#[tokio::test]
async fn who_leaves_the_queue_makes_room() {
    let origin = Origin::start().await;
    let slow = Script::image("grid.png").delay(Duration::from_secs(2));
    origin
        .on("/slow.png", slow)
        .on("/leaving.png", Script::mute())
        .otherwise(Script::image("grid.png"));
    let (server, mut running) = busy(&origin).await;
    let leaving = send(&server, &origin.url("/leaving.png")).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(leaving);
    eventually("its download was given up", || origin.abandoned() == 1).await;
    let next = server.image("w:10", &origin.url("/next.png")).await;
    assert_eq!(next.status, 200);
    assert_eq!(client::read(&mut running, "GET").await.status, 200);
}

#[tokio::test]
async fn a_slow_origin_delays_nobody_else() {
    let (slow, fast) = (Origin::start().await, Origin::start().await);
    slow.otherwise(Script::image("grid.png").drip(Duration::from_secs(1)));
    fast.otherwise(Script::image("grid.png"));
    let env = [
        ("IMGPROXY_WORKERS", "1"),
        ("IMGFORGE_MAX_DOWNLOADS_PER_HOST", "8"),
        ("IMGPROXY_TIMEOUT", "60"),
        ("IMGPROXY_DOWNLOAD_TIMEOUT", "60"),
    ];
    let server = Server::start(&env).await;
    let mut dripping = Vec::new();
    for number in 0..100 {
        dripping.push(send(&server, &slow.url(&format!("/{number}.png"))).await);
    }
    eventually("the slow origin drips", || slow.connections() == 8).await;
    let started = Instant::now();
    for number in 0..20 {
        let reply = server
            .image("w:10", &fast.url(&format!("/{number}.png")))
            .await;
        assert_eq!(reply.status, 200);
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?} for 20 pictures");
    assert_eq!(slow.connections(), 8, "the others wait for their turn");
    // Who leaves, downloading or waiting, makes room for the next.
    dripping.drain(..90);
    eventually("the next have their turn", || {
        slow.asked("/90.png").len() == 1
    })
    .await;
}

#[tokio::test]
async fn sources_are_read_as_there_is_room() {
    let origin = Origin::start().await;
    let large = pictures::noise_png(300, 300);
    assert!(large.len() > 200_000);
    let half = large.len() / 2;
    origin
        .on(
            "/stalled.png",
            Script::file(large.clone(), "image/png").stall(half),
        )
        .otherwise(Script::file(large, "image/png"));
    let env = [
        ("IMGFORGE_MAX_SOURCE_MEMORY", "65536"),
        ("IMGPROXY_TIMEOUT", "30"),
        ("IMGPROXY_DOWNLOAD_TIMEOUT", "1"),
    ];
    let server = Server::start(&env).await;
    // It takes the room, and the right to go beyond it, until its download is given up after a second.
    let mut stalled = send(&server, &origin.url("/stalled.png")).await;
    eventually("the first is being read", || origin.connections() == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut all = Vec::new();
    for number in 0..8 {
        all.push(send(&server, &origin.url(&format!("/{number}.png"))).await);
    }
    for stream in &mut all {
        assert_eq!(client::read(stream, "GET").await.status, 200);
    }
    assert_eq!(client::read(&mut stalled, "GET").await.status, 504);
}

/// The middle of the times that 21 answers took.
async fn median(of: SocketAddr, target: &str) -> Duration {
    let mut took = Vec::new();
    for _ in 0..21 {
        let started = Instant::now();
        let reply = client::request(of, "GET", target, &[]).await;
        took.push(started.elapsed());
        assert_eq!(reply.status, 200, "{target}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    took.sort();
    took[10]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_metrics_answer_at_ten_times_the_capacity() {
    let origin = Origin::start().await;
    let noise = pictures::noise_png(700, 700);
    origin.otherwise(Script::file(noise, "image/png"));
    let process = Process::start(&[
        ("IMGPROXY_WORKERS", "2"),
        ("IMGPROXY_REQUESTS_QUEUE_SIZE", "6"),
        ("IMGPROXY_TIMEOUT", "60"),
    ])
    .await;
    // 80 clients that come back as long as the test lasts; there is room for 8.
    let addr = process.addr;
    let mut clients = tokio::task::JoinSet::new();
    let counts = [200, 429].map(|status| (status, Arc::new(AtomicUsize::new(0))));
    for number in 0..80 {
        let source = origin.url(&format!("/{number}.png"));
        let counts = counts.clone();
        clients.spawn(async move {
            loop {
                let path = image_path("rs:fit:600:600/bl:2", &source);
                let reply = client::request(addr, "GET", &path, &[]).await;
                let (_, count) = counts.iter().find(|(s, _)| *s == reply.status).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        });
    }
    let count = |index: usize| counts[index].1.load(Ordering::Relaxed);
    eventually("the queue is full", || count(1) >= 72).await;
    for (of, target) in [(process.addr, "/health"), (process.metrics, "/metrics")] {
        let median = median(of, target).await;
        assert!(median < Duration::from_millis(50), "{target}: {median:?}");
    }
    eventually("work is done all the same", || count(0) > 0).await;
    assert!(clients.try_join_next().is_none(), "a client has failed");
    clients.shutdown().await;
}
