//! Where the server may be sent, and what its answers allow. The canary on 127.0.0.2 must never be asked.

use crate::common::{Origin, Script, Server};

/// 127.0.0.1 is an allowed origin, 127.0.0.2 a forbidden one.
const GUARDED: &[(&str, &str)] = &[
    ("IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES", "false"),
    ("IMGFORGE_ALLOWED_SOURCE_NETWORKS", "127.0.0.1/32"),
    ("IMGFORGE_DENIED_SOURCE_NETWORKS", "127.0.0.2/32"),
];

const BLOCKED: (u16, &str) = (404, "Invalid source URL");

#[tokio::test]
async fn redirects_to_a_forbidden_address_are_not_followed() {
    let origin = Origin::start().await;
    let canary = Origin::start_on("127.0.0.2").await;
    canary.otherwise(Script::image("grid.png"));
    let server = Server::start(GUARDED).await;
    for status in [301, 302, 303, 307, 308] {
        let path = format!("/{status}");
        origin.on(&path, Script::redirect(status, &canary.url("/a.png")));
        let reply = server.image("", &origin.url(&path)).await;
        assert_eq!((reply.status, reply.text().as_str()), BLOCKED, "{status}");
        assert_eq!(origin.asked(&path).len(), 1, "{status}");
    }
    let bare = canary.url("/a.png").replace("http:", "");
    origin.on("/bare", Script::redirect(302, &bare));
    assert_eq!(server.image("", &origin.url("/bare")).await.status, 404);
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn redirects_leave_http_for_nothing() {
    let origin = Origin::start().await;
    let mut env = GUARDED.to_vec();
    env.push((
        "IMGPROXY_LOCAL_FILESYSTEM_ROOT",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images"),
    ));
    let server = Server::start(&env).await;
    assert_eq!(server.image("", "local:///grid.png").await.status, 200);
    for (number, to) in [
        "local:///grid.png",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "data:image/png;base64,AAAA",
        "gopher://127.0.0.1/",
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{number}");
        origin.on(&path, Script::redirect(302, to));
        let reply = server.image("", &origin.url(&path)).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (404, "Source is unreachable"),
            "{to}"
        );
    }
}

#[tokio::test]
async fn forbidden_addresses_are_refused_in_every_spelling() {
    let canary = Origin::start_on("127.0.0.2").await;
    canary.otherwise(Script::image("grid.png"));
    let server = Server::start(GUARDED).await;
    let port = canary.url("").rsplit(':').next().unwrap().to_owned();
    for host in [
        "127.0.0.2",
        "127.2",
        "2130706434",
        "0x7f000002",
        "0177.0.0.2",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "[::127.0.0.2]",
        "[64:ff9b::7f00:2]",
        "[2002:7f00:2::]",
        "[::1]",
        "[::]",
        "0.0.0.0",
        "169.254.169.254",
        "[fe80::1]",
    ] {
        let reply = server
            .image("", &format!("http://{host}:{port}/a.png"))
            .await;
        assert_eq!(reply.status, 404, "{host}: {}", reply.text());
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn loopback_is_forbidden_by_default() {
    let origin = Origin::start().await;
    origin.otherwise(Script::image("grid.png"));
    let server = Server::start(&[("IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES", "false")]).await;
    for url in [
        origin.url("/a.png"),
        origin.url("/a.png").replace("127.0.0.1", "localhost"),
    ] {
        let reply = server.image("", &url).await;
        assert_eq!((reply.status, reply.text().as_str()), BLOCKED, "{url}");
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn only_allowed_sources_are_fetched() {
    let origin = Origin::start().await;
    origin.otherwise(Script::image("grid.png"));
    let pattern = origin.url("/pub*/a");
    let server = Server::start(&[("IMGPROXY_ALLOWED_SOURCES", pattern.as_str())]).await;
    for (path, status) in [
        ("/public/a.png", 200),
        ("/pub/a", 200),
        ("/private/a.png", 404),
        ("/pub/x/a.png", 404),
        ("/PUB/a.png", 404),
    ] {
        let reply = server.image("", &origin.url(path)).await;
        assert_eq!(reply.status, status, "{path}");
        if status == 404 {
            assert_eq!(reply.text(), BLOCKED.1, "{path}");
        }
    }
}

#[tokio::test]
async fn answers_leak_nothing() {
    let origin = Origin::start().await;
    origin
        .on("/a.png", Script::status(404))
        .on("/broken.png", Script::image("broken.png"));
    let server = Server::start(&[]).await;
    let port = origin.url("").rsplit(':').next().unwrap().to_owned();
    for path in ["/a.png", "/broken.png"] {
        let reply = server.image("w:10", &origin.url(path)).await;
        assert!((400..500).contains(&reply.status), "{path}");
        let text = reply.text();
        for secret in [port.as_str(), "vips", "no picture", "spng", "/"] {
            assert!(!text.contains(secret), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn names_cannot_break_out_of_their_header() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let server = Server::start(&[]).await;
    for (name, expected) in [
        ("my\"file", "inline; filename=\"my%22file.png\""),
        ("plain", "inline; filename=\"plain.png\""),
    ] {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(name);
        let reply = server
            .image(&format!("fn:{encoded}:1"), &origin.url("/a.png"))
            .await;
        assert_eq!(reply.header("content-disposition"), Some(expected));
    }
    let encoded = "YQ0KWC1FdmlsOiAx"; // "a\r\nX-Evil: 1"
    let reply = server
        .image(&format!("fn:{encoded}:1"), &origin.url("/a.png"))
        .await;
    assert_eq!((reply.status, reply.header("x-evil")), (200, None));
}

#[tokio::test]
async fn redirects_stay_among_the_allowed_sources() {
    let origin = Origin::start().await;
    origin
        .on("/pub/a", Script::redirect(302, "/private/b"))
        .on("/pub/b", Script::redirect(302, "/pub/c"))
        .on("/pub/c", Script::image("grid.png"))
        .on("/private/b", Script::image("grid.png"));
    let pattern = origin.url("/pub/");
    let list = ("IMGPROXY_ALLOWED_SOURCES", pattern.as_str());
    let server = Server::start(&[list]).await;
    assert_eq!(server.image("", &origin.url("/pub/b")).await.status, 200);
    let reply = server.image("", &origin.url("/pub/a")).await;
    assert_eq!((reply.status, reply.text().as_str()), BLOCKED);
    assert_eq!(origin.asked("/private/b").len(), 0);
    let lenient = Server::start(&[list, ("IMGFORGE_CHECK_REDIRECTS", "false")]).await;
    assert_eq!(lenient.image("", &origin.url("/pub/a")).await.status, 200);
}

#[tokio::test]
async fn names_that_only_look_allowed_are_not() {
    let origin = Origin::start().await;
    origin.otherwise(Script::image("grid.png"));
    let server = Server::start(&[("IMGPROXY_ALLOWED_SOURCES", "http://a.test/")]).await;
    for url in [
        "http://a.test.evil/",
        "http://a.test@127.0.0.1/",
        "http://a.test:80@127.0.0.1/",
        "http://A.TEST/",
        "http://a.test./",
        "http://\u{430}.test/",
        "http://xn--80a.test/",
        "https://a.test/",
        " http://a.test/",
        "//a.test/",
    ] {
        let escaped = url.replace('@', "%40").replace(' ', "%20");
        let reply = server.image("", &escaped).await;
        assert_eq!((reply.status, reply.text().as_str()), BLOCKED, "{url}");
    }
    assert_eq!(origin.connections(), 0);
}
