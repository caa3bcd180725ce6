//! Deadlines, clients that leave, and the end of the server.

use std::time::{Duration, Instant};

use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, Server, client, eventually, pictures};

#[tokio::test]
async fn a_client_that_leaves_frees_its_worker() {
    let origin = Origin::start().await;
    origin
        .on("/stall.png", Script::mute())
        .on("/a.png", Script::image("grid.png"));
    let env = [
        ("IMGPROXY_WORKERS", "1"),
        ("IMGPROXY_TIMEOUT", "25"),
        ("IMGPROXY_DOWNLOAD_TIMEOUT", "25"),
    ];
    let server = Server::start(&env).await;
    let stalled = client::send(
        server.addr,
        "GET",
        &image_path("w:10", &origin.url("/stall.png")),
        &[],
    )
    .await;
    eventually("the origin was asked", || {
        origin.asked("/stall.png").len() == 1
    })
    .await;
    drop(stalled);
    eventually("the download was given up", || origin.abandoned() == 1).await;
    let started = Instant::now();
    assert_eq!(
        server.image("w:10", &origin.url("/a.png")).await.status,
        200
    );
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_follower_survives_the_leader() {
    let origin = Origin::start().await;
    origin.on(
        "/a.png",
        Script::image("grid.png").delay(Duration::from_millis(700)),
    );
    let server = Server::start(&[]).await;
    let target = image_path("w:10", &origin.url("/a.png"));
    let leader = client::send(server.addr, "GET", &target, &[]).await;
    eventually("the origin was asked", || {
        !origin.asked("/a.png").is_empty()
    })
    .await;
    let mut follower = client::send(server.addr, "GET", &target, &[]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(leader);
    assert_eq!(client::read(&mut follower, "GET").await.status, 200);
}

#[tokio::test]
async fn deadlines_say_whose_they_are() {
    let origin = Origin::start().await;
    let large = pictures::noise_png(300, 300);
    let half = large.len() / 2;
    origin
        .on("/mute", Script::mute())
        .on("/half", Script::file(large, "image/png").stall(half));
    // TIMEOUT, DOWNLOAD_TIMEOUT, path, status, text.
    for (whole, download, path, status, text) in [
        ("1", "20", "/mute", 503, "Timeout"),
        ("1", "20", "/half", 504, "Source is unreachable"),
        ("20", "1", "/mute", 504, "Source is unreachable"),
        ("20", "1", "/half", 504, "Source is unreachable"),
    ] {
        let env = [
            ("IMGPROXY_TIMEOUT", whole),
            ("IMGPROXY_DOWNLOAD_TIMEOUT", download),
        ];
        let server = Server::start(&env).await;
        let started = Instant::now();
        let reply = server.image("w:10", &origin.url(path)).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (status, text),
            "{path} {whole} {download}"
        );
        let took = started.elapsed();
        assert!(
            (900..4000).contains(&took.as_millis()),
            "{path} {whole} {download}: {took:?}"
        );
    }
}

#[tokio::test]
async fn waiting_for_a_worker_counts() {
    let origin = Origin::start().await;
    origin
        .on("/long.png", Script::image("grid.png"))
        .on("/a.png", Script::image("grid.png"));
    let env = [("IMGPROXY_WORKERS", "1"), ("IMGPROXY_TIMEOUT", "2")];
    let server = Server::start(&env).await;
    let long = image_path(LONG, &origin.url("/long.png"));
    let mut first = client::send(server.addr, "GET", &long, &[]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut second = client::send(server.addr, "GET", &format!("{long}?2"), &[]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = Instant::now();
    // Waits about 1.4 s for the first and hardly for the second, whose time is nearly over when it gets the worker.
    let third = server.image("w:10", &origin.url("/a.png")).await;
    let took = started.elapsed();
    assert_eq!(third.status, 200, "it had its turn");
    assert!(
        (900..2000).contains(&took.as_millis()),
        "the deadlines began with the requests: {took:?}"
    );
    for stream in [&mut first, &mut second] {
        let reply = client::read(stream, "GET").await;
        assert_eq!((reply.status, reply.text().as_str()), (503, "Timeout"));
        assert!(reply.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let server = Server::start(&[("IMGPROXY_READ_REQUEST_TIMEOUT", "1")]).await;
    let mut stream = client::connect(server.addr).await;
    stream.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
    let started = Instant::now();
    let mut rest = Vec::new();
    // Closed or reset, without an answer.
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest))
        .await
        .expect("the connection stays open");
    assert_eq!(rest, b"", "{}", String::from_utf8_lossy(&rest));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn stopping_finishes_what_is_running() {
    let origin = Origin::start().await;
    origin.on(
        "/a.png",
        Script::image("grid.png").delay(Duration::from_secs(1)),
    );
    for signal in ["TERM", "INT"] {
        let mut process = Process::start(&[]).await;
        let before = origin.asked("/a.png").len();
        let target = image_path("w:10", &origin.url("/a.png"));
        let mut running = client::send(process.addr, "GET", &target, &[]).await;
        eventually("the origin was asked", || {
            origin.asked("/a.png").len() > before
        })
        .await;
        process.signal(signal);
        let reply = client::read(&mut running, "GET").await;
        assert_eq!(reply.status, 200, "{signal}");
        assert!(process.exit().await.success(), "{signal}");
    }
}

#[tokio::test]
async fn a_stopped_server_refuses_connections() {
    let server = Server::start(&[]).await;
    let addr = server.addr;
    assert_eq!(server.get("/health").await.status, 200);
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

/// A job of many seconds whose time is spent within one libvips call.
const LONG: &str = "rs:force:4000:4000/el:1/bl:60";

/// Waits for the answer to an easy request, which needs the only worker, and says how long that took.
async fn until_free(server: &Server, source: &str) -> Duration {
    let started = Instant::now();
    assert_eq!(server.image("w:10", source).await.status, 200);
    started.elapsed()
}

#[tokio::test]
async fn a_running_job_ends_with_its_client() {
    let origin = Origin::start().await;
    origin
        .on("/long.png", Script::image("grid.png"))
        .on("/a.png", Script::image("grid.png"));
    let server = Server::start(&[("IMGPROXY_WORKERS", "1"), ("IMGPROXY_TIMEOUT", "60")]).await;
    let target = image_path(LONG, &origin.url("/long.png"));
    for _ in 0..2 {
        let before = origin.asked("/long.png").len();
        let running = client::send(server.addr, "GET", &target, &[]).await;
        eventually("the source was fetched", || {
            origin.asked("/long.png").len() > before
        })
        .await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        drop(running);
        let took = until_free(&server, &origin.url("/a.png")).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test]
async fn a_running_job_ends_at_its_deadline() {
    let origin = Origin::start().await;
    origin.otherwise(Script::image("grid.png"));
    let server = Server::start(&[("IMGPROXY_WORKERS", "1"), ("IMGPROXY_TIMEOUT", "2")]).await;
    let started = Instant::now();
    let reply = server.image(LONG, &origin.url("/long.png")).await;
    let took = started.elapsed();
    assert_eq!((reply.status, reply.text().as_str()), (503, "Timeout"));
    assert!((1900..2900).contains(&took.as_millis()), "{took:?}");
    let took = until_free(&server, &origin.url("/a.png")).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}
