//! The result cache, and one job for identical concurrent requests.

use std::time::Duration;

use crate::common::client::Reply;
use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, Server, client, pictures};

const MEMORY: &[(&str, &str)] = &[
    ("IMGFORGE_CACHE_TYPE", "memory"),
    ("IMGFORGE_CACHE_MEMORY_CAPACITY", "16777216"),
];

fn is_hit(reply: &Reply) -> bool {
    let status = reply.header("cache-status");
    status.is_some_and(|status| status.starts_with("imgforge; hit"))
}

async fn concurrently(server: &Server, count: usize, options: &str, source: &str) {
    let requests = (0..count).map(|_| server.image(options, source));
    let replies = futures_util::future::join_all(requests).await;
    for reply in &replies {
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.body, replies[0].body);
    }
}

#[tokio::test]
async fn two_hundred_identical_requests_are_one_download() {
    let origin = Origin::start().await;
    origin.on(
        "/a.png",
        Script::image("grid.png").delay(Duration::from_millis(300)),
    );
    for env in [MEMORY, &[]] {
        let before = origin.asked("/a.png").len();
        let server = Server::start(env).await;
        concurrently(&server, 200, "w:20", &origin.url("/a.png")).await;
        assert_eq!(origin.asked("/a.png").len() - before, 1, "{env:?}");
    }
}

#[tokio::test]
async fn a_hit_needs_no_origin() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png").header("ETag", "\"v1\""));
    let server = Server::start(MEMORY).await;
    let source = origin.url("/a.png");
    let first = server.image("w:20", &source).await;
    origin.on("/a.png", Script::status(500));
    let second = server.image("w:20", &source).await;
    assert_eq!((second.status, &second.body), (200, &first.body));
    for name in [
        "content-type",
        "etag",
        "content-disposition",
        "cache-control",
        "content-length",
    ] {
        assert_eq!(second.header(name), first.header(name), "{name}");
    }
    assert_eq!(origin.asked("/a.png").len(), 1);
}

#[tokio::test]
async fn the_key_is_what_the_url_means() {
    let origin = Origin::start().await;
    origin
        .on("/a.png", Script::image("grid.png"))
        .on("/b.png", Script::image("grid.png"));
    let (a, b) = (origin.url("/a.png"), origin.url("/b.png"));
    let mut env = MEMORY.to_vec();
    env.extend([
        ("IMGPROXY_AUTO_WEBP", "1"),
        ("IMGPROXY_PRESETS", "small=w:20"),
    ]);
    let server = Server::start(&env).await;
    let downloads = || origin.asked("/a.png").len() + origin.asked("/b.png").len();
    // Each group means the same and is one download; another group is another.
    let groups: [&[String]; 6] = [
        &[
            format!("/_/w:20/plain/{a}"),
            format!("/other-signature/width:20/plain/{a}"),
            format!("/_/h:0/w:20/plain/{a}?query"),
            format!("/_/pr:small/plain/{a}"),
            format!("/_/w:20/exp:4000000000/plain/{a}"),
        ],
        &[format!("/_/w:21/plain/{a}")],
        &[format!("/_/w:20/plain/{b}")],
        &[
            format!("/_/w:20/plain/{a}@jpg"),
            format!("/_/w:20/f:jpeg/plain/{a}"),
        ],
        &[format!("/_/w:20/cb:1/plain/{a}")],
        &[format!("/_/w:20/q:50/plain/{a}@jpg")],
    ];
    for (number, group) in groups.iter().enumerate() {
        for target in *group {
            assert_eq!(server.get(target).await.status, 200, "{target}");
            assert_eq!(downloads(), number + 1, "{target}");
        }
    }
    let target = format!("/_/w:20/plain/{a}");
    let webp = server.get_with(&target, &[("Accept", "image/webp")]).await;
    assert_eq!(
        pictures::facts(&webp.body).0,
        "webp",
        "what Accept chose is another result"
    );
}

#[tokio::test]
async fn errors_are_not_kept() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::status(500));
    let server = Server::start(MEMORY).await;
    let source = origin.url("/a.png");
    assert_eq!(server.image("", &source).await.status, 502);
    origin.on("/a.png", Script::image("grid.png"));
    assert_eq!(server.image("", &source).await.status, 200);
}

#[tokio::test]
async fn what_is_checked_before_the_cache_is_checked_on_a_hit() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let mut env = MEMORY.to_vec();
    env.push(("IMGPROXY_SECRET", "s"));
    let server = Server::start(&env).await;
    let allowed = [("Authorization", "Bearer s")];
    let source = origin.url("/a.png");
    let target = format!("/_/w:20/plain/{source}");
    assert_eq!(server.get_with(&target, &allowed).await.status, 200);
    assert_eq!(server.get(&target).await.status, 403);
    let expired = format!("/_/w:20/exp:1000000000/plain/{source}");
    assert_eq!(server.get_with(&expired, &allowed).await.status, 404);
}

#[tokio::test]
async fn a_leader_that_fails_fails_nobody_for_ever() {
    let origin = Origin::start().await;
    origin.on(
        "/a.png",
        Script::status(503).delay(Duration::from_millis(200)),
    );
    let server = Server::start(MEMORY).await;
    let source = origin.url("/a.png");
    let replies = futures_util::future::join_all((0..10).map(|_| server.image("", &source))).await;
    assert!(
        replies.iter().all(|reply| reply.status == 502),
        "{replies:?}"
    );
    origin.on("/a.png", Script::image("grid.png"));
    concurrently(&server, 10, "", &source).await;
}

#[tokio::test]
async fn an_answer_says_how_the_cache_took_part() {
    let origin = Origin::start().await;
    let slow = Script::image("grid.png").delay(Duration::from_millis(500));
    origin
        .on("/a.png", Script::image("grid.png"))
        .on("/slow.png", slow);
    let source = origin.url("/a.png");
    let server = Server::start(MEMORY).await;
    for (expected, short) in [
        ("imgforge; fwd=uri-miss; stored; ttl=86400", "MISS"),
        ("imgforge; hit; ttl=86", "HIT"),
    ] {
        let reply = server.image("w:20", &source).await;
        let status = reply.header("cache-status").unwrap();
        assert!(status.starts_with(expected), "{status}");
        assert_eq!(reply.header("x-cache"), Some(short));
    }
    for env in [MEMORY, &[]] {
        let server = Server::start(env).await;
        let slow = origin.url("/slow.png");
        let replies = futures_util::future::join_all((0..5).map(|_| server.image("", &slow))).await;
        let collapsed = replies.iter().filter(|reply| {
            let status = reply.header("cache-status");
            status == Some("imgforge; fwd=uri-miss; collapsed")
        });
        assert_eq!(collapsed.count(), 4, "{env:?}");
    }
    let without = Server::start(&[]).await;
    let reply = without.image("w:20", &source).await;
    assert_eq!(reply.header("cache-status"), None);
}

#[tokio::test]
async fn conditions_are_answered_from_the_cache() {
    let origin = Origin::start().await;
    let date = "Wed, 01 Jan 2025 00:00:00 GMT";
    let later = "Thu, 02 Jan 2025 00:00:00 GMT";
    let earlier = "Tue, 31 Dec 2024 00:00:00 GMT";
    origin.on(
        "/a.png",
        Script::image("grid.png")
            .header("ETag", "\"v1\"")
            .header("Last-Modified", date),
    );
    let server = Server::start(MEMORY).await;
    let source = origin.url("/a.png");
    let first = server.image("w:20", &source).await;
    origin.on("/a.png", Script::status(500));
    let target = image_path("w:20", &source);
    let tag = "If-None-Match";
    let since = "If-Modified-Since";
    let cases: [(&[(&str, &str)], u16); 7] = [
        (&[(tag, "\"v1\"")], 304),
        (&[(tag, "W/\"v1\"")], 304),
        (&[(tag, "\"v2\"")], 200),
        (&[(since, date)], 304),
        (&[(since, later)], 304),
        (&[(since, earlier)], 200),
        (&[(tag, "\"v2\""), (since, later)], 200),
    ];
    for (headers, status) in cases {
        let reply = server.get_with(&target, headers).await;
        assert_eq!(reply.status, status, "{headers:?}");
        assert_eq!(reply.header("etag"), first.header("etag"), "{headers:?}");
        assert!(is_hit(&reply), "{headers:?}");
        let body: &[u8] = if status == 304 { b"" } else { &first.body };
        assert_eq!(reply.body, body, "{headers:?}");
    }
    assert_eq!(origin.asked("/a.png").len(), 1);
}

#[tokio::test]
async fn an_answer_to_a_condition_is_not_kept_for_others() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::status(304).header("ETag", "\"v1\""));
    let server = Server::start(MEMORY).await;
    let source = origin.url("/a.png");
    let target = image_path("w:20", &source);
    let condition = [("If-None-Match", "\"v1\"")];
    assert_eq!(server.get_with(&target, &condition).await.status, 304);
    origin.on("/a.png", Script::image("grid.png").header("ETag", "\"v2\""));
    assert_eq!(server.get_with(&target, &condition).await.status, 200);
    assert_eq!(server.get(&target).await.status, 200);
}

#[tokio::test]
async fn the_order_of_options_does_not_matter() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let server = Server::start(MEMORY).await;
    let source = origin.url("/a.png");
    for options in [
        "w:20/h:10/rt:fill/q:80/bl:1",
        "bl:1/q:80/rs:fill:20:10",
        "rt:fill/bl:2/h:10/w:5/w:20/q:80/bl:1",
        "q:80/size:20:10/blur:1.0/resizing_type:fill",
    ] {
        let reply = server.image(options, &source).await;
        assert_eq!(reply.status, 200, "{options}");
        assert_eq!(origin.asked("/a.png").len(), 1, "{options}");
    }
}

#[tokio::test]
async fn hits_and_misses_are_counted() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let process = Process::start(MEMORY).await;
    let target = image_path("w:20", &origin.url("/a.png"));
    for _ in 0..5 {
        assert_eq!(process.get(&target).await.status, 200);
    }
    let missing = image_path("w:20", &origin.url("/missing.png"));
    assert_eq!(process.get(&missing).await.status, 404);
    let text = process.scrape().await;
    for line in [
        "cache_hits_total{cache_type=\"memory\"} 4",
        "cache_misses_total{cache_type=\"memory\"} 2",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}:\n{text}");
    }
}

#[tokio::test]
async fn a_small_cache_stays_small() {
    let origin = Origin::start().await;
    origin.otherwise(Script::file(pictures::noise_png(64, 64), "image/png"));
    let env = [
        ("IMGFORGE_CACHE_TYPE", "memory"),
        ("IMGFORGE_CACHE_MEMORY_CAPACITY", "400K"),
    ];
    let server = Server::start(&env).await;
    for number in 0..300 {
        let source = origin.url(&format!("/{number}.png"));
        assert_eq!(server.image("", &source).await.status, 200, "{number}");
    }
    let before = origin.order().len();
    let last = server.image("", &origin.url("/299.png")).await;
    assert!(is_hit(&last));
    let mut hits = 0;
    for number in 0..300 {
        let target = image_path("", &origin.url(&format!("/{number}.png")));
        let reply = client::request(server.addr, "GET", &target, &[]).await;
        hits += usize::from(is_hit(&reply));
    }
    // One result has about 2 kB, so that about half of them fit.
    assert!(
        (20..250).contains(&hits),
        "{hits} hits of {} bytes",
        last.body.len()
    );
    assert_eq!(origin.order().len() - before, 300 - hits);
}
