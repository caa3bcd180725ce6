//! The result cache, and one job for identical concurrent requests.

use std::time::Duration;

use crate::common::{Origin, Script, Server, pictures};

const MEMORY: &[(&str, &str)] = &[
    ("IMGFORGE_CACHE_TYPE", "memory"),
    ("IMGFORGE_CACHE_MEMORY_CAPACITY", "16777216"),
];

async fn concurrently(server: &Server, count: usize, options: &str, source: &str) {
    let requests = (0..count).map(|_| server.image(options, source));
    let replies = futures_util::future::join_all(requests).await;
    for reply in &replies {
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.body, replies[0].body);
    }
}

#[tokio::test]
async fn fifty_identical_requests_are_one_download() {
    let origin = Origin::start().await;
    origin.on(
        "/a.png",
        Script::image("grid.png").delay(Duration::from_millis(300)),
    );
    for env in [MEMORY, &[]] {
        let before = origin.asked("/a.png").len();
        let server = Server::start(env).await;
        concurrently(&server, 50, "w:20", &origin.url("/a.png")).await;
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
