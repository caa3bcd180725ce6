//! How long kept results are served, and what happens afterwards.

use std::time::Duration;

use crate::common::client::Reply;
use crate::common::server::image_path;
use crate::common::{Origin, Script, Server, pictures};

const MEMORY: (&str, &str) = ("IMGFORGE_CACHE_TYPE", "memory");

fn picture(width: usize, control: &str) -> Script {
    Script::file(pictures::noise_png(width as u32, 30), "image/png")
        .header("Cache-Control", control)
}

fn status(reply: &Reply) -> &str {
    reply.header("cache-status").unwrap_or_default()
}

fn width(reply: &Reply) -> u32 {
    assert_eq!(reply.status, 200, "{}", reply.text());
    pictures::facts(&reply.body).1
}

async fn seconds(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

#[tokio::test]
async fn what_a_source_forbids_is_not_kept() {
    let origin = Origin::start().await;
    let server = Server::start(&[MEMORY]).await;
    for (number, control) in ["no-store", "private, max-age=60", "no-cache"]
        .iter()
        .enumerate()
    {
        let path = format!("/{number}.png");
        origin.on(&path, picture(30, control));
        for round in 1..=2 {
            let reply = server.image("w:20", &origin.url(&path)).await;
            assert_eq!(status(&reply), "imgforge; fwd=uri-miss", "{control}");
            assert_eq!(origin.asked(&path).len(), round, "{control}");
        }
    }
    origin.on("/vary.png", picture(30, "max-age=60").header("Vary", "*"));
    for _ in 0..2 {
        server.image("w:20", &origin.url("/vary.png")).await;
    }
    assert_eq!(origin.asked("/vary.png").len(), 2);
}

#[tokio::test]
async fn a_stale_result_is_confirmed_or_replaced() {
    let origin = Origin::start().await;
    let control = "max-age=1, stale-while-revalidate=0";
    origin.on("/a.png", picture(30, control).header("ETag", "\"1\""));
    let server = Server::start(&[MEMORY]).await;
    let source = origin.url("/a.png");
    let first = server.image("q:80", &source).await;
    assert_eq!(status(&first), "imgforge; fwd=uri-miss; stored; ttl=1");
    assert!(status(&server.image("q:80", &source).await).starts_with("imgforge; hit; ttl="));
    seconds(1.2).await;
    // Still good, and for longer than before.
    let confirmation =
        Script::status(304).header("Cache-Control", "max-age=2, stale-while-revalidate=0");
    origin.on("/a.png", confirmation.header("ETag", "\"1\""));
    let second = server.image("q:80", &source).await;
    assert_eq!(
        status(&second),
        "imgforge; fwd=stale; fwd-status=304; stored; ttl=2"
    );
    assert_eq!(second.body, first.body);
    let asked = origin.asked("/a.png");
    assert_eq!(asked.last().unwrap().header("if-none-match"), Some("\"1\""));
    assert!(status(&server.image("q:80", &source).await).starts_with("imgforge; hit"));
    seconds(2.2).await;
    origin.on("/a.png", picture(40, "max-age=60").header("ETag", "\"2\""));
    let third = server.image("q:80", &source).await;
    assert_eq!(status(&third), "imgforge; fwd=stale; stored; ttl=60");
    assert_eq!((width(&first), width(&third)), (30, 40));
    assert_eq!(origin.asked("/a.png").len(), 3);
}

#[tokio::test]
async fn a_client_condition_is_judged_after_the_revalidation() {
    let origin = Origin::start().await;
    let control = "max-age=1, stale-while-revalidate=0";
    origin.on("/a.png", picture(30, control).header("ETag", "\"1\""));
    let server = Server::start(&[MEMORY]).await;
    let target = image_path("q:80", &origin.url("/a.png"));
    server.get(&target).await;
    seconds(1.2).await;
    origin.on("/a.png", Script::status(304).header("ETag", "\"1\""));
    // The client has an older one: the source confirms ours, which the client does not have.
    let reply = server
        .get_with(&target, &[("If-None-Match", "\"0\"")])
        .await;
    assert_eq!(width(&reply), 30);
    let asked = origin.asked("/a.png");
    assert_eq!(asked.last().unwrap().header("if-none-match"), Some("\"1\""));
    let reply = server
        .get_with(&target, &[("If-None-Match", "\"1\"")])
        .await;
    assert_eq!(reply.status, 304);
}

#[tokio::test]
async fn a_stale_result_is_served_while_the_source_is_asked() {
    let origin = Origin::start().await;
    origin.on(
        "/a.png",
        picture(30, "max-age=1, stale-while-revalidate=60"),
    );
    let server = Server::start(&[MEMORY]).await;
    let source = origin.url("/a.png");
    server.image("q:80", &source).await;
    seconds(1.2).await;
    let slow = picture(40, "max-age=60").delay(Duration::from_millis(500));
    origin.on("/a.png", slow);
    for _ in 0..5 {
        let stale = server.image("q:80", &source).await;
        assert_eq!(width(&stale), 30);
        assert!(
            status(&stale).starts_with("imgforge; hit; ttl="),
            "{}",
            status(&stale)
        );
        assert!(status(&stale).ends_with("; detail=stale-while-revalidate"));
    }
    let mut rounds = 0;
    while width(&server.image("q:80", &source).await) == 30 {
        seconds(0.1).await;
        rounds += 1;
        assert!(rounds < 100, "never revalidated");
    }
    assert_eq!(origin.asked("/a.png").len(), 2);
}

#[tokio::test]
async fn a_stale_result_is_served_where_the_source_cannot_be_had() {
    let origin = Origin::start().await;
    let control =
        |if_error| format!("max-age=1, stale-while-revalidate=0, stale-if-error={if_error}");
    origin
        .on("/a.png", picture(30, &control(60)))
        .on("/b.png", picture(30, &control(0)))
        .on("/c.png", picture(30, "max-age=1, must-revalidate"));
    let server = Server::start(&[MEMORY]).await;
    for path in ["/a.png", "/b.png", "/c.png"] {
        server.image("q:80", &origin.url(path)).await;
    }
    seconds(1.2).await;
    for path in ["/a.png", "/b.png", "/c.png"] {
        origin.on(path, Script::status(503));
    }
    let stale = server.image("q:80", &origin.url("/a.png")).await;
    assert_eq!(width(&stale), 30);
    assert!(status(&stale).starts_with("imgforge; fwd=stale; ttl="));
    assert!(status(&stale).ends_with("; detail=stale-if-error"));
    for path in ["/b.png", "/c.png"] {
        assert_eq!(
            server.image("q:80", &origin.url(path)).await.status,
            502,
            "{path}"
        );
    }
    // A source that is gone on purpose is gone.
    origin.on("/a.png", Script::status(404));
    assert_eq!(
        server.image("q:80", &origin.url("/a.png")).await.status,
        404
    );
}

#[tokio::test]
async fn the_configured_times_hold() {
    let origin = Origin::start().await;
    origin
        .on("/silent.png", Script::image("grid.png"))
        .on("/long.png", picture(30, "max-age=1000"));
    let env = [
        MEMORY,
        ("IMGFORGE_CACHE_DEFAULT_TTL", "70"),
        ("IMGFORGE_CACHE_MAX_TTL", "90"),
    ];
    let server = Server::start(&env).await;
    for (path, ttl) in [("/silent.png", 70), ("/long.png", 90)] {
        let reply = server.image("q:80", &origin.url(path)).await;
        let expected = format!("imgforge; fwd=uri-miss; stored; ttl={ttl}");
        assert_eq!(status(&reply), expected);
    }
}

#[tokio::test]
async fn an_age_is_told_beside_the_sources_cache_control() {
    let origin = Origin::start().await;
    origin.on("/a.png", picture(30, "max-age=60"));
    for (passthrough, expected) in [("true", true), ("false", false)] {
        let env = [MEMORY, ("IMGPROXY_CACHE_CONTROL_PASSTHROUGH", passthrough)];
        let server = Server::start(&env).await;
        let source = origin.url("/a.png");
        assert_eq!(server.image("q:80", &source).await.header("age"), None);
        let hit = server.image("q:80", &source).await;
        assert_eq!(hit.header("age").is_some(), expected);
    }
}

#[tokio::test]
async fn the_cache_can_be_bypassed_where_that_is_allowed() {
    let origin = Origin::start().await;
    origin.on("/a.png", picture(30, "max-age=60"));
    let source = origin.url("/a.png");
    let server = Server::start(&[MEMORY, ("IMGPROXY_ALLOW_BYPASS_CACHE", "true")]).await;
    server.image("q:80", &source).await;
    for (options, expected, asked) in [
        ("q:80/bc:1", "imgforge; fwd=bypass", 2),
        ("q:80/bypass_cache:1", "imgforge; fwd=bypass", 3),
        ("q:80/bc:0", "imgforge; hit", 3),
        ("q:80", "imgforge; hit", 3),
        ("q:81/bc:1", "imgforge; fwd=bypass", 4),
        ("q:81", "imgforge; fwd=uri-miss", 5),
    ] {
        let reply = server.image(options, &source).await;
        assert!(
            status(&reply).starts_with(expected),
            "{options}: {}",
            status(&reply)
        );
        assert_eq!(origin.asked("/a.png").len(), asked, "{options}");
    }
    let strict = Server::start(&[MEMORY]).await;
    assert_eq!(strict.image("bc:1", &source).await.status, 404);
    assert_eq!(strict.image("bc:0", &source).await.status, 404);
}
