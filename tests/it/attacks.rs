//! Attack cases of URLs, headers and options over a socket: `spec/security.md`, by number. Signatures have their own
//! file.

use std::time::{Duration, Instant};

use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, Server, client};

async fn origin() -> Origin {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    origin
}

/// Cases 2 to 4: a signature counts for one path, in one place, once.
#[tokio::test]
async fn a_signature_counts_for_nothing_else() {
    let origin = origin().await;
    let keys = [("IMGPROXY_KEY", "01"), ("IMGPROXY_SALT", "02")];
    let server = Server::start(&keys).await;
    let path = format!("/w:20/plain/{}", origin.url("/a.png"));
    let signature = imgforge::sign(&[1], &[2], &path, 32);
    assert_eq!(server.get(&format!("/{signature}{path}")).await.status, 200);
    assert_eq!(
        server.get(&format!("/{signature}{path}?a=b")).await.status,
        200
    );
    let asked = origin.connections();
    for at in 1..path.len() {
        let mut changed = path.clone().into_bytes();
        changed[at] = if changed[at] == b'y' { b'z' } else { b'y' };
        let target = format!("/{signature}{}", String::from_utf8(changed).unwrap());
        assert_eq!(server.get(&target).await.status, 403, "{target}");
    }
    for target in [
        format!("/{signature}/{signature}{path}"),
        format!("/unsafe/{signature}{path}"),
        format!("/{signature}/-{path}"),
        format!("/info/{signature}{path}"),
        format!("/{signature}{path}/"),
        format!("/{signature}{}", path.replace("/plain/", "//plain/")),
    ] {
        assert_eq!(server.get(&target).await.status, 403, "{target}");
    }
    assert_eq!(origin.connections(), asked);
    let prefixed = Server::start(&[keys[0], keys[1], ("IMGPROXY_PATH_PREFIX", "/p")]).await;
    for (target, status) in [
        (format!("/p/{signature}{path}"), 200),
        (format!("/p/p/{signature}{path}"), 403),
        (format!("/p/{signature}/p{path}"), 403),
        (format!("/{signature}{path}"), 404),
    ] {
        assert_eq!(prefixed.get(&target).await.status, status, "{target}");
    }
}

/// Case 8.
#[tokio::test]
async fn expiry() {
    let origin = origin().await;
    let server = Server::start(&[]).await;
    for (expires, status) in [
        ("1", 404),
        ("1000000000", 404),
        ("0", 200),
        ("-1", 200),
        ("4102444800", 200),
        ("9223372036854775807", 200),
        ("9223372036854775808", 404),
        ("1e9", 404),
        ("x", 404),
        ("", 404),
    ] {
        let options = format!("w:20/exp:{expires}");
        let reply = server.image(&options, &origin.url("/a.png")).await;
        assert_eq!(reply.status, status, "{expires}");
        if status == 404 {
            assert_eq!(reply.header("cache-control"), None, "{expires}");
        }
    }
}

/// Case 11.
#[tokio::test]
async fn presets_only_and_presets_in_circles() {
    let origin = origin().await;
    let env = [
        ("IMGPROXY_PRESETS", "a=w:20/pr:b,b=h:20/pr:a"),
        ("IMGPROXY_ONLY_PRESETS", "true"),
    ];
    let server = Server::start(&env).await;
    let picture = origin.url("/a.png");
    for (path, status) in [
        (format!("/_/a/plain/{picture}"), 200),
        (format!("/_/a:b/plain/{picture}"), 200),
        (format!("/_/w:20/plain/{picture}"), 404),
        (format!("/_/pr:a/plain/{picture}"), 404),
        (format!("/_/a/w:20/plain/{picture}"), 404),
    ] {
        assert_eq!(server.get(&path).await.status, status, "{path}");
    }
}

/// Case 14: bytes that have no business in a path are refused, and the log keeps one line for each request.
#[tokio::test]
async fn bytes_that_do_not_belong_there() {
    let origin = origin().await;
    let env = [
        ("IMGPROXY_LOG_LEVEL", "info"),
        ("IMGPROXY_LOG_FORMAT", "structured"),
    ];
    let process = Process::start(&env).await;
    let host = "Host: x\r\nConnection: close\r\n\r\n";
    for bytes in [
        "\0", "\r", "\t", "\x01", "\x7f", "%", "%zz", "\r\nX: y", "\n", " ",
    ] {
        let head = format!("GET /_/plain/a{bytes}b HTTP/1.1\r\n{host}");
        let reply = client::raw(process.addr, head.as_bytes()).await;
        assert_eq!(reply.status, 400, "{bytes:?}");
    }
    for bytes in [
        "%00",
        "%0d%0aX-Evil:%201",
        "%0a",
        "%ff%fe",
        "%c0%af",
        "%2e%2e%2f",
        "%252e%252e%252f",
        "..%5c",
        "%09",
        "\u{202e}",
        "%E2%80%AE",
    ] {
        for target in [
            format!("/_/plain/{}{bytes}", origin.url("/a.png")),
            format!("/_/fn:a{bytes}b/plain/{}", origin.url("/nothing")),
            format!("/_/w:1{bytes}/plain/{}", origin.url("/a.png")),
            format!("/{bytes}/w:1/plain/{}", origin.url("/nothing")),
        ] {
            let reply = process.get(&target).await;
            assert!(
                (400..500).contains(&reply.status),
                "{target}: {}",
                reply.status
            );
            assert_eq!(reply.header("x-evil"), None);
        }
    }
    let raw: &[u8] =
        b"GET /_/plain/\xff\xfe\xc0\xaf HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let status = client::raw(process.addr, raw).await.status;
    assert!((400..500).contains(&status), "{status}");
    for line in process.log().lines() {
        assert!(line.starts_with("time=") || line.is_empty(), "{line:?}");
        assert!(!line.contains(['\r', '\0', '\u{1b}']), "{line:?}");
    }
}

/// Cases 62 to 67: what is asked of the processing is bounded, whatever it is.
#[tokio::test]
async fn options_that_ask_for_too_much() {
    let origin = origin().await;
    let server = Server::start(&[("IMGPROXY_TIMEOUT", "20")]).await;
    for options in [
        "rs:force:100000:100000:1",
        "el:1/w:100000/h:100000",
        "el:1/z:1000",
        "el:1/dpr:1000/w:1000",
        "pd:1000000000",
        "ex:1/w:100000/h:100000",
        "exar:1:ce/w:1/h:100000",
        "el:1/mw:1000000000",
        "bl:1000000",
        "sh:1000000",
        "pix:1000000000",
        "t:1000000",
        "c:0:0/g:fp:nan:nan",
        "rot:90/c:1000000:1000000/g:ce:99999:99999",
        "mb:1",
        "q:0",
        "bl:-1",
        "sh:0",
    ] {
        let started = Instant::now();
        let reply = server.image(options, &origin.url("/a.png")).await;
        assert!(
            reply.status < 500,
            "{options}: {} {}",
            reply.status,
            reply.text()
        );
        let bytes = reply.body.len();
        assert!(bytes < 64 << 20, "{options}: {bytes} bytes");
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{options}: {:?}",
            started.elapsed()
        );
    }
    assert_eq!(
        server.image("w:20", &origin.url("/a.png")).await.status,
        200
    );
}

/// Case 72.
#[tokio::test]
async fn file_names() {
    use base64::Engine as _;

    let origin = origin().await;
    let server = Server::start(&[]).await;
    let long = "n".repeat(10_000);
    for name in [
        "a\"; filename=evil.exe",
        "a\r\nSet-Cookie: a=b",
        "../../etc/passwd",
        "cod\u{202e}gpj.exe",
        "\u{e9}\u{4e2d}\u{1f600}",
        "a\\",
        "\0",
        &long,
    ] {
        let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(name);
        let options = format!("w:20/fn:{encoded}:1");
        let reply = server.image(&options, &origin.url("/a.png")).await;
        assert_eq!(reply.status, 200, "{name:?}");
        let value = reply.header("content-disposition").unwrap();
        assert!(value.starts_with("inline; filename=\""), "{value}");
        assert_eq!(reply.header("set-cookie"), None);
        let plain = value.split("\"; filename*=").next().unwrap();
        assert_eq!(
            plain.trim_end_matches('"').matches('"').count(),
            1,
            "{value}"
        );
        assert!(value.is_ascii(), "{value}");
        let is_ascii = name.bytes().all(|b| (b' '..=b'~').contains(&b));
        assert_eq!(value.contains("filename*=UTF-8''"), !is_ascii, "{value}");
    }
}

/// Case 73: neither a line break nor a password gets out with the source's URL.
#[tokio::test]
async fn source_urls_in_headers() {
    let origin = origin().await;
    origin.otherwise(Script::image("grid.png"));
    let server = Server::start(&[
        ("IMGPROXY_SET_CANONICAL_HEADER", "true"),
        ("IMGPROXY_ENABLE_DEBUG_HEADERS", "true"),
    ])
    .await;
    let plain = server.image("w:20", &origin.url("/a.png")).await;
    assert_eq!(
        plain.header("link"),
        Some(format!("<{}>; rel=\"canonical\"", origin.url("/a.png")).as_str())
    );
    let user = origin
        .url("/a.png")
        .replace("http://", "http://user:hunter2%40");
    let presigned = origin.url("/a.png?X-Amz-Signature=hunter2");
    for source in [user, presigned.replace('?', "%3F")] {
        let reply = server.image("w:20", &source).await;
        assert_eq!(reply.status, 200, "{source}");
        assert!(
            !format!("{:?}", reply.headers).contains("hunter2"),
            "{reply:?}"
        );
    }
    let broken = origin.url("/a.png%0d%0aX-Evil:%201");
    let reply = server.image("w:20", &broken).await;
    assert_eq!(reply.header("x-evil"), None);
}

/// Case 79: a processed picture has no ranges.
#[tokio::test]
async fn ranges() {
    let origin = origin().await;
    let server = Server::start(&[]).await;
    let target = image_path("w:20", &origin.url("/a.png"));
    let whole = server.get(&target).await;
    for range in [
        "bytes=0-3",
        "bytes=0-0,2-3,1-9",
        "bytes=999999-",
        "bytes=-1",
        "x",
    ] {
        let reply = server.get_with(&target, &[("Range", range)]).await;
        assert_eq!((reply.status, &reply.body), (200, &whole.body), "{range}");
        assert_eq!(reply.header("accept-ranges"), None);
    }
    for asked in origin.asked("/a.png") {
        assert_eq!(asked.header("range"), None);
    }
}

/// Case 80: 304 only where it is true, also for a source that does not look at conditions.
#[tokio::test]
async fn conditions() {
    let origin = Origin::start().await;
    origin.on(
        "/a.png",
        Script::image("grid.png")
            .header("ETag", "\"right\"")
            .header("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT"),
    );
    origin.on("/bare.png", Script::image("grid.png"));
    let server = Server::start(&[]).await;
    for (path, name, value, status) in [
        ("/a.png", "If-None-Match", "\"right\"", 304),
        ("/a.png", "If-None-Match", "W/\"right\"", 304),
        ("/a.png", "If-None-Match", "\"other\", \"right\"", 304),
        ("/a.png", "If-None-Match", "\"forged\"", 200),
        ("/a.png", "If-None-Match", "right", 200),
        (
            "/a.png",
            "If-Modified-Since",
            "Wed, 01 Jan 2025 00:00:00 GMT",
            304,
        ),
        (
            "/a.png",
            "If-Modified-Since",
            "Tue, 31 Dec 2024 23:59:59 GMT",
            200,
        ),
        (
            "/a.png",
            "If-Modified-Since",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            304,
        ),
        ("/a.png", "If-Modified-Since", "tomorrow", 200),
        ("/bare.png", "If-None-Match", "\"right\"", 200),
        ("/bare.png", "If-None-Match", "\"\"", 200),
        (
            "/bare.png",
            "If-Modified-Since",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            200,
        ),
    ] {
        let target = image_path("w:20", &origin.url(path));
        let reply = server.get_with(&target, &[(name, value)]).await;
        assert_eq!(reply.status, status, "{path} {name}: {value}");
        if status == 304 {
            assert!(reply.body.is_empty());
            assert_eq!(reply.header("etag"), Some("\"right\""));
        }
    }
    // The tag decides where both are given.
    let both = [
        ("If-None-Match", "\"forged\""),
        ("If-Modified-Since", "Fri, 31 Dec 9999 23:59:59 GMT"),
    ];
    let target = image_path("w:20", &origin.url("/a.png"));
    assert_eq!(server.get_with(&target, &both).await.status, 200);
}

/// Cases 71 and 86: there is nothing on the public side but what is documented.
#[tokio::test]
async fn nothing_else_is_served() {
    let server = Server::start(&[]).await;
    for path in [
        "/metrics",
        "/debug/pprof/",
        "/debug/vars",
        "/admin",
        "/purge",
        "/reload",
        "/config",
        "/env",
        "/.env",
        "/server-status",
        "/info",
        "/livez",
        "/api/",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PURGE", "PATCH"] {
            let reply = client::request(server.addr, method, path, &[]).await;
            assert_eq!(reply.status, 404, "{method} {path}");
            assert!(reply.body.len() < 40, "{method} {path}");
        }
        let head = client::request(server.addr, "HEAD", path, &[]).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
}
