//! Routes, the headers that every answer carries, and requests that are none.

use crate::common::client;
use crate::common::{Origin, Script, Server};

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox";

#[tokio::test]
async fn every_route_answers_as_the_reference_does() {
    let server = Server::start(&[]).await;
    // Method, target, status, type, body (None: not compared).
    let cases = [
        ("GET", "/", 200, "text/html", None),
        (
            "GET",
            "/health",
            200,
            "text/plain",
            Some("imgproxy is running"),
        ),
        (
            "GET",
            "/health?x=1",
            200,
            "text/plain",
            Some("imgproxy is running"),
        ),
        ("GET", "/health/", 404, "text/plain", Some("Invalid URL")),
        ("GET", "/favicon.ico", 404, "text/plain", Some(" ")),
        ("GET", "/.well-known/acme", 404, "text/plain", Some(" ")),
        ("GET", "/robots.txt", 404, "text/plain", Some("Invalid URL")),
        ("GET", "/unsafe/", 404, "text/plain", Some("Invalid URL")),
        ("GET", "/metrics", 404, "text/plain", Some("Invalid URL")),
        ("HEAD", "/nonsense", 200, "text/plain", Some("")),
        ("HEAD", "/health", 200, "text/plain", Some("")),
        ("OPTIONS", "/nonsense", 200, "text/plain", Some(" ")),
        ("POST", "/health", 404, "text/plain", Some(" ")),
        ("PUT", "/unsafe/plain/x", 404, "text/plain", Some(" ")),
        ("DELETE", "/", 404, "text/plain", Some(" ")),
        ("get", "/health", 404, "text/plain", Some(" ")),
    ];
    for (method, target, status, content_type, body) in cases {
        let reply = client::request(server.addr, method, target, &[]).await;
        assert_eq!(reply.status, status, "{method} {target}");
        assert_eq!(
            reply.header("content-type"),
            Some(content_type),
            "{method} {target}"
        );
        if let Some(body) = body {
            assert_eq!(reply.text(), body, "{method} {target}");
        }
        assert_eq!(
            reply.header("server"),
            Some("imgforge"),
            "{method} {target}"
        );
        assert_eq!(
            reply.header("content-security-policy"),
            Some(POLICY),
            "{method} {target}"
        );
        assert!(
            reply
                .header("x-request-id")
                .is_some_and(|id| id.len() == 21),
            "{method} {target}"
        );
        assert!(reply.header("date").is_some(), "{method} {target}");
    }
}

#[tokio::test]
async fn a_head_answer_has_the_length_of_the_body_it_lacks() {
    let server = Server::start(&[]).await;
    let reply = client::request(server.addr, "HEAD", "/unsafe/plain/x", &[]).await;
    assert_eq!(
        (reply.header("content-length"), reply.body.len()),
        (Some("1"), 0)
    );
}

#[tokio::test]
async fn request_ids_are_taken_over_where_they_are_harmless() {
    let server = Server::start(&[]).await;
    for (sent, kept) in [
        ("abc-DEF_123", true),
        ("a b", false),
        ("a/b", false),
        ("ü", false),
    ] {
        let reply = server.get_with("/health", &[("X-Request-ID", sent)]).await;
        assert_eq!(reply.header("x-request-id") == Some(sent), kept, "{sent}");
    }
}

#[tokio::test]
async fn a_prefix_moves_every_route() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let server = Server::start(&[("IMGPROXY_PATH_PREFIX", "/img")]).await;
    let image = format!("/unsafe/w:10/plain/{}", origin.url("/a.png"));
    for (target, status) in [
        ("/img/health".to_owned(), 200),
        ("/img/".to_owned(), 200),
        ("/img".to_owned(), 200),
        (format!("/img{image}"), 200),
        ("/health".to_owned(), 404),
        (image, 404),
    ] {
        assert_eq!(server.get(&target).await.status, status, "{target}");
    }
}

#[tokio::test]
async fn another_health_path_is_one_more() {
    let server = Server::start(&[("IMGPROXY_HEALTH_CHECK_PATH", "/alive")]).await;
    for path in ["/health", "/alive"] {
        assert_eq!(
            server.get(path).await.text(),
            "imgproxy is running",
            "{path}"
        );
    }
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let server = Server::start(&[]).await;
    let cases: &[(&str, &[u8])] = &[
        (
            "a percent sign without digits",
            b"GET /unsafe/plain/a%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "a percent sign at the end",
            b"GET /unsafe/plain/a% HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "a space in the target",
            b"GET /unsafe/plain/a b HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        ("no target", b"GET\r\n\r\n"),
    ];
    for (name, bytes) in cases {
        assert_eq!(client::raw(server.addr, bytes).await.status, 400, "{name}");
    }
    // What stands in the query is nobody's business.
    assert_eq!(server.get("/health?100%").await.status, 200);
}

#[tokio::test]
async fn the_secret_guards_images_only() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let server = Server::start(&[
        ("IMGPROXY_SECRET", "s3cret"),
        ("IMGPROXY_ALLOW_ORIGIN", "*"),
    ])
    .await;
    let image = format!("/unsafe/plain/{}", origin.url("/a.png"));
    let cases: [(&str, Option<&str>, u16); 6] = [
        (&image, Some("Bearer s3cret"), 200),
        (&image, Some("bearer s3cret"), 403),
        (&image, Some("Bearer  s3cret"), 403),
        (&image, Some("Bearer s3cre"), 403),
        (&image, None, 403),
        ("/health", None, 200),
    ];
    for (target, value, status) in cases {
        let headers: Vec<_> = value.map(|v| ("Authorization", v)).into_iter().collect();
        let reply = server.get_with(target, &headers).await;
        assert_eq!(reply.status, status, "{target} {value:?}");
        let expected = (target != "/health").then_some("*");
        assert_eq!(
            reply.header("access-control-allow-origin"),
            expected,
            "{target} {value:?}"
        );
    }
}

#[tokio::test]
async fn several_requests_share_a_connection() {
    use tokio::io::AsyncWriteExt;

    let server = Server::start(&[]).await;
    let mut stream = client::connect(server.addr).await;
    let two = "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /favicon.ico HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(two.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut all)
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&all);
    let heads: Vec<&str> = text.matches("HTTP/1.1 ").collect();
    assert_eq!(heads.len(), 2, "{text}");
    assert!(
        text.contains("imgproxy is running") && text.contains("404 Not Found"),
        "{text}"
    );
}
