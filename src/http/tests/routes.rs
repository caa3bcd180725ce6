//! Every row of the route table, the secret, CORS, and the headers that all responses share.

use super::{Reply, TestServer, read_one};
use crate::config::server::HeadMode;
use tokio::io::AsyncWriteExt;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox";

fn assert_common(reply: &Reply) {
    assert_eq!(reply.header("server"), Some("imgproxy"), "{reply:?}");
    assert_eq!(
        reply.header("content-security-policy"),
        Some(POLICY),
        "{reply:?}"
    );
    assert!(
        reply
            .header("x-request-id")
            .is_some_and(|id| id.len() == 21),
        "{reply:?}"
    );
    assert!(reply.header("date").is_some(), "{reply:?}");
}

#[tokio::test]
async fn rows() {
    let server = TestServer::start(|s| {
        s.server.allow_origin = "http://a.test".to_owned();
        s.server.health_check_path = "/alive".to_owned();
    });
    const TTL: Option<&str> = Some("max-age=1000, public");
    const NONE: Option<&str> = None;
    const NO: Option<&str> = Some("no-cache");
    // method, path, status, type, body, Cache-Control, CORS
    let rows = [
        ("GET", "/favicon.ico", 404, "text/plain", " ", NONE, false),
        (
            "GET",
            "/health",
            200,
            "text/plain",
            "imgproxy is running",
            NO,
            false,
        ),
        (
            "GET",
            "/alive",
            200,
            "text/plain",
            "imgproxy is running",
            NO,
            false,
        ),
        (
            "GET",
            "/status",
            200,
            "application/json",
            "{\"status\":\"ok\"}",
            NO,
            false,
        ),
        ("GET", "/.well-known/x", 404, "text/plain", " ", NONE, false),
        (
            "GET",
            "/unsafe/w:20/plain/a",
            200,
            "image/png",
            "picture",
            TTL,
            true,
        ),
        (
            "GET",
            "/unsafe/broken/a",
            422,
            "text/plain",
            "Broken or unsupported image",
            NONE,
            true,
        ),
        ("HEAD", "/unsafe/broken/a", 200, "text/plain", "", TTL, true),
        ("HEAD", "/", 200, "text/plain", "", TTL, true),
        ("HEAD", "/health", 200, "text/plain", "", TTL, true),
        (
            "OPTIONS",
            "/unsafe/broken/a",
            200,
            "text/plain",
            " ",
            TTL,
            true,
        ),
        (
            "POST",
            "/unsafe/w:20/plain/a",
            404,
            "text/plain",
            " ",
            NONE,
            false,
        ),
        ("PUT", "/", 404, "text/plain", " ", NONE, false),
        ("DELETE", "/health", 404, "text/plain", " ", NONE, false),
        ("TRACE", "/health", 404, "text/plain", " ", NONE, false),
        ("get", "/health", 404, "text/plain", " ", NONE, false),
    ];
    for (method, path, status, content_type, body, cache, cors) in rows {
        let reply = server.request(method, path, &[]).await;
        let row = format!("{method} {path}: {reply:?}");
        assert_eq!((reply.status, reply.body.as_str()), (status, body), "{row}");
        assert_eq!(reply.header("content-type"), Some(content_type), "{row}");
        assert_eq!(reply.header("cache-control"), cache, "{row}");
        let length = if method == "HEAD" { 1 } else { body.len() };
        assert_eq!(
            reply.header("content-length"),
            Some(length.to_string().as_str()),
            "{row}"
        );
        assert_eq!(
            reply.header("access-control-allow-origin"),
            cors.then_some("http://a.test"),
            "{row}"
        );
        assert_eq!(
            reply.header("access-control-allow-methods"),
            cors.then_some("GET, OPTIONS"),
            "{row}"
        );
        assert!(reply.header("allow").is_none(), "{row}");
        assert_common(&reply);
    }
}

#[tokio::test]
async fn landing_page_in_chunks() {
    let server = TestServer::start(|s| s.server.path_prefix = "/p".to_owned());
    for path in ["/p", "/p/"] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), Some("text/html"));
        assert_eq!(reply.header("content-length"), None);
        assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
        assert_eq!(reply.header("cache-control"), Some("max-age=1000, public"));
        assert!(reply.body.contains("imgforge is running"));
        assert_common(&reply);
    }
    assert_eq!(server.get("/").await.status, 404);
}

#[tokio::test]
async fn raw_target_reaches_the_service() {
    let plain = TestServer::start(|_| ());
    let prefixed = TestServer::start(|s| s.server.path_prefix = "/p".to_owned());
    let rows = [
        (
            &plain,
            "/unsafe/echo/plain/a%2Fb?x=1",
            "unsafe/echo/plain/a%2Fb",
        ),
        (&plain, "//x/echo/b", "/x/echo/b"),
        (&plain, "http://any/unsafe/echo/b", "unsafe/echo/b"),
        (&plain, "/unsafe/echo/\u{e9}", "unsafe/echo/\u{e9}"),
        (&plain, "/unsafe/echo/a#b<c>`?d#e", "unsafe/echo/a#b<c>`"),
        (&prefixed, "/p/unsafe/echo/a#b", "unsafe/echo/a#b"),
        (&prefixed, "/p/unsafe/echo/b", "unsafe/echo/b"),
        (&prefixed, "/p//x/echo/b", "/x/echo/b"),
    ];
    for (server, path, target) in rows {
        let reply = server.get(path).await;
        // A leading slash shifts the segment that the script looks at.
        let expected = if target.starts_with('/') {
            "picture"
        } else {
            target
        };
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (200, expected),
            "{path}"
        );
    }
}

#[tokio::test]
async fn failing_health_check() {
    let server = TestServer::start_with_health(|_| (), false);
    let reply = server.get("/health").await;
    assert_eq!((reply.status, reply.body.as_str()), (500, "Error"));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    assert_eq!(server.request("HEAD", "/health", &[]).await.status, 200);
}

#[tokio::test]
async fn secret() {
    let server = TestServer::start(|s| {
        s.server.secret = "sesame".to_owned();
        s.server.allow_origin = "*".to_owned();
    });
    let rows = [
        (None, 403),
        (Some("Bearer sesame"), 200),
        (Some("  Bearer sesame "), 200),
        (Some("bearer sesame"), 403),
        (Some("Bearer  sesame"), 403),
        (Some("Bearer sesam"), 403),
        (Some("Bearer sesame2"), 403),
        (Some("Basic sesame"), 403),
        (Some("sesame"), 403),
    ];
    for (value, status) in rows {
        let headers: Vec<_> = value
            .iter()
            .map(|value| ("Authorization", *value))
            .collect();
        let reply = server
            .request("GET", "/unsafe/w:20/plain/a", &headers)
            .await;
        assert_eq!(reply.status, status, "{value:?}");
        assert_eq!(
            reply.header("access-control-allow-origin"),
            Some("*"),
            "{value:?}"
        );
        if status == 403 {
            assert_eq!(reply.body, "Forbidden");
            assert_eq!(reply.header("content-type"), Some("text/plain"));
        }
    }
    let twice = [
        ("Authorization", "Bearer no"),
        ("Authorization", "Bearer sesame"),
    ];
    assert_eq!(
        server
            .request("GET", "/unsafe/w:20/plain/a", &twice)
            .await
            .status,
        403
    );
    for (method, path) in [
        ("GET", "/health"),
        ("GET", "/"),
        ("HEAD", "/x/y"),
        ("OPTIONS", "/x/y"),
    ] {
        assert_eq!(
            server.request(method, path, &[]).await.status,
            200,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn request_id_is_echoed_and_a_connection_is_reused() {
    let server = TestServer::start(|_| ());
    let mut stream = server.connect().await;
    for id in ["abc-123", "other_1"] {
        let request =
            format!("GET /unsafe/echo/#{id} HTTP/1.1\r\nHost: t\r\nX-Request-ID: {id}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let reply = read_one(&mut stream).await;
        assert_eq!(reply.header("x-request-id"), Some(id));
        assert_eq!(reply.body, format!("unsafe/echo/#{id}"));
        assert_eq!(reply.header("connection"), None);
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_with_all_headers() {
    let server = TestServer::start(|s| s.server.allow_origin = "*".to_owned());
    let reply = server.get("/unsafe/panic/a").await;
    assert_eq!((reply.status, reply.body.as_str()), (500, "Internal error"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_common(&reply);
    assert_eq!(server.get("/unsafe/a/b").await.status, 200);
}

#[tokio::test]
async fn several_tokens() {
    let server = TestServer::start(|s| {
        s.server.secret = "one".to_owned();
        s.server.secrets = vec!["two".to_owned(), "three".to_owned()];
    });
    for (value, status) in [
        ("Bearer one", 200),
        ("Bearer two", 200),
        ("Bearer three", 200),
        ("Bearer four", 403),
        ("Bearer one,two", 403),
        ("Bearer ", 403),
        ("two", 403),
    ] {
        let headers = [("Authorization", value)];
        let reply = server.request("GET", "/unsafe/a/b", &headers).await;
        assert_eq!(reply.status, status, "{value}");
    }
}

#[tokio::test]
async fn a_list_of_origins() {
    let server = TestServer::start(|s| {
        s.server.allow_origin = "https://a.test, https://b.test".to_owned();
        s.negotiation.auto_webp = true;
    });
    for (origin, allowed) in [
        (Some("https://a.test"), true),
        (Some("https://b.test"), true),
        (Some("https://c.test"), false),
        (Some("https://a.test.evil"), false),
        (None, false),
    ] {
        let headers: Vec<_> = origin.iter().map(|value| ("Origin", *value)).collect();
        for path in ["/unsafe/a/b", "/unsafe/broken/b"] {
            let reply = server.request("GET", path, &headers).await;
            let expected = origin.filter(|_| allowed);
            assert_eq!(reply.header("access-control-allow-origin"), expected);
            let methods = reply.header("access-control-allow-methods");
            assert_eq!(methods, allowed.then_some("GET, OPTIONS"));
            assert_eq!(reply.header("vary"), Some("Accept, Origin"), "{origin:?}");
        }
    }
}

#[tokio::test]
async fn a_browser_may_ask_which_headers_it_may_send() {
    let ask = [
        ("Origin", "https://a.test"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "authorization,x-own"),
    ];
    for (allow, granted) in [
        ("*", true),
        ("https://a.test,x", true),
        ("x,y", false),
        ("", false),
    ] {
        let server = TestServer::start(|s| s.server.allow_origin = allow.to_owned());
        let reply = server.request("OPTIONS", "/unsafe/a/b", &ask).await;
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.header("access-control-allow-headers"),
            granted.then_some("authorization,x-own"),
            "{allow}"
        );
        assert_eq!(
            reply.header("access-control-max-age"),
            granted.then_some("86400"),
            "{allow}"
        );
        let plain = server.request("OPTIONS", "/unsafe/a/b", &[]).await;
        assert_eq!(plain.header("access-control-allow-headers"), None);
        let get = server.request("GET", "/unsafe/a/b", &ask).await;
        assert_eq!(get.header("access-control-allow-headers"), None);
    }
}

#[tokio::test]
async fn a_full_head_is_a_get_without_its_body() {
    let server = TestServer::start(|s| {
        s.server.head_mode = HeadMode::Full;
        s.server.secret = "sesame".to_owned();
    });
    let token = [("Authorization", "Bearer sesame")];
    for (path, status, length) in [
        ("/unsafe/a/b", 200, "7"),
        ("/unsafe/broken/b", 422, "27"),
        ("/unsafe/raw/b", 206, "4"),
        ("/health", 200, "19"),
        ("/favicon.ico", 404, "1"),
    ] {
        let reply = server.request("HEAD", path, &token).await;
        assert_eq!((reply.status, reply.body.as_str()), (status, ""), "{path}");
        assert_eq!(reply.header("content-length"), Some(length), "{path}");
    }
    assert_eq!(server.request("HEAD", "/unsafe/a/b", &[]).await.status, 403);
    let mut stream = server.connect().await;
    for method in ["HEAD", "GET"] {
        let request = format!("{method} /health HTTP/1.1\r\nHost: t\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        if method == "GET" {
            assert_eq!(read_one(&mut stream).await.body, "imgproxy is running");
        } else {
            read_head(&mut stream).await;
        }
    }
}

/// Reads to the end of a head that no body follows.
async fn read_head(stream: &mut tokio::net::TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::io::AsyncReadExt::read_u8(stream).await.unwrap());
    }
}

#[tokio::test]
async fn readiness() {
    let server = TestServer::start(|s| s.server.secret = "sesame".to_owned());
    let ready = server.get("/ready").await;
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (200, "{\"status\":\"ready\"}")
    );
    assert_eq!(ready.header("content-type"), Some("application/json"));
    assert_eq!(ready.header("cache-control"), Some("no-cache"));
    assert_common(&ready);
    server.readiness.drain();
    let draining = server.get("/ready").await;
    assert_eq!(
        (draining.status, draining.body.as_str()),
        (503, "{\"status\":\"draining\"}")
    );
    assert_eq!(server.get("/health").await.status, 200);
    let ill = TestServer::start_with_health(|_| (), false);
    let reply = ill.get("/ready").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (503, "{\"status\":\"unhealthy\"}")
    );
}

#[tokio::test]
async fn another_health_message() {
    let server = TestServer::start(|s| s.server.health_check_message = "fine".to_owned());
    assert_eq!(server.get("/health").await.body, "fine");
}
