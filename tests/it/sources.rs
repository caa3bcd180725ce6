//! What the origin does, and what the client gets for it.

use std::time::Duration;

use crate::common::{Origin, Script, Server, pictures};

const UNREACHABLE: &str = "Source is unreachable";
const INCOMPLETE: &str = "Source response is incomplete";
const INVALID: &str = "Invalid source image";

/// A PNG that is larger than what the server reads to recognise it.
fn large() -> Vec<u8> {
    pictures::noise_png(300, 300)
}

#[tokio::test]
async fn every_misbehaviour_has_its_status() {
    let origin = Origin::start().await;
    let file = || Script::file(large(), "image/png");
    let half = large().len() / 2;
    let cases: Vec<(&str, Script, u16, &str)> = vec![
        ("/404", Script::status(404), 404, UNREACHABLE),
        ("/403", Script::status(403), 403, UNREACHABLE),
        ("/410", Script::status(410), 410, UNREACHABLE),
        ("/500", Script::status(500), 502, UNREACHABLE),
        ("/503", Script::status(503), 502, UNREACHABLE),
        ("/204", Script::status(204), 404, UNREACHABLE),
        ("/300", Script::status(300), 404, UNREACHABLE),
        ("/redirect-nowhere", Script::status(302), 404, UNREACHABLE),
        ("/cut", file().cut(half), 422, INCOMPLETE),
        ("/cut-early", file().cut(100), 422, INVALID),
        (
            "/longer-declared",
            file().declared(large().len() + 10),
            422,
            INCOMPLETE,
        ),
        (
            "/chunks-without-end",
            file().chunked().cut(half),
            422,
            INCOMPLETE,
        ),
        ("/reset", file().reset(half), 422, INCOMPLETE),
        (
            "/not-gzip",
            file().header("Content-Encoding", "gzip"),
            422,
            INVALID,
        ),
        ("/gzip-cut", file().gzip().cut(half), 422, INCOMPLETE),
    ];
    for (path, script, ..) in &cases {
        origin.on(path, script.clone());
    }
    let server = Server::start(&[]).await;
    for (path, _, status, text) in &cases {
        let reply = server.image("w:10", &origin.url(path)).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (*status, *text),
            "{path}"
        );
        assert_eq!(reply.header("content-type"), Some("text/plain"), "{path}");
        assert_eq!(reply.header("cache-control"), None, "{path}");
    }
}

#[tokio::test]
async fn every_way_to_send_a_picture_works() {
    let origin = Origin::start().await;
    let file = || Script::file(large(), "image/png");
    origin
        .on("/plain", file())
        .on("/chunked", file().chunked())
        .on("/gzip", file().gzip())
        .on("/gzip-chunked", file().gzip().chunked())
        .on("/slow", file().delay(Duration::from_millis(300)))
        .on("/query?a=b&c", file())
        .on("/redirect", Script::redirect(302, "/plain"));
    let server = Server::start(&[]).await;
    for path in [
        "/plain",
        "/chunked",
        "/gzip",
        "/gzip-chunked",
        "/slow",
        "/query%3Fa=b&c",
        "/redirect",
    ] {
        let reply = server.image("w:10", &origin.url(path)).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(pictures::facts(&reply.body), ("png", 10, 10), "{path}");
    }
}

#[tokio::test]
async fn the_origin_is_asked_plainly() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let server = Server::start(&[("IMGPROXY_USER_AGENT", "agent/%current_version")]).await;
    let target = format!("/unsafe/plain/{}", origin.url("/a.png"));
    let headers = [
        ("Cookie", "a=b"),
        ("Accept", "image/webp"),
        ("Authorization", "Bearer x"),
        ("If-None-Match", "\"v\""),
    ];
    assert_eq!(server.get_with(&target, &headers).await.status, 200);
    let asked = origin.asked("/a.png");
    let names: Vec<&str> = asked[0]
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for name in ["accept", "accept-encoding", "cookie", "authorization"] {
        assert!(!names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(
        asked[0].header("user-agent"),
        Some(concat!("agent/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(asked[0].header("if-none-match"), Some("\"v\""));
}

#[tokio::test]
async fn validators_of_the_origin_are_passed_on() {
    let origin = Origin::start().await;
    let date = "Wed, 01 Jan 2025 00:00:00 GMT";
    origin
        .on(
            "/a.png",
            Script::image("grid.png")
                .header("ETag", "\"v1\"")
                .header("Last-Modified", date),
        )
        .on("/same.png", Script::status(304).header("ETag", "\"v1\""));
    let server = Server::start(&[]).await;
    let reply = server.image("w:10", &origin.url("/a.png")).await;
    assert_eq!(
        (reply.header("etag"), reply.header("last-modified")),
        (Some("\"v1\""), Some(date))
    );
    let target = format!("/unsafe/w:10/plain/{}", origin.url("/same.png"));
    let reply = server
        .get_with(&target, &[("If-None-Match", "\"v1\"")])
        .await;
    assert_eq!(
        (reply.status, reply.header("etag"), reply.body.len()),
        (304, Some("\"v1\""), 0)
    );
    assert_eq!(
        reply.header("cache-control"),
        Some("max-age=31536000, public")
    );
}

#[tokio::test]
async fn so_many_redirects_are_followed_and_no_more() {
    let origin = Origin::start().await;
    origin
        .on("/3", Script::redirect(302, "/2"))
        .on("/2", Script::redirect(301, &origin.url("/1")))
        .on("/1", Script::redirect(307, "0"))
        .on("/0", Script::image("grid.png"));
    for (limit, from, status) in [
        ("2", "/2", 200),
        ("2", "/3", 404),
        ("0", "/1", 404),
        ("0", "/0", 200),
    ] {
        let server = Server::start(&[("IMGPROXY_MAX_REDIRECTS", limit)]).await;
        assert_eq!(
            server.image("", &origin.url(from)).await.status,
            status,
            "{limit} from {from}"
        );
    }
}

#[tokio::test]
async fn local_files_are_served_below_their_root_only() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images");
    let server = Server::start(&[("IMGPROXY_LOCAL_FILESYSTEM_ROOT", root)]).await;
    let reply = server.image("w:10", "local:///grid.png").await;
    assert_eq!(pictures::facts(&reply.body), ("png", 10, 7));
    assert!(reply.header("etag").is_some());
    for path in [
        "missing.png",
        "../../Cargo.toml",
        "..%2F..%2FCargo.toml",
        "../images/../../Cargo.toml",
        "",
    ] {
        let reply = server.image("w:10", &format!("local:///{path}")).await;
        assert!(
            (400..500).contains(&reply.status),
            "{path}: {}",
            reply.status
        );
        assert!(!reply.text().contains("package"), "{path}");
    }
    let without = Server::start(&[]).await;
    assert_eq!(without.image("", "local:///grid.png").await.status, 404);
}

#[tokio::test]
async fn the_source_can_be_written_in_several_ways() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let server = Server::start(&[]).await;
    let url = origin.url("/a.png");
    let encoded = URL_SAFE_NO_PAD.encode(&url);
    let (left, right) = encoded.split_at(7);
    let escaped = url.replace(':', "%3A").replace('/', "%2F");
    for (target, format) in [
        (format!("/_/plain/{url}"), "png"),
        (format!("/_/plain/{escaped}@jpg"), "jpeg"),
        (format!("/_/plain/{}", url.replace("://", ":/")), "png"),
        (format!("/_/{encoded}"), "png"),
        (format!("/_/{encoded}=="), "png"),
        (format!("/_/{encoded}.webp"), "webp"),
        (format!("/_/w:5/{left}/{right}.jpg"), "jpeg"),
    ] {
        let reply = server.get(&target).await;
        assert_eq!(reply.status, 200, "{target}: {}", reply.text());
        assert_eq!(pictures::facts(&reply.body).0, format, "{target}");
    }
}

#[tokio::test]
async fn raw_passes_the_source_through() {
    let origin = Origin::start().await;
    origin
        .on(
            "/a.bin",
            Script::file("not a picture", "application/x-thing"),
        )
        .on("/gone", Script::status(410));
    let server = Server::start(&[]).await;
    let reply = server.image("raw:1", &origin.url("/a.bin")).await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (200, "not a picture")
    );
    assert_eq!(reply.header("content-type"), Some("application/x-thing"));
    assert_eq!(
        server.image("raw:1", &origin.url("/gone")).await.status,
        410
    );
}

#[tokio::test]
async fn cookies_go_to_their_host_only_and_are_part_of_the_key() {
    let origin = Origin::start().await;
    let other = Origin::start_on("127.0.0.2").await;
    other.otherwise(Script::image("grid.png"));
    origin
        .on("/a.png", Script::image("grid.png"))
        .on("/raw.png", Script::image("grid.png"))
        .on("/away", Script::redirect(302, &other.url("/end")));
    let ask = |server: &Server, options: &str, path: &str, cookie: &str, host: &str| {
        let target = format!("/unsafe/{options}/plain/{}", origin.url(path));
        let headers = [
            ("Cookie", cookie.to_owned()),
            ("X-Forwarded-Host", host.to_owned()),
        ];
        let addr = server.addr;
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, &**v)).collect();
            crate::common::client::request(addr, "GET", &target, &headers).await
        }
    };
    let cookies = |path: &str| -> Vec<Option<String>> {
        origin
            .asked(path)
            .iter()
            .map(|asked| asked.header("cookie").map(str::to_owned))
            .collect()
    };
    let server = Server::start(&[
        ("IMGPROXY_COOKIE_PASSTHROUGH", "true"),
        ("IMGFORGE_CACHE_TYPE", "memory"),
    ])
    .await;
    for (cookie, host) in [
        ("a=1", "127.0.0.1"),
        ("a=2", "127.0.0.1:1"),
        // What has been fetched with the first cookie is there for the first cookie only.
        ("a=1", "127.0.0.1"),
        ("a=1", "elsewhere.example"),
    ] {
        let reply = ask(&server, "w:10", "/a.png", cookie, host).await;
        assert_eq!(reply.status, 200, "{cookie} {host}");
        assert_eq!(reply.header("set-cookie"), None);
    }
    let one = |text: &str| Some(text.to_owned());
    assert_eq!(cookies("/a.png"), [one("a=1"), one("a=2"), None]);
    ask(&server, "raw:1", "/raw.png", "a=1", "127.0.0.1").await;
    assert_eq!(cookies("/raw.png"), [one("a=1")]);
    assert_eq!(
        ask(&server, "w:9", "/away", "a=1", "127.0.0.1")
            .await
            .status,
        200
    );
    assert_eq!(cookies("/away"), [one("a=1")]);
    let all = Server::start(&[
        ("IMGPROXY_COOKIE_PASSTHROUGH", "true"),
        ("IMGPROXY_COOKIE_PASSTHROUGH_ALL", "true"),
    ])
    .await;
    assert_eq!(
        ask(&all, "w:8", "/away", "a=1", "x.example").await.status,
        200
    );
    assert_eq!(cookies("/away"), [one("a=1"), one("a=1")]);
    for asked in other.asked("/end") {
        assert_eq!(asked.header("cookie"), None);
    }
    assert_eq!(other.asked("/end").len(), 2);
}
