//! One download for all that want the same source at the same time.

use std::time::{Duration, Instant};

use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, Server, pictures};

const SLOW: Duration = Duration::from_millis(600);

fn slow(script: Script) -> Script {
    script.delay(SLOW)
}

#[tokio::test]
async fn two_hundred_requests_for_eight_sizes_are_one_download_and_eight_jobs() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png").delay(2 * SLOW));
    // Fewer workers than sizes, so that most requests are in the queue when the download ends.
    let process = Process::start(&[("IMGPROXY_WORKERS", "2")]).await;
    let source = origin.url("/a.png");
    let targets: Vec<String> = (0..200)
        .map(|number| image_path(&format!("w:{}", 10 + number % 8), &source))
        .collect();
    let replies = futures_util::future::join_all(targets.iter().map(|t| process.get(t))).await;
    for (number, reply) in replies.iter().enumerate() {
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(pictures::facts(&reply.body).1, 10 + number as u32 % 8);
    }
    assert_eq!(origin.asked("/a.png").len(), 1);
    let text = process.scrape().await;
    for line in [
        "processed_images_total{format=\"png\"} 8",
        "source_images_fetched_total{status=\"success\"} 1",
        "imgforge_collapsed_requests_total 192",
        "imgforge_shared_downloads_total 7",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}:\n{text}");
    }
}

#[tokio::test]
async fn a_leader_that_leaves_hands_the_download_over() {
    let origin = Origin::start().await;
    origin.on("/a.png", slow(Script::image("grid.png")));
    let server = Server::start(&[("IMGPROXY_WORKERS", "4")]).await;
    let source = origin.url("/a.png");
    let leader = tokio::time::timeout(SLOW / 2, server.image("w:20", &source));
    let follower = async {
        tokio::time::sleep(SLOW / 4).await;
        server.image("w:21", &source).await
    };
    let (left, reply) = tokio::join!(leader, follower);
    assert!(left.is_err());
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(origin.asked("/a.png").len(), 2);
}

/// The wait for the turn of a host counts against nobody's download time, nor against that of those who wait with it.
#[tokio::test]
async fn who_waits_for_a_download_waits_for_its_turn_as_well() {
    let origin = Origin::start().await;
    origin
        .on("/first.png", Script::image("grid.png").delay(2 * SLOW))
        .on("/second.png", Script::image("grid.png").delay(2 * SLOW))
        .on("/a.png", Script::image("grid.png"))
        .on("/mute.png", Script::mute());
    let env = [
        ("IMGFORGE_MAX_DOWNLOADS_PER_HOST", "1"),
        ("IMGPROXY_DOWNLOAD_TIMEOUT", "2"),
        ("IMGPROXY_TIMEOUT", "20"),
    ];
    let server = Server::start(&env).await;
    let url = |path| origin.url(path);
    let source = url("/a.png");
    let shared = async {
        tokio::time::sleep(SLOW / 4).await;
        let sizes = ["w:20", "w:21", "w:22"];
        futures_util::future::join_all(sizes.map(|size| server.image(size, &source))).await
    };
    let (first, second) = (url("/first.png"), url("/second.png"));
    let (_, _, replies) = tokio::join!(server.image("", &first), server.image("", &second), shared);
    for reply in replies {
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(origin.asked("/a.png").len(), 1);
    // A source that does not answer has everybody's time only once.
    let started = Instant::now();
    let sizes = ["w:20", "w:21", "w:22"];
    let mute = url("/mute.png");
    let replies = futures_util::future::join_all(sizes.map(|size| server.image(size, &mute))).await;
    assert!(
        replies.iter().all(|reply| reply.status == 504),
        "{replies:?}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn every_request_is_judged_by_its_own_limit() {
    let origin = Origin::start().await;
    let picture = pictures::noise_png(64, 64);
    let (bytes, below) = (picture.len(), picture.len() - 1);
    origin.on("/a.png", slow(Script::file(picture, "image/png")));
    let env = [
        ("IMGPROXY_ALLOW_SECURITY_OPTIONS", "true"),
        ("IMGPROXY_WORKERS", "4"),
    ];
    let server = Server::start(&env).await;
    let source = origin.url("/a.png");
    let (small, large) = (format!("msfs:{below}"), format!("msfs:{bytes}"));
    for (first, second, downloads) in [
        // One that is too strict fails for itself alone.
        (&small, &large, 2),
        (&large, &small, 1),
    ] {
        let before = origin.asked("/a.png").len();
        let later = async {
            tokio::time::sleep(SLOW / 4).await;
            server.image(second, &source).await
        };
        let (one, other) = tokio::join!(server.image(first, &source), later);
        for (options, reply) in [(first, one), (second, other)] {
            let expected = if *options == small { 422 } else { 200 };
            assert_eq!(reply.status, expected, "{options}: {}", reply.text());
        }
        assert_eq!(origin.asked("/a.png").len() - before, downloads, "{first}");
    }
}

#[tokio::test]
async fn every_request_is_authorised_by_itself() {
    let origin = Origin::start().await;
    origin.on("/a.png", slow(Script::image("grid.png")));
    let env = [("IMGPROXY_SECRET", "s"), ("IMGPROXY_WORKERS", "4")];
    let server = Server::start(&env).await;
    let source = origin.url("/a.png");
    let (path, other) = (image_path("w:20", &source), image_path("w:21", &source));
    let stranger = async {
        tokio::time::sleep(SLOW / 4).await;
        (server.get(&path).await, server.get(&other).await)
    };
    let authorised = [("Authorization", "Bearer s")];
    let (good, (same, size)) = tokio::join!(server.get_with(&path, &authorised), stranger);
    assert_eq!((good.status, same.status, size.status), (200, 403, 403));
    assert_eq!(origin.asked("/a.png").len(), 1);
}

#[tokio::test]
async fn an_outcome_is_shared_with_its_own_time_only() {
    let origin = Origin::start().await;
    origin.on("/a.png", slow(Script::status(404)));
    let server = Server::start(&[("IMGPROXY_WORKERS", "8")]).await;
    let source = origin.url("/a.png");
    let sizes = ["w:20", "w:21", "w:22", "w:23"];
    let replies =
        futures_util::future::join_all(sizes.map(|size| server.image(size, &source))).await;
    assert!(replies.iter().all(|reply| reply.status == 404));
    assert_eq!(origin.asked("/a.png").len(), 1);
    // The source changes while it is downloaded: who came before has the old one, who comes later the new one.
    origin.on(
        "/a.png",
        slow(Script::file(pictures::noise_png(30, 30), "image/png")),
    );
    let changed = async {
        tokio::time::sleep(SLOW / 2).await;
        origin.on(
            "/a.png",
            Script::file(pictures::noise_png(40, 40), "image/png"),
        );
        server.image("q:80", &source).await
    };
    let (first, second) = tokio::join!(server.image("", &source), changed);
    assert_eq!(pictures::facts(&first.body).1, 30);
    assert_eq!(pictures::facts(&second.body).1, 30);
    assert_eq!(origin.asked("/a.png").len(), 2);
    let third = server.image("", &source).await;
    assert_eq!(pictures::facts(&third.body).1, 40);
}

#[tokio::test]
async fn failures_are_remembered_where_that_is_on() {
    let origin = Origin::start().await;
    origin
        .on("/missing.png", Script::status(404))
        .on("/broken.png", Script::status(500));
    let server = Server::start(&[("IMGFORGE_NEGATIVE_TTL_CLIENT_ERROR", "3600")]).await;
    for (path, status, downloads) in [("/missing.png", 404, 1), ("/broken.png", 502, 3)] {
        for size in ["w:20", "w:21", "w:21"] {
            let reply = server.image(size, &origin.url(path)).await;
            assert_eq!(reply.status, status, "{path}");
        }
        assert_eq!(origin.asked(path).len(), downloads, "{path}");
    }
}
