//! Sources that are kept, and shared by all sizes of a picture.

use std::time::Duration;

use crate::cache_disk::{Folder, entries};
use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, Server, pictures};

const MEMORY: (&str, &str) = ("IMGFORGE_SOURCE_CACHE", "memory");

fn picture(width: u32, control: &str) -> Script {
    Script::file(pictures::noise_png(width, 30), "image/png").header("Cache-Control", control)
}

#[tokio::test]
async fn all_sizes_share_a_source_that_is_kept() {
    let origin = Origin::start().await;
    origin.on("/a.png", picture(30, "max-age=60"));
    let folder = Folder::new();
    for kind in ["memory", "disk", "hybrid"] {
        let env = [
            ("IMGFORGE_SOURCE_CACHE", kind),
            ("IMGFORGE_CACHE_DISK_PATH", folder.text()),
        ];
        let process = Process::start(&env).await;
        let before = origin.asked("/a.png").len();
        for width in [10, 11, 12, 10] {
            let target = image_path(&format!("w:{width}"), &origin.url("/a.png"));
            let reply = process.get(&target).await;
            assert_eq!(pictures::facts(&reply.body).1, width, "{kind}");
        }
        // The disk has it from the round before.
        let downloads = u32::from(kind != "hybrid");
        let asked = origin.asked("/a.png").len() - before;
        assert_eq!(asked, downloads as usize, "{kind}");
        let text = process.scrape().await;
        for line in [
            format!(
                "cache_hits_total{{cache_type=\"source-{kind}\"}} {}",
                4 - downloads
            ),
            format!("cache_misses_total{{cache_type=\"source-{kind}\"}} {downloads}"),
            format!("source_images_fetched_total{{status=\"success\"}} {downloads}"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}:\n{text}");
        }
        for _ in 0..500 {
            if kind == "memory" || entries(&folder.0).len() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_kept_source_is_judged_by_every_requests_own_limit() {
    let origin = Origin::start().await;
    origin.on("/a.png", picture(30, "max-age=60"));
    let env = [MEMORY, ("IMGPROXY_ALLOW_SECURITY_OPTIONS", "true")];
    let server = Server::start(&env).await;
    let source = origin.url("/a.png");
    for (options, status) in [
        ("w:10", 200),
        ("w:10/msfs:100", 422),
        ("w:10/msfs:100000", 200),
    ] {
        assert_eq!(
            server.image(options, &source).await.status,
            status,
            "{options}"
        );
    }
    assert_eq!(origin.asked("/a.png").len(), 1);
}

#[tokio::test]
async fn a_stale_source_is_revalidated_and_served_where_there_is_no_other() {
    let origin = Origin::start().await;
    let control = "max-age=1, stale-if-error=60";
    origin.on("/a.png", picture(30, control).header("ETag", "\"1\""));
    let server = Server::start(&[MEMORY]).await;
    let source = origin.url("/a.png");
    server.image("w:10", &source).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    origin.on("/a.png", Script::status(304).header("ETag", "\"1\""));
    assert_eq!(server.image("w:11", &source).await.status, 200);
    let asked = origin.asked("/a.png");
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].header("if-none-match"), Some("\"1\""));
    // Fresh again, by the times that were kept.
    assert_eq!(server.image("w:12", &source).await.status, 200);
    assert_eq!(origin.asked("/a.png").len(), 2);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    origin.on("/a.png", Script::status(500));
    assert_eq!(server.image("w:13", &source).await.status, 200);
    origin.on("/a.png", Script::status(410));
    assert_eq!(server.image("w:14", &source).await.status, 410);
    origin.on("/a.png", picture(40, control).header("ETag", "\"2\""));
    let reply = server.image("q:80", &source).await;
    assert_eq!(pictures::facts(&reply.body).1, 40);
}

#[tokio::test]
async fn what_a_source_forbids_is_not_kept() {
    let origin = Origin::start().await;
    let server = Server::start(&[MEMORY]).await;
    for (path, control) in [("/a.png", "no-store"), ("/b.png", "private")] {
        origin.on(path, picture(30, control));
        for _ in 0..2 {
            server.image("w:10", &origin.url(path)).await;
        }
        assert_eq!(origin.asked(path).len(), 2, "{control}");
    }
}

#[tokio::test]
async fn conditions_are_answered_from_the_source_cache() {
    let origin = Origin::start().await;
    origin.on("/a.png", picture(30, "max-age=60").header("ETag", "\"1\""));
    let server = Server::start(&[MEMORY]).await;
    let target = image_path("w:10", &origin.url("/a.png"));
    assert_eq!(server.get(&target).await.status, 200);
    for (tag, status) in [("\"1\"", 304), ("\"2\"", 200)] {
        let reply = server.get_with(&target, &[("If-None-Match", tag)]).await;
        assert_eq!(reply.status, status, "{tag}");
    }
    assert_eq!(origin.asked("/a.png").len(), 1);
}

/// A result is not fresh for longer than the source that it was made of.
#[tokio::test]
async fn a_result_inherits_the_age_of_its_source() {
    let origin = Origin::start().await;
    origin.on("/a.png", picture(30, "max-age=60"));
    let env = [MEMORY, ("IMGFORGE_CACHE_TYPE", "memory")];
    let server = Server::start(&env).await;
    let source = origin.url("/a.png");
    server.image("w:10", &source).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let reply = server.image("w:11", &source).await;
    let status = reply.header("cache-status").unwrap();
    let ttl = status.rsplit("ttl=").next().unwrap();
    assert!(ttl.parse::<u32>().unwrap() < 59, "{status}");
    assert_eq!(origin.asked("/a.png").len(), 1);
}

#[tokio::test]
async fn the_servers_own_pictures_share_the_cache() {
    let origin = Origin::start().await;
    let url = origin.url("/mark.png");
    origin.on("/mark.png", picture(8, "max-age=60"));
    let folder = Folder::new();
    let env = [
        ("IMGFORGE_SOURCE_CACHE", "disk"),
        ("IMGFORGE_CACHE_DISK_PATH", folder.text()),
        ("IMGPROXY_WATERMARK_URL", &url),
        ("IMGPROXY_FALLBACK_IMAGE_URL", &url),
    ];
    let server = Server::start(&env).await;
    assert_eq!(
        origin.asked("/mark.png").len(),
        1,
        "both are the same picture"
    );
    assert_eq!(server.image("w:4", &url).await.status, 200);
    assert_eq!(origin.asked("/mark.png").len(), 1);
}
