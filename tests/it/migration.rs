//! Names and flags of older programs that are still read.

use crate::common::process::run;
use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, Server};

#[tokio::test]
async fn a_default_format_stands_in_where_the_url_names_none() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let server = Server::start(&[
        ("IMGFORGE_DEFAULT_FORMAT", "webp"),
        ("IMGPROXY_AUTO_AVIF", "true"),
    ])
    .await;
    let source = origin.url("/a.png");
    for (target, accept, expected) in [
        (image_path("w:60", &source), "*/*", "image/webp"),
        (
            image_path("w:60", &format!("{source}@jpg")),
            "*/*",
            "image/jpeg",
        ),
        (image_path("w:60", &source), "image/avif", "image/avif"),
    ] {
        let reply = server.get_with(&target, &[("Accept", accept)]).await;
        assert_eq!(
            reply.header("content-type"),
            Some(expected),
            "{target} {accept}"
        );
    }
}

#[tokio::test]
async fn types_are_allowed_by_what_the_source_is() {
    let origin = Origin::start().await;
    origin
        .on("/a.png", Script::image("grid.png"))
        .on("/a.gif", Script::image("grid.gif"))
        .on(
            "/lie.png",
            Script::file(crate::common::pictures::file("grid.gif"), "image/png"),
        );
    let types = ("IMGFORGE_ALLOWED_MIME_TYPES", "IMAGE/PNG; q=1, image/jpeg");
    let server = Server::start(&[types]).await;
    for (path, status) in [("/a.png", 200), ("/a.gif", 422), ("/lie.png", 422)] {
        let reply = server.image("w:20", &origin.url(path)).await;
        assert_eq!(reply.status, status, "{path}");
        if status == 422 {
            assert_eq!(reply.text(), "Invalid source image");
        }
    }
}

#[tokio::test]
async fn unsigned_requests_where_they_are_allowed() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let keys = [("IMGPROXY_KEY", "00"), ("IMGPROXY_SALT", "00")];
    for (allow, status) in [("true", 200), ("false", 403)] {
        let env = [keys[0], keys[1], ("IMGFORGE_ALLOW_UNSIGNED", allow)];
        let server = Server::start(&env).await;
        assert_eq!(
            server.image("w:20", &origin.url("/a.png")).await.status,
            status
        );
        let other = server
            .get(&format!("/_/plain/{}", origin.url("/a.png")))
            .await;
        assert_eq!(other.status, 403);
    }
}

#[tokio::test]
async fn signatures_over_the_decoded_path() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let plain = format!("/w:20/plain/{}", origin.url("/a.png"));
    let sent = plain.replace("http://", "http%3A%2F%2F");
    let target = format!("/{}{sent}", imgforge::sign(&[1], &[2], &plain, 32));
    for (legacy, status) in [("true", 200), ("false", 403)] {
        let server = Server::start(&[
            ("IMGPROXY_KEY", "01"),
            ("IMGPROXY_SALT", "02"),
            ("IMGFORGE_LEGACY_SIGNATURES", legacy),
        ])
        .await;
        assert_eq!(server.get(&target).await.status, status, "{legacy}");
    }
}

#[tokio::test]
async fn files_named_by_flags() {
    let folder = std::env::temp_dir().join(format!("imgforge-flags-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (keys, salts) = (file("keys", "01\n05\n"), file("salts", "02\n06\n"));
    let presets = file("presets", "# one a line\nsmall=w:8\n");
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let args = [
        "-keypath",
        &keys,
        "--saltpath",
        &salts,
        "-presets",
        &presets,
    ];
    let process = Process::start_with(&args, &[]).await;
    let path = format!("/pr:small/plain/{}", origin.url("/a.png"));
    for (key, salt, status) in [(1, 2, 200), (5, 6, 200), (1, 6, 403)] {
        let signature = imgforge::sign(&[key], &[salt], &path, 32);
        let reply = process.get(&format!("/{signature}{path}")).await;
        assert_eq!(reply.status, status, "{key} {salt}");
    }
    let (status, text) = run(
        &["--print-config", "-keypath", &keys, "-saltpath", &salts],
        &[],
    );
    assert!(status.success(), "{text}");
    assert!(text.contains(&keys), "{text}");
    let (status, _) = run(&["-keypath", "/imgforge/none"], &[]);
    assert_eq!(status.code(), Some(1));
    std::fs::remove_dir_all(folder).unwrap();
}
