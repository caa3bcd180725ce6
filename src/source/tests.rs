//! Sources against a scripted origin and real files.

mod addresses;
mod files;
mod origin;
mod tls_origin;

use std::io::{self, Write as _};
use std::time::Duration;

use ::http::HeaderValue;
use ::http::header::{AUTHORIZATION, COOKIE, IF_NONE_MATCH, RANGE};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use self::origin::{Origin, Step};
use super::*;
use crate::config::source::{FollowSymlinks, IpNetwork};
use crate::{Error, Kind};

fn config() -> SourceConfig {
    SourceConfig {
        storage: crate::config::storage::StorageConfig::default(),
        user_agent: "imgforge/test".to_owned(),
        download_timeout: Duration::from_secs(5),
        max_redirects: 3,
        client_keep_alive_timeout: Duration::from_secs(90),
        ignore_ssl_verification: false,
        ssl_cert_file: None,
        ssl_cert_dirs: Vec::new(),
        allow_loopback: true,
        allow_link_local: false,
        allow_private: true,
        allowed_networks: Vec::new(),
        denied_networks: Vec::new(),
        block_special: false,
        allowed_ports: Vec::new(),
        check_redirects: true,
        local_root: None,
        follow_symlinks: FollowSymlinks::All,
        query_separator: "?".to_owned(),
        cookies: CookieConfig::default(),
    }
}

fn sources(config: &SourceConfig) -> Sources {
    through(config, Proxies::none())
}

fn through(config: &SourceConfig, proxies: Proxies) -> Sources {
    let names = system_names();
    Sources::over(config, Network { proxies, names }).unwrap()
}

fn request(url: impl Into<String>) -> FetchRequest {
    FetchRequest {
        url: url.into(),
        headers: HeaderMap::new(),
        max_bytes: 0,
        deadline: None,
        claim: None,
    }
}

fn network(address: &str, prefix: u8) -> IpNetwork {
    IpNetwork {
        address: address.parse().unwrap(),
        prefix,
    }
}

fn png(length: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.resize(length, 7);
    bytes
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {head}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer(&format!("200 OK\r\nContent-Length: {}", body.len()), body)
}

fn redirect(to: &str) -> Vec<Step> {
    let head = format!("302 Found\r\nLocation: {to}\r\nContent-Length: 0");
    vec![Step::Send(answer(&head, b""))]
}

async fn fetch(origin: &Origin) -> Result<Fetched, FetchError> {
    sources(&config())
        .fetch(request(origin.url("/a.png")))
        .await
}

fn image(fetched: Result<Fetched, FetchError>) -> SourceImage {
    match fetched.unwrap() {
        Fetched::Image(image) => image,
        other @ Fetched::NotModified(_) => panic!("{other:?}"),
    }
}

fn kind(fetched: Result<Fetched, FetchError>) -> Kind {
    Error::from(fetched.unwrap_err()).kind()
}

#[tokio::test]
async fn sends_only_the_headers_it_must() {
    let origin = Origin::fixed(ok(&png(10))).await;
    let fetched = image(fetch(&origin).await);
    assert_eq!(
        (fetched.bytes.len(), fetched.format),
        (10, ImageFormat::Png)
    );
    let requests = origin.requests();
    let mut lines: Vec<String> = requests[0]
        .trim_end()
        .lines()
        .map(str::to_ascii_lowercase)
        .collect();
    lines.sort();
    let host = format!("host: 127.0.0.1:{}", origin.port);
    assert_eq!(
        lines,
        [
            "get /a.png http/1.1",
            host.as_str(),
            "user-agent: imgforge/test"
        ]
    );
}

#[tokio::test]
async fn paths_on_the_wire() {
    let cases = [
        // Kept, but for what a request line cannot hold.
        ("/b//c d%2F?x=\"y z\"#f", "/b//c%20d%2F?x=%22y%20z%22"),
        ("/a;b+c%41'|\\d\u{e4}?/../", "/a;b+c%41'%7C%5Cd%C3%A4?/../"),
        ("?a=%zz&b=[]{}", "/?a=%zz&b=[]%7B%7D"),
        ("/a/../b/./c", "/a/../b/./c"),
        ("/a/%2e%2E/b", "/a/%2e%2E/b"),
        ("/?a='b'", "/?a='b'"),
    ];
    for (path, expected) in cases {
        let origin = Origin::fixed(ok(&png(10))).await;
        image(sources(&config()).fetch(request(origin.url(path))).await);
        let asked = &origin.requests()[0];
        assert!(
            asked.starts_with(&format!("GET {expected} HTTP/1.1\r\n")),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn bodies() {
    let chunked = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        b"a\r\n".to_vec(),
        png(10),
        b"\r\n0\r\n\r\n".to_vec(),
    ]
    .concat();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&png(10)).unwrap();
    let gzip = encoder.finish().unwrap();
    let cases = [
        ("whole", ok(&png(10))),
        ("chunked", chunked),
        ("until the end", answer("200 OK", &png(10))),
        (
            "HTTP/1.0",
            b"HTTP/1.0 200 OK\r\n\r\n"
                .to_vec()
                .into_iter()
                .chain(png(10))
                .collect(),
        ),
        (
            "equal lengths",
            answer(
                "200 OK\r\nContent-Length: 10\r\nContent-Length: 10",
                &png(10),
            ),
        ),
        (
            "early hints",
            [answer("103 Early Hints", b""), ok(&png(10))].concat(),
        ),
        (
            "whole range",
            answer(
                "206 Partial Content\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10",
                &png(10),
            ),
        ),
        (
            "range of unknown total",
            answer(
                "206 Partial Content\r\nContent-Range: bytes 0-9/*\r\nContent-Length: 10",
                &png(10),
            ),
        ),
        (
            "gzip",
            answer(
                &format!(
                    "200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}",
                    gzip.len()
                ),
                &gzip,
            ),
        ),
    ];
    for (name, response) in cases {
        let fetched = fetch(&Origin::fixed(response).await).await;
        assert!(fetched.is_ok(), "{name}: {fetched:?}");
        let fetched = image(fetched);
        assert_eq!(fetched.bytes, png(10), "{name}");
        assert!(!fetched.headers.contains_key(CONTENT_ENCODING), "{name}");
    }
}

#[tokio::test]
async fn failures() {
    let cases = [
        (
            "404",
            answer("404 Not Found\r\nContent-Length: 0", b""),
            Kind::SourceClientError(404),
        ),
        (
            "503",
            answer("503 X\r\nContent-Length: 0", b""),
            Kind::SourceServerError,
        ),
        (
            "999",
            answer("999 X\r\nContent-Length: 0", b""),
            Kind::SourceServerError,
        ),
        ("204", answer("204 X", b""), Kind::SourceUnreachable),
        (
            "300",
            answer("300 X\r\nContent-Length: 0", b""),
            Kind::SourceUnreachable,
        ),
        (
            "302 to nowhere",
            answer("302 X\r\nContent-Length: 0", b""),
            Kind::SourceUnreachable,
        ),
        (
            "part",
            answer(
                "206 X\r\nContent-Range: bytes 0-9/11\r\nContent-Length: 10",
                &png(10),
            ),
            Kind::SourceUnreachable,
        ),
        (
            "part without range",
            answer("206 X\r\nContent-Length: 10", &png(10)),
            Kind::SourceUnreachable,
        ),
        (
            "other protocol",
            b"220 smtp.example ESMTP\r\n".to_vec(),
            Kind::SourceUnreachable,
        ),
        ("nothing", Vec::new(), Kind::SourceUnreachable),
        (
            "two lengths",
            answer(
                "200 OK\r\nContent-Length: 10\r\nContent-Length: 11",
                &png(10),
            ),
            Kind::SourceUnreachable,
        ),
        (
            "negative length",
            answer("200 OK\r\nContent-Length: -1", &png(10)),
            Kind::SourceUnreachable,
        ),
        (
            "cut",
            answer("200 OK\r\nContent-Length: 9000", &png(8000)),
            Kind::SourceIncomplete,
        ),
        (
            "cut early",
            answer("200 OK\r\nContent-Length: 9000", &png(80)),
            Kind::SourceFormatUnknown,
        ),
        (
            "chunks without end",
            answer(
                "200 OK\r\nTransfer-Encoding: chunked",
                &[b"1388\r\n".to_vec(), png(5000), b"\r\n".to_vec()].concat(),
            ),
            Kind::SourceIncomplete,
        ),
        ("html", ok(b"<html></html>"), Kind::SourceFormatUnknown),
        ("empty", ok(b""), Kind::SourceFormatUnknown),
        (
            "empty gzip",
            answer("200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0", b""),
            Kind::SourceFormatUnknown,
        ),
        (
            "brotli",
            answer(
                "200 OK\r\nContent-Encoding: br\r\nContent-Length: 3",
                b"abc",
            ),
            Kind::SourceFormatUnknown,
        ),
    ];
    for (name, response, expected) in cases {
        let origin = Origin::fixed(response).await;
        assert_eq!(kind(fetch(&origin).await), expected, "{name}");
        assert_eq!(origin.requests().len(), 1, "{name} was asked again");
    }
}

#[tokio::test]
async fn many_or_huge_headers_end_in_an_error() {
    let many = format!("200 OK{}", "\r\nX: y".repeat(10_000));
    let long = format!("200 OK\r\nX: {}", "y".repeat(1 << 20));
    for head in [many, long] {
        let origin = Origin::fixed(answer(&head, &png(10))).await;
        assert_eq!(kind(fetch(&origin).await), Kind::SourceUnreachable);
    }
}

#[tokio::test]
async fn a_reset_in_the_body_is_an_incomplete_source() {
    let origin = Origin::start(|_, _| {
        vec![
            Step::Send(answer("200 OK\r\nContent-Length: 9000", &png(8000))),
            Step::Sleep(Duration::from_millis(50)),
            Step::Reset,
        ]
    })
    .await;
    let error = fetch(&origin).await.unwrap_err();
    assert!(!error.allows_fallback());
    assert_eq!(Error::from(error).kind(), Kind::SourceIncomplete);
}

#[tokio::test]
async fn unreachable() {
    let sources = sources(&config());
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let cases = [
        format!("http://127.0.0.1:{closed}/"),
        "http://nowhere.invalid/".to_owned(),
        "http://127.1/".to_owned(),
        "http://2130706433/".to_owned(),
        "http://0x7f000001/".to_owned(),
        "ftp://127.0.0.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "local:///a".to_owned(),
        "s3://b/k".to_owned(),
        "a.png".to_owned(),
        "http://h/%zz".to_owned(),
    ];
    for url in cases {
        let outcome = sources.fetch(request(url.clone())).await;
        assert_eq!(kind(outcome), Kind::SourceUnreachable, "{url}");
    }
}

#[tokio::test]
async fn size_limits() {
    let fetch = |origin: Origin, max_bytes| async move {
        let mut request = request(origin.url("/"));
        request.max_bytes = max_bytes;
        sources(&config()).fetch(request).await
    };
    let declared = Origin::fixed(ok(&png(10_000))).await;
    assert_eq!(
        image(fetch(declared.clone(), 10_000).await).bytes.len(),
        10_000
    );
    let error = fetch(declared, 9_999).await.unwrap_err();
    assert!(matches!(error, FetchError::DeclaredTooLarge { .. }));
    assert!(error.allows_fallback());
    // The end comes later than the last byte.
    let late = |length| {
        Origin::start(move |_, _| {
            vec![
                Step::Send(answer("200 OK", &png(length))),
                Step::Sleep(Duration::from_millis(50)),
            ]
        })
    };
    assert_eq!(
        image(fetch(late(10_000).await, 10_000).await).bytes.len(),
        10_000
    );
    let error = fetch(late(10_001).await, 10_000).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }));
    assert!(!error.allows_fallback());
}

#[tokio::test]
async fn deadlines() {
    let head = answer("200 OK\r\nContent-Length: 9000", &png(8000));
    let stall = Step::Sleep(Duration::from_secs(60));
    let silent = Origin::start({
        let stall = stall.clone();
        move |_, _| vec![stall.clone()]
    })
    .await;
    let stalled = Origin::start(move |_, _| vec![Step::Send(head.clone()), stall.clone()]).await;
    let dribble = Origin::start(|_, _| {
        let mut steps = vec![Step::Send(answer("200 OK", &png(5000)))];
        for _ in 0..100 {
            steps.push(Step::Sleep(Duration::from_millis(50)));
            steps.push(Step::Send(vec![7]));
        }
        steps
    })
    .await;
    let mut quick = config();
    quick.download_timeout = Duration::from_millis(300);
    let quick = sources(&quick);
    let patient = sources(&config());
    let started = std::time::Instant::now();
    for (origin, fallback) in [(&silent, true), (&stalled, false), (&dribble, false)] {
        let error = quick.fetch(request(origin.url("/"))).await.unwrap_err();
        assert_eq!(error.allows_fallback(), fallback);
        assert_eq!(Error::from(error).kind(), Kind::SourceTimeout);
    }
    for (origin, expected) in [
        (&silent, Kind::Timeout),
        (&stalled, Kind::SourceTimeout),
        (&dribble, Kind::SourceTimeout),
    ] {
        let mut request = request(origin.url("/"));
        request.deadline = Some(Instant::now() + Duration::from_millis(300));
        assert_eq!(kind(patient.fetch(request).await), expected);
    }
    let mut raw = request(silent.url("/"));
    raw.deadline = Some(Instant::now() + Duration::from_millis(300));
    let error = patient.stream(raw).await.unwrap_err();
    assert_eq!(Error::from(error).kind(), Kind::SourceTimeout);
    let mut body = quick.stream(request(stalled.url("/"))).await.unwrap().body;
    let mut last = None;
    while let Some(chunk) = body.next().await {
        last = Some(chunk.map_err(|error| error.kind()));
    }
    assert_eq!(last, Some(Err(io::ErrorKind::TimedOut)));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_dropped_fetch_closes_its_connection() {
    let origin = Origin::start(|_, _| vec![Step::Sleep(Duration::from_secs(60))]).await;
    let waiting = sources(&config());
    let fetching = waiting.fetch(request(origin.url("/")));
    assert!(
        tokio::time::timeout(Duration::from_millis(200), fetching)
            .await
            .is_err()
    );
    for _ in 0..100 {
        if origin.log.lock().unwrap().closed == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the connection is still open");
}

#[tokio::test]
async fn redirects_are_counted_exactly() {
    let origin = Origin::start(|path, _| {
        let left: usize = path.trim_start_matches('/').parse().unwrap();
        match left {
            0 => vec![Step::Send(ok(&png(10)))],
            left => redirect(&format!("/{}", left - 1)),
        }
    })
    .await;
    for limit in [0, 1, 3] {
        let mut config = config();
        config.max_redirects = limit;
        let sources = sources(&config);
        let within = origin.url(&format!("/{limit}"));
        assert!(sources.fetch(request(within)).await.is_ok(), "{limit}");
        let asked = origin.requests().len();
        let beyond = origin.url(&format!("/{}", limit + 1));
        let error = sources.fetch(request(beyond)).await.unwrap_err();
        assert!(matches!(error, FetchError::TooManyRedirects(_)), "{limit}");
        assert_eq!(origin.requests().len() - asked, limit + 1);
    }
}

#[tokio::test]
async fn redirects_leave_neither_http_nor_the_guard() {
    let canary = Origin::start_on("127.0.0.2", |_, _| vec![Step::Send(ok(&png(10)))]).await;
    let port = canary.port;
    let mut config = config();
    config.denied_networks = vec![network("127.0.0.2", 32)];
    let root = files::Directory::new();
    root.write("a.png", &png(10));
    config.local_root = Some(root.path().to_owned());
    let sources = sources(&config);
    let cases = [
        (format!("http://127.0.0.2:{port}/"), Kind::SourceBlocked),
        (format!("//127.0.0.2:{port}/"), Kind::SourceBlocked),
        (
            format!("http://user:word@127.0.0.2:{port}/"),
            Kind::SourceBlocked,
        ),
        (
            format!("http://[::ffff:127.0.0.2]:{port}/"),
            Kind::SourceBlocked,
        ),
        (
            format!("http://[64:ff9b::7f00:2]:{port}/"),
            Kind::SourceBlocked,
        ),
        (
            "http://169.254.169.254/latest".to_owned(),
            Kind::SourceBlocked,
        ),
        ("local:///a.png".to_owned(), Kind::SourceUnreachable),
        ("file:///etc/passwd".to_owned(), Kind::SourceUnreachable),
        ("ftp://127.0.0.1/".to_owned(), Kind::SourceUnreachable),
        (
            "data:image/png;base64,AAAA".to_owned(),
            Kind::SourceUnreachable,
        ),
        (format!("http:/127.0.0.2:{port}/"), Kind::SourceUnreachable),
        (
            format!("http://2130706434:{port}/"),
            Kind::SourceUnreachable,
        ),
    ];
    for (location, expected) in cases {
        for status in ["301", "302", "303", "307", "308"] {
            let head = format!("{status} X\r\nLocation: {location}\r\nContent-Length: 0");
            let origin = Origin::fixed(answer(&head, b"")).await;
            let outcome = sources.fetch(request(origin.url("/"))).await;
            assert_eq!(kind(outcome), expected, "{status} {location}");
        }
    }
    let direct = format!("http://127.0.0.2:{port}/");
    assert_eq!(
        kind(sources.fetch(request(direct.clone())).await),
        Kind::SourceBlocked
    );
    assert!(sources.stream(request(direct)).await.is_err());
    assert_eq!(canary.log.lock().unwrap().connections, 0);
}

#[tokio::test]
async fn blocked_names_and_addresses() {
    let origin = Origin::fixed(ok(&png(10))).await;
    let mut config = config();
    config.allow_loopback = false;
    let strict = sources(&config);
    let port = origin.port;
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[2002:7f00:1::]",
    ] {
        let url = format!("http://{host}:{port}/");
        let outcome = strict.fetch(request(url)).await;
        assert_eq!(kind(outcome), Kind::SourceBlocked, "{host}");
    }
    assert_eq!(origin.log.lock().unwrap().connections, 0);
    // One address of the name is allowed, all others are not.
    config.allowed_networks = vec![network("127.0.0.1", 32)];
    let url = format!("http://localhost:{port}/");
    image(sources(&config).fetch(request(url)).await);
}

#[tokio::test]
async fn credentials_and_cookies_stay_with_their_origin() {
    let other = Origin::fixed(ok(&png(10))).await;
    let to_other = other.url("/end");
    let origin = Origin::start(move |path, _| match path {
        "/start" => vec![Step::Send(answer(
            "302 X\r\nLocation: /next\r\nSet-Cookie: seen=1; Path=/\r\nContent-Length: 0",
            b"",
        ))],
        _ => redirect(&to_other),
    })
    .await;
    let mut request = request(format!("http://us:pw@127.0.0.1:{}/start", origin.port));
    request
        .headers
        .insert(COOKIE, HeaderValue::from_static("mine=2"));
    request
        .headers
        .insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    image(sources(&config()).fetch(request).await);
    let requests = origin.requests();
    assert!(requests[0].contains("cookie: mine=2\r\n"));
    assert!(requests[0].contains("authorization: Basic dXM6cHc=\r\n"));
    assert!(requests[1].contains("cookie: mine=2; seen=1\r\n"));
    assert!(requests[1].contains(&format!("referer: {}\r\n", origin.url("/start"))));
    let last = &other.requests()[0];
    assert!(
        !last.contains("cookie:") && !last.contains("authorization:"),
        "{last}"
    );
}

#[tokio::test]
async fn a_stale_connection_is_replaced_silently() {
    let origin = Origin::start(|_, number| match number {
        0 => vec![Step::Send(ok(&png(10))), Step::Next],
        1 => Vec::new(),
        _ => vec![Step::Send(ok(&png(11)))],
    })
    .await;
    let sources = sources(&config());
    image(sources.fetch(request(origin.url("/"))).await);
    let second = image(sources.fetch(request(origin.url("/"))).await);
    assert_eq!(second.bytes.len(), 11);
    let log = origin.log.lock().unwrap();
    assert_eq!((log.connections, log.requests.len()), (2, 3));
}

#[tokio::test]
async fn connections_are_reused_unless_that_is_off() {
    for (seconds, connections) in [(90, 1), (0, 2)] {
        let origin = Origin::start(|_, _| vec![Step::Send(ok(&png(10))), Step::Next]).await;
        let mut config = config();
        config.client_keep_alive_timeout = Duration::from_secs(seconds);
        let sources = sources(&config);
        for _ in 0..2 {
            image(sources.fetch(request(origin.url("/"))).await);
        }
        let log = origin.log.lock().unwrap();
        assert_eq!(log.connections, connections);
        assert_eq!(log.requests[0].contains("connection: close"), seconds == 0);
    }
}

#[tokio::test]
async fn conditions_are_forwarded() {
    let origin = Origin::fixed(answer("304 Not Modified\r\nETag: \"x\"", b"")).await;
    let mut request = request(origin.url("/"));
    request
        .headers
        .insert(IF_NONE_MATCH, HeaderValue::from_static("\"x\""));
    match sources(&config()).fetch(request).await.unwrap() {
        Fetched::NotModified(headers) => assert_eq!(headers["etag"], "\"x\""),
        other @ Fetched::Image(_) => panic!("{other:?}"),
    }
    assert!(origin.requests()[0].contains("if-none-match: \"x\"\r\n"));
}

#[tokio::test]
async fn raw_relays_what_the_source_says() {
    let origin = Origin::fixed(answer(
        "404 Not Found\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: 3",
        b"no!",
    ))
    .await;
    let mut ranged = request(origin.url("/"));
    ranged
        .headers
        .insert(RANGE, HeaderValue::from_static("bytes=0-1"));
    ranged.max_bytes = 1;
    let raw = sources(&config()).stream(ranged).await.unwrap();
    assert_eq!(raw.status, 404);
    assert_eq!(raw.headers["content-encoding"], "gzip");
    let chunks: Vec<Bytes> = raw.body.try_collect().await.unwrap();
    assert_eq!(chunks.concat(), b"no!");
    assert!(origin.requests()[0].contains("range: bytes=0-1\r\n"));
    let cut = Origin::fixed(answer("200 OK\r\nContent-Length: 10", b"abc")).await;
    let raw = sources(&config())
        .stream(request(cut.url("/")))
        .await
        .unwrap();
    assert!(raw.body.try_collect::<Vec<_>>().await.is_err());
}

#[tokio::test]
async fn proxies() {
    let proxy = Origin::fixed(ok(&png(10))).await;
    let by = Proxies::fixed(&format!("http://us:pw@127.0.0.1:{}", proxy.port));
    let config = config();
    let proxied = through(&config, by.clone());
    image(proxied.fetch(request("http://far.invalid/a?b")).await);
    let asked = &proxy.requests()[0];
    assert!(
        asked.starts_with("GET http://far.invalid/a?b HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(asked.contains("proxy-authorization: Basic dXM6cHc=\r\n"));
    // TLS goes through a tunnel, which this proxy refuses by closing it.
    let outcome = proxied.fetch(request("https://far.invalid/")).await;
    assert_eq!(kind(outcome), Kind::SourceUnreachable);
    assert!(proxy.requests()[1].starts_with("CONNECT far.invalid:443 HTTP/1.1\r\n"));
    // Loopback sources and listed names never use it.
    let origin = Origin::fixed(ok(&png(11))).await;
    image(proxied.fetch(request(origin.url("/"))).await);
    assert_eq!(
        kind(proxied.fetch(request("http://direct.invalid/")).await),
        Kind::SourceUnreachable
    );
    assert_eq!(proxy.requests().len(), 2);
    // A proxy at a blocked address blocks everything behind it.
    let mut strict = config;
    strict.allow_loopback = false;
    for (host, expected) in [
        ("127.0.0.1", Kind::SourceBlocked),
        ("localhost", Kind::SourceBlocked),
        ("[::ffff:127.0.0.1]", Kind::SourceBlocked),
        // A name, which does not exist.
        ("127.1", Kind::SourceUnreachable),
    ] {
        let blocked = Proxies::fixed(&format!("http://{host}:{}", proxy.port));
        let strict = through(&strict, blocked);
        for url in ["http://far.invalid/", "https://far.invalid/"] {
            let outcome = strict.fetch(request(url)).await;
            assert_eq!(kind(outcome), expected, "{url} through {host}");
        }
    }
    assert_eq!(proxy.requests().len(), 2);
}

#[tokio::test]
async fn proxy_credentials_arrive_as_configured() {
    let proxy = Origin::fixed(ok(&png(10))).await;
    // User `a b@`, password `c:%`.
    let url = format!("http://a%20b%40:c%3A%25@127.0.0.1:{}", proxy.port);
    let proxied = through(&config(), Proxies::fixed(&url));
    image(proxied.fetch(request("http://far.invalid/")).await);
    assert!(
        proxied
            .fetch(request("https://far.invalid/"))
            .await
            .is_err()
    );
    for asked in proxy.requests() {
        assert!(asked.contains(": Basic YSBiQDpjOiU=\r\n"), "{asked}");
    }
}

#[tokio::test]
async fn plain_text_on_a_tls_port_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = vec![0; 4096];
        let length = stream.read(&mut hello).await.unwrap();
        assert!(
            hello[..length]
                .windows(12)
                .any(|part| part == b"\x02h2\x08http/1.1"),
            "both versions are offered"
        );
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let sources = sources(&config());
    let (outcome, _stream) = tokio::join!(sources.fetch(request(url)), server);
    assert_eq!(kind(outcome), Kind::SourceUnreachable);
}

#[test]
fn bad_configurations() {
    for user_agent in ["", "a\nb"] {
        let mut config = config();
        config.user_agent = user_agent.to_owned();
        assert!(matches!(
            Sources::new(&config),
            Err(SourceConfigError::UserAgent(_))
        ));
    }
    let mut config = config();
    config.local_root = Some("/nowhere/at/all".into());
    assert!(matches!(
        Sources::new(&config),
        Err(SourceConfigError::LocalRoot { .. })
    ));
}
