//! Everything with a limit: bytes, pixels, waiting requests, results.

use std::time::{Duration, Instant};

use crate::common::{Origin, Script, Server, pictures};

#[tokio::test]
async fn too_many_pixels_are_refused() {
    let origin = Origin::start().await;
    // 96x64 has 6144 pixels.
    origin.on("/a.png", Script::image("grid.png"));
    for (limit, status) in [("0.006144", 200), ("0.006143", 422)] {
        let server = Server::start(&[("IMGPROXY_MAX_SRC_RESOLUTION", limit)]).await;
        let reply = server.image("w:10", &origin.url("/a.png")).await;
        assert_eq!(reply.status, status, "{limit}");
        if status != 200 {
            assert_eq!(reply.text(), "Invalid source image");
        }
    }
}

#[tokio::test]
async fn a_picture_that_only_claims_to_be_huge_costs_nothing() {
    let origin = Origin::start().await;
    let mut bomb = pictures::plain_png(4, 4);
    bomb[16..24].copy_from_slice(&[0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00]);
    let mut crc = flate2::Crc::new();
    crc.update(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    origin.on("/bomb.png", Script::file(bomb, "image/png"));
    let server = Server::start(&[]).await;
    let started = Instant::now();
    let reply = server.image("w:10", &origin.url("/bomb.png")).await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (422, "Invalid source image")
    );
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn too_many_bytes_are_refused_declared_or_not() {
    let origin = Origin::start().await;
    let picture = pictures::file("grid.png");
    let size = picture.len();
    let file = || Script::file(picture.clone(), "image/png");
    origin
        .on("/declared", file())
        .on("/chunked", file().chunked())
        .on("/gzip", file().gzip());
    for (limit, status) in [(size, 200), (size - 1, 422)] {
        let limit = limit.to_string();
        let server = Server::start(&[("IMGPROXY_MAX_SRC_FILE_SIZE", limit.as_str())]).await;
        for path in ["/declared", "/chunked", "/gzip"] {
            assert_eq!(
                server.image("", &origin.url(path)).await.status,
                status,
                "{path} {limit}"
            );
        }
    }
}

#[tokio::test]
async fn limits_in_the_url_need_permission() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let source = origin.url("/a.png");
    let strict = Server::start(&[]).await;
    let open = Server::start(&[("IMGPROXY_ALLOW_SECURITY_OPTIONS", "true")]).await;
    for (options, status) in [
        ("msr:0.001", 422),
        ("msr:1", 200),
        ("msfs:10", 422),
        ("msfs:100000", 200),
    ] {
        let reply = strict.image(options, &source).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (403, "Invalid URL"),
            "{options}"
        );
        assert_eq!(
            open.image(options, &source).await.status,
            status,
            "{options}"
        );
    }
}

#[tokio::test]
async fn results_are_scaled_down_to_the_largest_side() {
    let origin = Origin::start().await;
    origin.on(
        "/a.png",
        Script::file(pictures::plain_png(200, 100), "image/png"),
    );
    let server = Server::start(&[("IMGPROXY_MAX_RESULT_DIMENSION", "50")]).await;
    for (options, size) in [
        ("", (50, 25)),
        ("rs:fill:1000:50", (50, 13)),
        ("w:40", (40, 20)),
    ] {
        let reply = server.image(options, &origin.url("/a.png")).await;
        assert_eq!(
            pictures::facts(&reply.body),
            ("png", size.0, size.1),
            "{options}"
        );
    }
}

#[tokio::test]
async fn allowed_options_are_allowed_by_the_name_that_was_used() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let env = [
        ("IMGPROXY_ALLOWED_PROCESSING_OPTIONS", "w,pr"),
        ("IMGPROXY_PRESETS", "tall=h:10"),
    ];
    let server = Server::start(&env).await;
    for (options, status) in [
        ("w:10", 200),
        ("width:10", 404),
        ("h:10", 404),
        ("pr:tall", 200),
        ("preset:tall", 404),
    ] {
        assert_eq!(
            server.image(options, &origin.url("/a.png")).await.status,
            status,
            "{options}"
        );
    }
}

#[tokio::test]
async fn numbers_at_the_edge_never_break_anything() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let server = Server::start(&[]).await;
    for options in [
        "w:2147483648",
        "w:9223372036854775807",
        "w:9223372036854775808",
        "dpr:1e308",
        "dpr:1e309",
        "dpr:nan",
        "dpr:inf",
        "z:1e300/el:1",
        "c:1e300:1e300",
        "g:ce:1e300:-1e300/c:5:5",
        "pd:2147483647",
        "mw:9223372036854775807",
        "rot:9223372036854775740",
        "t:1e300",
        "mb:1",
    ] {
        let reply = server.image(options, &origin.url("/a.png")).await;
        assert!(
            reply.status < 500,
            "{options}: {} {}",
            reply.status,
            reply.text()
        );
    }
    assert_eq!(
        server.image("w:10", &origin.url("/a.png")).await.status,
        200
    );
}

#[tokio::test]
async fn long_requests_are_answered() {
    let server = Server::start(&[]).await;
    for (name, target) in [
        (
            "a long source",
            format!("/_/plain/http://{}", "a".repeat(60_000)),
        ),
        (
            "many options",
            format!("/_/{}plain/x:y", "w:1/".repeat(10_000)),
        ),
        ("many slashes", format!("/_/{}", "/".repeat(30_000))),
    ] {
        let started = Instant::now();
        let reply = server.get(&target).await;
        assert_eq!(reply.status, 404, "{name}");
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "{name}: {:?}",
            started.elapsed()
        );
    }
    let reply = server
        .get(&format!("/_/plain/{}", "a".repeat(70_000)))
        .await;
    assert_eq!(reply.status, 414);
}
