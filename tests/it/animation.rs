//! Animations: which frames, delays and loops are left. `frames.*` shows three frames of 32x24.

use crate::common::pictures::{Pixels, animation, facts, file};
use crate::common::{Origin, Script, Server};

async fn origin() -> Origin {
    let origin = Origin::start().await;
    for name in ["frames.gif", "frames.webp", "grid.png"] {
        origin.on(&format!("/{name}"), Script::image(name));
    }
    origin
}

#[test]
fn the_sources_are_what_they_should_be() {
    for name in ["frames.gif", "frames.webp"] {
        let found = animation(&file(name));
        assert_eq!(found.delays, [50, 100, 150], "{name}");
        assert_eq!((facts(&file(name)).1, facts(&file(name)).2), (32, 24));
    }
    assert_eq!(animation(&file("grid.webp")).delays, [0; 0]);
}

#[tokio::test]
async fn as_many_frames_as_allowed_are_kept() {
    let origin = origin().await;
    // Frames, option, delays of the result. One frame is the default and makes a still picture.
    for (frames, options, delays) in [
        ("1", "w:16", &[][..]),
        ("2", "w:16", &[50, 100]),
        ("3", "w:16", &[50, 100, 150]),
        ("100", "w:16", &[50, 100, 150]),
        ("100", "maf:2/w:16", &[50, 100]),
        ("100", "maf:1/w:16", &[]),
    ] {
        let env = [
            ("IMGPROXY_MAX_ANIMATION_FRAMES", frames),
            ("IMGPROXY_ALLOW_SECURITY_OPTIONS", "true"),
        ];
        let server = Server::start(&env).await;
        for (from, to) in [
            ("gif", "gif"),
            ("gif", "webp"),
            ("webp", "webp"),
            ("webp", "gif"),
        ] {
            let name = format!("{frames} {options} {from} to {to}");
            let source = origin.url(&format!("/frames.{from}@{to}"));
            let reply = server.image(options, &source).await;
            assert_eq!(reply.status, 200, "{name}: {}", reply.text());
            assert_eq!(facts(&reply.body), (to, 16, 12), "{name}");
            let found = animation(&reply.body);
            if delays.is_empty() {
                assert!(found.delays.len() <= 1, "{name}: {found:?}");
            } else {
                assert_eq!(found.delays, delays, "{name}");
                let same = animation(&file(&format!("frames.{to}"))).loops;
                assert_eq!(found.loops, same, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_format_without_animation_gets_the_first_frame() {
    let origin = origin().await;
    let server = Server::start(&[("IMGPROXY_MAX_ANIMATION_FRAMES", "10")]).await;
    for source in ["/frames.gif", "/frames.webp"] {
        let reply = server
            .image("", &origin.url(&format!("{source}@png")))
            .await;
        assert_eq!(facts(&reply.body), ("png", 32, 24), "{source}");
        for format in ["jpeg", "avif", "tiff"] {
            let reply = server
                .image("", &origin.url(&format!("{source}@{format}")))
                .await;
            assert_eq!(facts(&reply.body), (format, 32, 24), "{source}");
        }
    }
    // From a GIF it would be a PNG with a palette.
    let still = server.image("", &origin.url("/frames.webp@png")).await;
    assert_eq!(Pixels::of_png(&still.body).at(31, 23)[..3], [200, 0, 0]);
    // WebP is not kept without a reason, and only GIF is preferred that can be animated.
    let reply = server.image("", &origin.url("/frames.webp")).await;
    assert_eq!(facts(&reply.body).0, "gif");
    assert_eq!(animation(&reply.body).delays, [50, 100, 150]);
}

#[tokio::test]
async fn geometry_applies_to_every_frame() {
    let origin = origin().await;
    let server = Server::start(&[("IMGPROXY_MAX_ANIMATION_FRAMES", "10")]).await;
    for (options, size) in [
        ("rs:fill:16:16", (16, 16)),
        ("rs:force:10:20", (10, 20)),
        ("rs:force:10:30/el:1", (10, 30)),
        ("c:8:6:soea", (8, 6)),
        ("rot:90", (24, 32)),
        ("rs:fit:64:64/el:1", (64, 48)),
        ("w:16/ex:1/h:16", (16, 16)),
        ("pd:1:2:3:4", (38, 28)),
        ("bl:2", (32, 24)),
    ] {
        for ending in ["gif", "webp"] {
            let source = origin.url(&format!("/frames.{ending}@{ending}"));
            let reply = server.image(options, &source).await;
            assert_eq!(reply.status, 200, "{options}: {}", reply.text());
            assert_eq!(facts(&reply.body), (ending, size.0, size.1), "{options}");
            let found = animation(&reply.body);
            assert_eq!(found.delays, [50, 100, 150], "{options} {ending}");
        }
    }
}

#[tokio::test]
async fn resolution_counts_all_frames_or_one() {
    let origin = origin().await;
    // A frame has 768 pixels, all of them 2304.
    for (whole, frame, status) in [
        ("0.002304", "0", 200),
        ("0.002303", "0", 422),
        ("0.0001", "0.000768", 200),
        ("50", "0.000767", 422),
    ] {
        let env = [
            ("IMGPROXY_MAX_ANIMATION_FRAMES", "10"),
            ("IMGPROXY_MAX_SRC_RESOLUTION", whole),
            ("IMGPROXY_MAX_ANIMATION_FRAME_RESOLUTION", frame),
        ];
        let server = Server::start(&env).await;
        for name in ["/frames.gif@gif", "/frames.webp@webp"] {
            let reply = server.image("w:16", &origin.url(name)).await;
            assert_eq!(reply.status, status, "{whole} {frame} {name}");
        }
    }
}

#[tokio::test]
async fn a_watermark_lies_on_an_animation() {
    let origin = origin().await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images/grid.png");
    let env = [
        ("IMGPROXY_MAX_ANIMATION_FRAMES", "10"),
        ("IMGPROXY_WATERMARK_PATH", path),
    ];
    let server = Server::start(&env).await;
    let source = origin.url("/frames.webp@webp");
    let bare = server.image("", &source).await;
    for options in ["wm:1:nowe:0:0:0.5", "wm:1:re:0:0:0.2", "wm:0.5:ce:0:20:0.5"] {
        let marked = server.image(options, &source).await;
        assert_eq!(facts(&marked.body), ("webp", 32, 24), "{options}");
        assert_eq!(animation(&marked.body).delays, [50, 100, 150], "{options}");
        assert_ne!(marked.body, bare.body, "{options}");
    }
}
