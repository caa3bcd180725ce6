//! Headers of processed, unmodified, raw and failed responses.

use super::TestServer;

#[tokio::test]
async fn processed_image() {
    let server = TestServer::start(|s| {
        s.delivery.enable_debug_headers = true;
        s.delivery.set_canonical_header = true;
        s.negotiation.auto_webp = true;
        s.server.server_name = "other".to_owned();
    });
    let reply = server.get("/unsafe/a/b").await;
    let rows = [
        ("content-type", Some("image/png")),
        ("content-length", Some("7")),
        ("content-disposition", Some("inline; filename=\"cat.png\"")),
        ("cache-control", Some("max-age=1000, public")),
        ("etag", Some("\"tag\"")),
        ("last-modified", Some("Wed, 01 Jan 2025 00:00:00 GMT")),
        ("vary", Some("Accept")),
        (
            "link",
            Some("<http://origin/dir/cat.gif>; rel=\"canonical\""),
        ),
        ("x-origin-width", Some("40")),
        ("x-origin-height", Some("30")),
        ("x-result-width", Some("20")),
        ("x-result-height", Some("15")),
        ("x-origin-content-length", Some("999")),
        ("server", Some("other")),
        ("set-cookie", None),
        ("x-other", None),
        ("accept-ranges", None),
        ("content-range", None),
        ("expires", None),
        ("x-cache", None),
    ];
    for (name, expected) in rows {
        assert_eq!(reply.header(name), expected, "{name}");
    }
}

#[tokio::test]
async fn optional_headers_are_off_by_default() {
    let server = TestServer::start(|_| ());
    let reply = server.get("/unsafe/a/b").await;
    for name in [
        "vary",
        "link",
        "x-origin-width",
        "access-control-allow-origin",
        "accept-ch",
        "cache-status",
    ] {
        assert_eq!(reply.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn not_modified() {
    let server = TestServer::start(|s| {
        s.delivery.enable_debug_headers = true;
        s.delivery.set_canonical_header = true;
        s.delivery.etag_buster = "v1".to_owned();
        s.negotiation.auto_webp = true;
    });
    let reply = server.get("/unsafe/unmodified/b").await;
    assert_eq!((reply.status, reply.body.as_str()), (304, ""));
    let rows = [
        ("etag", Some("\"v1/InRhZyI\"")),
        ("last-modified", Some("Wed, 01 Jan 2025 00:00:00 GMT")),
        ("cache-control", Some("max-age=1000, public")),
        ("vary", Some("Accept")),
        ("content-type", None),
        ("content-length", None),
        ("content-disposition", None),
        ("link", None),
        ("x-origin-width", None),
    ];
    for (name, expected) in rows {
        assert_eq!(reply.header(name), expected, "{name}");
    }
}

#[tokio::test]
async fn raw_replies_relay_the_source() {
    let server = TestServer::start(|s| {
        s.delivery.enable_debug_headers = true;
        s.delivery.set_canonical_header = true;
        s.delivery.return_attachment = true;
        s.delivery.etag_buster = "v1".to_owned();
        s.negotiation.auto_webp = true;
    });
    let reply = server.get("/unsafe/raw/b").await;
    assert_eq!((reply.status, reply.body.as_str()), (206, "abcd"));
    let rows = [
        ("content-type", Some("image/gif")),
        ("content-length", Some("4")),
        ("content-range", Some("bytes 0-3/9")),
        ("accept-ranges", Some("bytes")),
        ("etag", Some("\"tag\"")),
        ("last-modified", Some("Wed, 01 Jan 2025 00:00:00 GMT")),
        (
            "content-disposition",
            Some("attachment; filename=\"cat.gif\""),
        ),
        (
            "link",
            Some("<http://origin/dir/cat.gif>; rel=\"canonical\""),
        ),
        ("cache-control", Some("max-age=1000, public")),
        ("vary", None),
        ("x-origin-width", None),
        ("set-cookie", None),
        ("x-other", None),
    ];
    for (name, expected) in rows {
        assert_eq!(reply.header(name), expected, "{name}");
    }
    let missing = server.get("/unsafe/raw-missing/b").await;
    assert_eq!((missing.status, missing.body.as_str()), (404, "gone"));
    assert_eq!(missing.header("content-disposition"), None);
    assert_eq!(missing.header("cache-control"), None);
}

#[tokio::test]
async fn a_broken_raw_stream_is_visibly_incomplete() {
    let server = TestServer::start(|_| ());
    let reply = server.get("/unsafe/raw-breaks/b").await;
    assert!(!reply.body.ends_with("0\r\n\r\n"), "{reply:?}");
}

#[tokio::test]
async fn cache_status() {
    let server = TestServer::start(|_| ());
    let rows = [
        ("hit", "imgforge; hit", "HIT"),
        ("miss", "imgforge; fwd=uri-miss; stored", "MISS"),
        ("collapsed", "imgforge; fwd=uri-miss; collapsed", "MISS"),
    ];
    for (command, structured, short) in rows {
        let reply = server.get(&format!("/unsafe/{command}/b")).await;
        assert_eq!(reply.header("cache-status"), Some(structured));
        assert_eq!(reply.header("x-cache"), Some(short));
    }
}

#[tokio::test]
async fn production_errors() {
    let server = TestServer::start(|s| s.client_hints = true);
    let rows = [
        ("full", 429, "Too many requests", Some("7")),
        ("internal", 500, "Internal error", None),
        ("broken", 422, "Broken or unsupported image", None),
    ];
    for (command, status, body, retry) in rows {
        let reply = server.get(&format!("/unsafe/{command}/b")).await;
        assert_eq!((reply.status, reply.body.as_str()), (status, body));
        assert_eq!(reply.header("content-type"), Some("text/plain"));
        assert_eq!(reply.header("retry-after"), retry);
        assert_eq!(reply.header("cache-control"), None);
        assert_eq!(reply.header("content-disposition"), None);
        assert_eq!(
            reply.header("vary"),
            Some("Sec-Ch-Dpr, Dpr, Sec-Ch-Width, Width")
        );
    }
}

#[tokio::test]
async fn development_errors() {
    let server = TestServer::start(|s| s.server.development_errors = true);
    let text = server.get("/unsafe/broken/b").await;
    assert_eq!(
        text.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(
        (text.status, text.body.as_str()),
        (422, "full <message>\n\ncaused by: the <cause>")
    );
    for accept in ["text/html", "text/html;q=0", "a/b, text/html"] {
        let page = server
            .request("GET", "/unsafe/broken/b", &[("Accept", accept)])
            .await;
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{accept}"
        );
        assert!(
            page.body.contains("full &lt;message&gt;") && page.body.contains("the &lt;cause&gt;")
        );
    }
    let upper = server
        .request("GET", "/unsafe/broken/b", &[("Accept", "TEXT/HTML")])
        .await;
    assert_eq!(
        upper.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(server.request("POST", "/x", &[]).await.body, " ");
}

#[tokio::test]
async fn features_reach_the_service() {
    let server = TestServer::start(|s| {
        s.negotiation.auto_webp = true;
        s.client_hints = true;
    });
    let headers = [
        ("Accept", "image/webp,image/avif"),
        ("DPR", "2"),
        ("Width", "640"),
    ];
    let reply = server.request("GET", "/unsafe/features/b", &headers).await;
    assert!(
        reply.body.contains("webp: true, avif: false"),
        "{}",
        reply.body
    );
    assert!(
        reply.body.contains("dpr: Some(2.0), width: Some(640)"),
        "{}",
        reply.body
    );
    assert_eq!(reply.header("accept-ch"), Some("Sec-CH-DPR, Sec-CH-Width"));
}
