//! What sources and source URLs can do to the server: cases 16 to 45 of the list of attacks, each over real sockets.
//! Those that need a resolver or links of their own are beside the code, in `src/source/tests`.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::{Origin, Script, Server, pictures};

/// What a raw origin sends after a request head, whatever that was.
#[derive(Clone)]
enum Raw {
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// These bytes, then the last ones again and again, with a pause between.
    Endless(Vec<u8>, Vec<u8>, Duration),
}

/// An origin that answers with bytes; it is asked once or more and counts what it could send.
struct RawOrigin {
    url: String,
    sent: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl RawOrigin {
    async fn start(raw: Raw) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Self {
            url: format!("http://{}/a.png", listener.local_addr().unwrap()),
            sent: Arc::default(),
            requests: Arc::default(),
        };
        let (sent, requests) = (Arc::clone(&origin.sent), Arc::clone(&origin.requests));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (raw, sent, requests) = (raw.clone(), Arc::clone(&sent), Arc::clone(&requests));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    requests.fetch_add(1, Ordering::Relaxed);
                    let (first, rest, pause) = match raw {
                        Raw::Bytes(bytes) => (bytes, Vec::new(), Duration::ZERO),
                        Raw::Endless(first, rest, pause) => (first, rest, pause),
                    };
                    let mut next = first;
                    while stream.write_all(&next).await.is_ok() && !rest.is_empty() {
                        sent.fetch_add(next.len(), Ordering::Relaxed);
                        next.clone_from(&rest);
                        tokio::time::sleep(pause).await;
                    }
                });
            }
        });
        origin
    }
}

/// A PNG that is larger than what the server reads to recognise it.
fn picture() -> Vec<u8> {
    pictures::noise_png(300, 300)
}

fn answer(head: &str, body: &[u8]) -> Raw {
    let mut bytes = format!("HTTP/1.1 {head}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Raw::Bytes(bytes)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

async fn is_healthy(server: &Server, name: &str) {
    assert_eq!(
        server.get("/health").await.status,
        200,
        "health after {name}"
    );
}

const UNREACHABLE: &str = "Source is unreachable";
const BLOCKED: &str = "Invalid source URL";
const INVALID: &str = "Invalid source image";
const INCOMPLETE: &str = "Source response is incomplete";

/// Cases 39, 41, 42, 44 and 45: whole answers of every wrong kind.
#[tokio::test]
async fn answers_that_lie() {
    let png = picture();
    let length = png.len();
    let packed = gzip(&png);
    let mut bomb = png.clone();
    bomb.resize(32 << 20, 0);
    let bomb = gzip(&bomb);
    let many = format!(
        "200 OK\r\nContent-Length: {length}{}",
        "\r\nX: y".repeat(10_000)
    );
    let long = format!(
        "200 OK\r\nContent-Length: {length}\r\nX: {}",
        "y".repeat(1 << 20)
    );
    let chunked = |size: usize, body: &[u8]| {
        [format!("{size:x}\r\n").as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
    };
    let sized = |head: &str| format!("200 OK\r\nContent-Length: {length}{head}");
    let raw = |bytes: &[u8]| Raw::Bytes(bytes.to_vec());
    let cases: Vec<(&str, Raw, u16, &str)> = vec![
        (
            "too long a length",
            answer(&format!("200 OK\r\nContent-Length: {}", length + 9), &png),
            422,
            INCOMPLETE,
        ),
        (
            "too short a length",
            answer("200 OK\r\nContent-Length: 100", &png),
            200,
            "",
        ),
        (
            "negative length",
            answer("200 OK\r\nContent-Length: -1", &png),
            404,
            UNREACHABLE,
        ),
        (
            "two lengths",
            answer(&sized("\r\nContent-Length: 5"), &png),
            404,
            UNREACHABLE,
        ),
        (
            "length beyond numbers",
            answer("200 OK\r\nContent-Length: 99999999999999999999", &png),
            404,
            UNREACHABLE,
        ),
        (
            "declared too large",
            answer("200 OK\r\nContent-Length: 999999999", &png),
            422,
            INVALID,
        ),
        (
            "chunk of another size",
            answer(
                "200 OK\r\nTransfer-Encoding: chunked",
                &chunked(length + 50, &png),
            ),
            422,
            INCOMPLETE,
        ),
        (
            "chunk size that is none",
            answer("200 OK\r\nTransfer-Encoding: chunked", b"zz\r\nabc"),
            422,
            INVALID,
        ),
        (
            "unknown transfer encoding",
            answer("200 OK\r\nTransfer-Encoding: gzip", &png),
            200,
            "",
        ),
        (
            "gzip bomb",
            answer(
                &format!(
                    "200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}",
                    bomb.len()
                ),
                &bomb,
            ),
            422,
            INVALID,
        ),
        (
            "gzip twice",
            answer("200 OK\r\nContent-Encoding: gzip, gzip", &gzip(&packed)),
            422,
            INVALID,
        ),
        (
            "gzip cut",
            answer(
                "200 OK\r\nContent-Encoding: gzip",
                &packed[..packed.len() - 20],
            ),
            422,
            INCOMPLETE,
        ),
        (
            "brotli",
            answer("200 OK\r\nContent-Encoding: br", b"\x0b\x02\x80abc\x03"),
            422,
            INVALID,
        ),
        (
            "part of a file",
            answer(
                "206 Partial Content\r\nContent-Range: bytes 0-9/99\r\nContent-Length: 10",
                &png[..10],
            ),
            404,
            UNREACHABLE,
        ),
        (
            "no content",
            answer("204 No Content", b""),
            404,
            UNREACHABLE,
        ),
        (
            "asks for credentials",
            answer(
                "401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0",
                b"",
            ),
            401,
            UNREACHABLE,
        ),
        (
            "too many requests",
            answer("429 X\r\nRetry-After: 1\r\nContent-Length: 0", b""),
            429,
            UNREACHABLE,
        ),
        (
            "unavailable",
            answer("503 X\r\nRetry-After: 1\r\nContent-Length: 0", b""),
            502,
            UNREACHABLE,
        ),
        (
            "switches protocols",
            answer("101 X\r\nUpgrade: h2c\r\nConnection: upgrade", b""),
            404,
            UNREACHABLE,
        ),
        (
            "html",
            answer("200 OK\r\nContent-Type: image/png", b"<html>secret</html>"),
            422,
            INVALID,
        ),
        ("10,000 headers", answer(&many, &png), 404, UNREACHABLE),
        (
            "a header of a megabyte",
            answer(&long, &png),
            404,
            UNREACHABLE,
        ),
        (
            "mail server",
            raw(b"220 secret.example ESMTP\r\n"),
            404,
            UNREACHABLE,
        ),
        (
            "redis",
            raw(b"-ERR secret unknown command\r\n"),
            404,
            UNREACHABLE,
        ),
        ("HTTP/0.9", Raw::Bytes(png.clone()), 404, UNREACHABLE),
        (
            "HTTP/3.0",
            raw(b"HTTP/3.0 200 OK\r\n\r\n"),
            404,
            UNREACHABLE,
        ),
        (
            "status of two digits",
            raw(b"HTTP/1.1 20 OK\r\n\r\n"),
            404,
            UNREACHABLE,
        ),
        (
            "NUL in a header",
            answer("200 OK\r\nX: \0", &png),
            404,
            UNREACHABLE,
        ),
        (
            "blank before the colon",
            answer(&sized("\r\nContent-Length : 5"), &png),
            404,
            UNREACHABLE,
        ),
        (
            "folded header",
            answer(&sized("\r\nX: a\r\n b"), &png),
            404,
            UNREACHABLE,
        ),
        ("nothing", raw(b""), 404, UNREACHABLE),
        (
            "half a head",
            raw(b"HTTP/1.1 200 OK\r\nContent-"),
            404,
            UNREACHABLE,
        ),
        // These are odd, and safe.
        (
            "length and chunks",
            answer(
                &sized("\r\nTransfer-Encoding: chunked"),
                &chunked(length, &png),
            ),
            200,
            "",
        ),
        (
            "HTTP/1.0",
            Raw::Bytes([b"HTTP/1.0 200 OK\r\n\r\n", &png[..]].concat()),
            200,
            "",
        ),
        (
            "bare line feeds",
            Raw::Bytes([b"HTTP/1.1 200 OK\nX: y\n\n", &png[..]].concat()),
            200,
            "",
        ),
        (
            "said to be html",
            answer(&sized("\r\nContent-Type: text/html"), &png),
            200,
            "",
        ),
        (
            "deflated",
            {
                let mut encoder =
                    flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&png).unwrap();
                answer(
                    "200 OK\r\nContent-Encoding: deflate",
                    &encoder.finish().unwrap(),
                )
            },
            200,
            "",
        ),
        (
            "sets a cookie",
            answer(&sized("\r\nSet-Cookie: secret=1\r\nVary: *"), &png),
            200,
            "",
        ),
    ];
    let server = Server::start(&[("IMGPROXY_MAX_SRC_FILE_SIZE", "1000000")]).await;
    let mut wrong = Vec::new();
    for (name, raw, status, text) in cases {
        let origin = RawOrigin::start(raw).await;
        let reply = server.image("w:10", &origin.url).await;
        let given = if reply.status == 200 {
            String::new()
        } else {
            reply.text()
        };
        if (reply.status, given.as_str()) != (status, text) {
            wrong.push(format!("{name}: {} {given}", reply.status));
        }
        assert_eq!(reply.header("set-cookie"), None, "{name}");
        assert!(
            status == 200 || reply.header("cache-control").is_none(),
            "{name}"
        );
        assert_eq!(
            origin.requests.load(Ordering::Relaxed),
            1,
            "{name} was asked again"
        );
        is_healthy(&server, name).await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Cases 39 and 40: bodies without an end stop at the limit.
#[tokio::test]
async fn bodies_without_end() {
    let png = picture();
    let head = |text: &str| [b"HTTP/1.1 200 OK\r\n", text.as_bytes(), b"\r\n", &png[..]].concat();
    let filler = vec![7; 64 << 10];
    let chunk = [b"10000\r\n", &filler[..], b"\r\n"].concat();
    let first_chunk = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        format!("{:x}\r\n", png.len()).as_bytes(),
        &png,
        b"\r\n",
    ]
    .concat();
    let cases = [
        (
            "no length",
            Raw::Endless(head(""), filler.clone(), Duration::ZERO),
        ),
        ("chunks", Raw::Endless(first_chunk, chunk, Duration::ZERO)),
        (
            "declared",
            Raw::Endless(
                head("Content-Length: 1000000000\r\n"),
                filler,
                Duration::ZERO,
            ),
        ),
    ];
    let server = Server::start(&[("IMGPROXY_MAX_SRC_FILE_SIZE", "1000000")]).await;
    for (name, raw) in cases {
        let origin = RawOrigin::start(raw).await;
        let reply = server.image("w:10", &origin.url).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (422, INVALID),
            "{name}"
        );
        // The limit, and what the sockets of both sides hold.
        let sent = origin.sent.load(Ordering::Relaxed);
        assert!(sent < 32 << 20, "{name}: {sent}");
        is_healthy(&server, name).await;
    }
}

/// Case 38: slow sources end with the download's time, and their slots are free again.
#[tokio::test]
async fn slow_sources() {
    let png = picture();
    let tick = Duration::from_millis(100);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec();
    let cases = [
        (
            "head, byte by byte",
            Raw::Endless(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), b"y".to_vec(), tick),
        ),
        (
            "body, byte by byte",
            Raw::Endless([&head[..], &png].concat(), b"y".to_vec(), tick),
        ),
        (
            "early hints without end",
            Raw::Endless(Vec::new(), b"HTTP/1.1 103 X\r\n\r\n".to_vec(), tick),
        ),
        (
            "stalls in the body",
            Raw::Endless(
                [&head[..], &png].concat(),
                b"y".to_vec(),
                Duration::from_secs(60),
            ),
        ),
        (
            "never answers",
            Raw::Endless(Vec::new(), b"H".to_vec(), Duration::from_secs(60)),
        ),
    ];
    let server = Server::start(&[
        ("IMGPROXY_DOWNLOAD_TIMEOUT", "1"),
        ("IMGPROXY_WORKERS", "5"),
    ])
    .await;
    let started = Instant::now();
    let replies = cases.map(|(name, raw)| {
        let server = &server;
        async move {
            let origin = RawOrigin::start(raw).await;
            let reply = server.image("w:10", &origin.url).await;
            assert_eq!(
                (reply.status, reply.text().as_str()),
                (504, UNREACHABLE),
                "{name}"
            );
        }
    });
    futures_util::future::join_all(replies).await;
    assert!(started.elapsed() >= Duration::from_millis(900));
    assert!(started.elapsed() < Duration::from_secs(8));
    // All five slots were taken; one request after another finds them free.
    let origin = Origin::start().await;
    origin.otherwise(Script::image("grid.png"));
    let again = (0..5).map(|number| {
        let url = origin.url(&format!("/{number}.png"));
        let server = &server;
        async move { server.image("w:10", &url).await.status }
    });
    assert_eq!(futures_util::future::join_all(again).await, [200; 5]);
}

/// Cases 16 to 19 and 30: forbidden addresses in every spelling are refused at once.
#[tokio::test]
async fn addresses_and_schemes_that_are_refused() {
    let canary = Origin::start().await;
    canary.otherwise(Script::image("grid.png"));
    let port = canary.url("").rsplit(':').next().unwrap().to_owned();
    let server = Server::start(&[
        ("IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES", "false"),
        ("IMGPROXY_ALLOW_PRIVATE_SOURCE_ADDRESSES", "false"),
        ("IMGFORGE_BLOCK_SPECIAL_ADDRESSES", "true"),
    ])
    .await;
    let blocked = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.255.255.254",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1:7f00:0:100::]",
        "[2001:0:1:2:3:4:80ff:fffe]",
        "[2001:470::5efe:7f00:1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fd00::1]",
        "[fe80::1]",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "240.0.0.1",
        "[ff02::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
    ];
    let unknown = [
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "0",
        "[fe80::1%25lo]",
    ];
    let started = Instant::now();
    for (hosts, text) in [(&blocked[..], BLOCKED), (&unknown[..], UNREACHABLE)] {
        for host in hosts {
            let host = host.replace('%', "%25");
            let reply = server
                .image("", &format!("http://{host}:{port}/a.png"))
                .await;
            assert_eq!((reply.status, reply.text().as_str()), (404, text), "{host}");
        }
    }
    for url in [
        format!("http+unix://127.0.0.1:{port}/"),
        "unix:///var/run/docker.sock".to_owned(),
        "local:///etc/passwd".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
    ] {
        let reply = server.image("", &url).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (404, UNREACHABLE),
            "{url}"
        );
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(canary.connections(), 0);
}

/// Case 21: loops end, and so exactly.
#[tokio::test]
async fn redirects_in_a_circle() {
    let origin = Origin::start().await;
    origin.on("/self", Script::redirect(302, "/self"));
    let server = Server::start(&[("IMGPROXY_MAX_REDIRECTS", "3")]).await;
    let reply = server.image("", &origin.url("/self")).await;
    assert_eq!((reply.status, reply.text().as_str()), (404, UNREACHABLE));
    assert_eq!(origin.asked("/self").len(), 4);
}

/// Case 23: odd `Location` values lead to the forbidden address in no way.
#[tokio::test]
async fn locations_that_want_to_be_misread() {
    let origin = Origin::start().await;
    let canary = Origin::start_on("127.0.0.2").await;
    canary.otherwise(Script::image("grid.png"));
    let host = canary.url("").replace("http://", "");
    let server = Server::start(&[("IMGFORGE_DENIED_SOURCE_NETWORKS", "127.0.0.2")]).await;
    for (number, location) in [
        format!("//{host}/"),
        format!("\\\\{host}/"),
        format!("/\\{host}/"),
        format!("http:/{host}/"),
        format!("http:{host}/"),
        format!("http://127.0.0.1@{host}/"),
        format!("http://127.0.0.1:80#@{host}/"),
        format!("http://127.0.0.1\\@{host}/"),
        format!("http:\\\\{host}/"),
        format!("HTTP://{host}/#fragment"),
        format!(" http://{host}/"),
        format!("http://{host}\t/"),
        format!("///{host}/"),
        format!("http:///{host}/"),
        "http://[::ffff:127.0.0.2]/".to_owned(),
        "https://127.0.0.2/".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{number}");
        origin.on(&path, Script::redirect(302, &location));
        let reply = server.image("", &origin.url(&path)).await;
        assert_eq!(reply.status, 404, "{location}: {}", reply.text());
    }
    // A line break ends the header, so that what follows is another one.
    let injected = answer(
        &format!("302 Found\r\nLocation: /x\r\nLocation: http://{host}/\r\nContent-Length: 0"),
        b"",
    );
    let twice = RawOrigin::start(injected).await;
    assert_eq!(server.image("", &twice.url).await.status, 404);
    assert_eq!(canary.connections(), 0);
}

/// Case 27: the server's own pictures come through the same guard.
#[tokio::test]
async fn pictures_of_the_server_are_guarded_too() {
    let canary = Origin::start_on("127.0.0.2").await;
    canary.otherwise(Script::image("grid.png"));
    let origin = Origin::start().await;
    origin.otherwise(Script::redirect(302, &canary.url("/a.png")));
    for name in ["IMGPROXY_WATERMARK_URL", "IMGPROXY_FALLBACK_IMAGE_URL"] {
        for url in [canary.url("/a.png"), origin.url("/a.png")] {
            let config = imgforge::config::Config::from_pairs(&[
                ("IMGPROXY_BIND", "127.0.0.1:0"),
                ("IMGPROXY_PROMETHEUS_BIND", "off"),
                ("IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES", "true"),
                ("IMGFORGE_DENIED_SOURCE_NETWORKS", "127.0.0.2"),
                ("IMGPROXY_LOG_LEVEL", "error"),
                (name, &url),
            ])
            .unwrap();
            assert!(
                imgforge::server::Server::start(&config).await.is_err(),
                "{name} {url}"
            );
        }
    }
    assert_eq!(canary.connections(), 0);
}

/// Cases 33 and 34: nothing outside the root is read, however the way there is written.
#[tokio::test]
async fn local_names_stay_below_the_root() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images");
    let server = Server::start(&[("IMGPROXY_LOCAL_FILESYSTEM_ROOT", root)]).await;
    for name in [
        "../../etc/passwd",
        "..%252f..%252fetc%252fpasswd",
        "%252e%252e/%252e%252e/etc/passwd",
        "%25252e%25252e/etc/passwd",
        "....//....//etc/passwd",
        "..%5c..%5cetc%5cpasswd",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "../images-of-others/x.png",
        "grid.png%2500.png",
        "grid.png/..%2f..%2f..%2fCargo.toml",
    ] {
        for options in ["w:1", "raw:1"] {
            let reply = server.image(options, &format!("local:///{name}")).await;
            assert_eq!(reply.status, 404, "{options} {name}");
            assert_eq!(reply.text(), UNREACHABLE, "{options} {name}");
        }
    }
}
