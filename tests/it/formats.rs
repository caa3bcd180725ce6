//! Every source format into every result format, what is negotiated, and what cannot be decoded.

use bytes::Bytes;
use imgforge::encode::{self, Saver};
use imgforge::format::ImageFormat;
use imgforge::vips::Value;

use crate::common::{Origin, Script, Server, pictures};

/// Format names in URLs, and file endings of `tests/images`.
const SOURCES: &[&str] = &["jpg", "png", "webp", "gif", "avif", "heic", "tiff"];
/// Name in the URL, format, type, ending in the file name.
const RESULTS: &[(&str, &str, &str, &str)] = &[
    ("jpg", "jpeg", "image/jpeg", "jpg"),
    ("jpeg", "jpeg", "image/jpeg", "jpg"),
    ("png", "png", "image/png", "png"),
    ("webp", "webp", "image/webp", "webp"),
    ("avif", "avif", "image/avif", "avif"),
    ("gif", "gif", "image/gif", "gif"),
    ("tiff", "tiff", "image/tiff", "tiff"),
];

/// An origin with every picture of `tests/images`.
async fn gallery() -> Origin {
    let origin = Origin::start().await;
    for ending in SOURCES {
        for stem in ["grid", "truncated", "broken"] {
            let name = format!("{stem}.{ending}");
            origin.on(&format!("/{name}"), Script::image(&name));
        }
    }
    origin
}

#[tokio::test]
async fn every_format_becomes_every_other() {
    let origin = gallery().await;
    let server = Server::start(&[]).await;
    for from in SOURCES {
        for (to, format, mime, ending) in RESULTS {
            let source = origin.url(&format!("/grid.{from}@{to}"));
            let reply = server.image("w:48", &source).await;
            assert_eq!(reply.status, 200, "{from} to {to}: {}", reply.text());
            assert_eq!(
                pictures::facts(&reply.body),
                (*format, 48, 32),
                "{from} to {to}"
            );
            assert_eq!(reply.header("content-type"), Some(*mime), "{from} to {to}");
            let name = format!("inline; filename=\"grid.{ending}\"");
            assert_eq!(
                reply.header("content-disposition"),
                Some(name.as_str()),
                "{from} to {to}"
            );
            assert_eq!(
                reply.header("cache-control"),
                Some("max-age=31536000, public")
            );
        }
    }
}

#[tokio::test]
async fn without_a_format_the_source_or_a_preferred_one_decides() {
    let origin = gallery().await;
    let server = Server::start(&[]).await;
    // grid.png and grid.webp are transparent.
    for (from, format) in [
        ("jpg", "jpeg"),
        ("png", "png"),
        ("gif", "gif"),
        ("webp", "png"),
        ("avif", "jpeg"),
        ("heic", "jpeg"),
        ("tiff", "jpeg"),
    ] {
        let reply = server
            .image("", &origin.url(&format!("/grid.{from}")))
            .await;
        assert_eq!(reply.status, 200, "{from}: {}", reply.text());
        assert_eq!(pictures::facts(&reply.body).0, format, "{from}");
    }
}

#[tokio::test]
async fn the_accept_header_decides_where_that_is_on() {
    let origin = gallery().await;
    let source = origin.url("/grid.jpg");
    let both = "image/avif,image/webp,*/*";
    type Settings<'a> = &'a [(&'a str, &'a str)];
    // Settings, Accept, format in the URL, result, Vary.
    let cases: &[(Settings<'_>, &str, &str, &str, Option<&str>)] = &[
        (&[], both, "", "jpeg", None),
        (
            &[("IMGPROXY_AUTO_WEBP", "1")],
            both,
            "",
            "webp",
            Some("Accept"),
        ),
        (
            &[("IMGPROXY_AUTO_WEBP", "1")],
            "image/*",
            "",
            "jpeg",
            Some("Accept"),
        ),
        (
            &[("IMGPROXY_AUTO_WEBP", "1"), ("IMGPROXY_AUTO_AVIF", "1")],
            both,
            "",
            "avif",
            Some("Accept"),
        ),
        (
            &[("IMGPROXY_AUTO_WEBP", "1")],
            both,
            "@png",
            "png",
            Some("Accept"),
        ),
        (
            &[("IMGPROXY_ENFORCE_WEBP", "1")],
            both,
            "@png",
            "webp",
            Some("Accept"),
        ),
    ];
    for (env, accept, extension, format, vary) in cases {
        let server = Server::start(env).await;
        let target = format!("/unsafe/plain/{source}{extension}");
        let reply = server.get_with(&target, &[("Accept", accept)]).await;
        assert_eq!(reply.status, 200, "{env:?}: {}", reply.text());
        assert_eq!(
            pictures::facts(&reply.body).0,
            *format,
            "{env:?} {accept} {extension}"
        );
        assert_eq!(reply.header("vary"), *vary, "{env:?} {accept} {extension}");
    }
}

#[tokio::test]
async fn the_bytes_decide_what_a_source_is() {
    let origin = Origin::start().await;
    origin.on(
        "/a.png",
        Script::file(pictures::file("grid.jpg"), "text/html"),
    );
    let server = Server::start(&[]).await;
    let reply = server.image("", &origin.url("/a.png")).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("image/jpeg"))
    );
}

#[tokio::test]
async fn what_is_no_picture_is_refused() {
    let origin = Origin::start().await;
    origin
        .on(
            "/page",
            Script::file("<html><body>no</body></html>", "image/jpeg"),
        )
        .on(
            "/zip",
            Script::file(b"PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaa".to_vec(), "image/png"),
        )
        .on("/empty", Script::file("", "image/png"));
    let server = Server::start(&[]).await;
    for path in ["/page", "/zip", "/empty"] {
        let reply = server.image("w:10", &origin.url(path)).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (422, "Invalid source image"),
            "{path}"
        );
    }
    assert_eq!(server.get("/health").await.status, 200);
}

#[tokio::test]
async fn damaged_pictures_never_are_our_fault() {
    let origin = gallery().await;
    let server = Server::start(&[]).await;
    for ending in SOURCES {
        for stem in ["truncated", "broken"] {
            let reply = server
                .image("w:48", &origin.url(&format!("/{stem}.{ending}@png")))
                .await;
            // Some decoders show what they have; nothing else may come of a damaged file.
            match reply.status {
                200 => assert_eq!(
                    pictures::facts(&reply.body),
                    ("png", 48, 32),
                    "{stem}.{ending}"
                ),
                status => {
                    assert_eq!(status, 422, "{stem}.{ending}: {}", reply.text());
                    assert_eq!(reply.header("cache-control"), None, "{stem}.{ending}");
                }
            }
        }
    }
    let whole = server.image("w:48", &origin.url("/grid.png")).await;
    assert_eq!(whole.status, 200, "the server still works");
}

#[tokio::test]
async fn formats_that_are_none_are_refused_before_the_download() {
    let origin = gallery().await;
    let server = Server::start(&[]).await;
    for extension in ["tif", "JPG", "heif", "nonsense", "png@png"] {
        let reply = server
            .image("", &origin.url(&format!("/grid.png@{extension}")))
            .await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (404, "Invalid URL"),
            "{extension}"
        );
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn quality_changes_the_size_of_lossy_results() {
    let origin = Origin::start().await;
    let noise = pictures::noise_png(128, 128);
    origin.on("/noise.png", Script::file(noise, "image/png"));
    let server = Server::start(&[("IMGPROXY_FORMAT_QUALITY", "webp=20")]).await;
    let size = async |options: &str, extension: &str| {
        let reply = server
            .image(options, &origin.url(&format!("/noise.png@{extension}")))
            .await;
        assert_eq!(reply.status, 200, "{options}: {}", reply.text());
        reply.body.len()
    };
    for extension in ["jpg", "webp", "avif"] {
        let (low, high) = (size("q:10", extension).await, size("q:95", extension).await);
        assert!(low * 2 < high, "{extension}: {low} and {high} bytes");
    }
    assert!(
        size("", "webp").await < size("q:80", "webp").await,
        "the configured quality counts"
    );
    assert!(
        size("fq:webp:90", "webp").await > size("", "webp").await,
        "the URL wins"
    );
    assert!(size("mb:4000", "jpg").await <= 4000, "max_bytes is kept");
}

/// An encoder that is compiled in but does not work is not offered.
#[tokio::test]
async fn a_saver_that_fails_is_not_available() {
    let _server = Server::start(&[]).await;
    let row = |probe| Saver {
        format: ImageFormat::Jpeg,
        operation: Some("jpegsave_target"),
        probe,
        save: |_, _| Ok(Bytes::new()),
    };
    assert!(row(None).is_available());
    assert!(row(Some(&[("Q", Value::Int(50))])).is_available());
    assert!(!row(Some(&[("Q", Value::Int(500))])).is_available());
    assert!(encode::savable().any(|format| format == ImageFormat::Png));
    assert!(encode::saver(ImageFormat::Svg).is_none());
}
