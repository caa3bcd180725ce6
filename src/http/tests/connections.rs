//! Malformed requests, bodies, limits and time limits of a connection.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Reply, TestServer, read_one, read_to_end};

#[tokio::test]
async fn malformed_requests() {
    let server = TestServer::start(|_| ());
    let rows: [(&[u8], u16); 22] = [
        (b"GET /a/100%.png HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /a%2 HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /a%zz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET a HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /a\x01 HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /a\x7f HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: t\r\nA: b\rc\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: t\r\nA: b\0c\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost : t\r\n\r\n", 400),
        (
            b"GET /health HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            400,
        ),
        (
            b"GET /health HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n",
            400,
        ),
        (
            b"GET /health HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n",
            400,
        ),
        (
            b"GET /health HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
            400,
        ),
        (b"GET /health HTTP/3.0\r\nHost: t\r\n\r\n", 400),
        (b"GET /health HTTP/1.0\r\n\r\n", 200),
        (b"GET /health HTTP/1.1\nHost: t\nConnection: close\n\n", 200),
        (
            b"GET /health?%zz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
            200,
        ),
    ];
    for (request, status) in rows {
        let reply = server.raw(request).await;
        let row = String::from_utf8_lossy(request);
        assert_eq!(reply.status, status, "{row:?} {reply:?}");
        if status != 200 {
            for name in ["server", "x-request-id", "content-security-policy"] {
                assert_eq!(reply.header(name), None, "{row:?}");
            }
        }
    }
    let reply = server
        .raw(b"GET /a/100%.png HTTP/1.1\r\nHost: t\r\n\r\n")
        .await;
    assert_eq!(reply.body, "400 Bad Request");
    assert_eq!(
        reply.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(reply.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_smuggled_second_request_is_not_answered() {
    let server = TestServer::start(|_| ());
    let request = b"GET /health HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
        0\r\n\r\nGET /status HTTP/1.1\r\nHost: t\r\n\r\n";
    let reply = server.raw(request).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.body.contains("HTTP/1.1"), "{reply:?}");
}

#[tokio::test]
async fn options_for_the_whole_server() {
    let server = TestServer::start(|_| ());
    let reply = server
        .raw(b"OPTIONS * HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    assert_eq!(reply.header("server"), None);
    assert_eq!(reply.header("x-request-id"), None);
}

#[tokio::test]
async fn head_limits() {
    let server = TestServer::start(|_| ());
    let with_header = |bytes: usize| {
        format!(
            "GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\nA: {}\r\n\r\n",
            "x".repeat(bytes)
        )
    };
    assert_eq!(
        server.raw(with_header(1_000_000).as_bytes()).await.status,
        200
    );
    let reply = server.raw(with_header(1_200_000).as_bytes()).await;
    assert_eq!(reply.status, 431);
    let mut many = "GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n".to_owned();
    for n in 0..5000 {
        many.push_str(&format!("A{n}: b\r\n"));
    }
    assert_eq!(
        server.raw(format!("{many}\r\n").as_bytes()).await.status,
        200
    );
    let target = |bytes: usize| format!("/{}", "x".repeat(bytes));
    assert_eq!(server.get(&target(65_000)).await.status, 200);
    assert_eq!(server.get(&target(66_000)).await.status, 414);
}

#[tokio::test]
async fn one_connection_takes_heads_of_few_and_of_many_lines() {
    let server = TestServer::start(|_| ());
    let mut stream = server.connect().await;
    let head = |lines: usize| {
        let lines: String = (0..lines).map(|n| format!("A{n}: b\r\n")).collect();
        format!(
            "GET /_/echo/{} HTTP/1.1\r\nHost: t\r\n{lines}\r\n",
            lines.len()
        )
    };
    // In pieces, so that the parser has seen some of its lines.
    for lines in [1, 150, 97, 98, 99, 100, 101, 5000] {
        let head = head(lines);
        let (first, last) = head.split_at(head.len() / 2);
        stream.write_all(first.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(last.as_bytes()).await.unwrap();
        let reply = read_one(&mut stream).await;
        assert_eq!(reply.status, 200, "{lines}");
        let target = head.split(' ').nth(1).unwrap();
        assert!(
            reply.body.contains("echo") && target.ends_with(&reply.body),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn bodies_are_dropped() {
    let server = TestServer::start(|_| ());
    let body = "x".repeat(200_000);
    let declared = format!(
        "GET /health HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let chunked = format!(
        "POST /health HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let mut stream = server.connect().await;
    for (request, status) in [(&declared, 200), (&chunked, 404), (&declared, 200)] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let reply = read_one(&mut stream).await;
        assert_eq!((reply.status, reply.header("connection")), (status, None));
    }
}

#[tokio::test]
async fn long_broken_and_expected_bodies_close() {
    let server = TestServer::start(|_| ());
    let long = "x".repeat(300_000);
    let rows = [
        format!("GET /health HTTP/1.1\r\nHost: t\r\nContent-Length: 300000\r\n\r\n{long}"),
        format!(
            "GET /health HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n{long}\r\n0\r\n\r\n"
        ),
        "GET /health HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        "GET /health HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
            .to_owned(),
    ];
    for request in rows {
        let reply = server.raw(request.as_bytes()).await;
        let row = request.chars().take(90).collect::<String>();
        assert_eq!(reply.status, 200, "{row} {reply:?}");
        assert_eq!(reply.header("connection"), Some("close"), "{row}");
    }
}

#[tokio::test]
async fn http_1_0() {
    let server = TestServer::start(|_| ());
    let reply = server.raw(b"GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!((reply.status, reply.version.as_str()), (200, "HTTP/1.0"));
    assert_eq!(reply.header("transfer-encoding"), None);
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream
            .write_all(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .await
            .unwrap();
        let reply = read_one(&mut stream).await;
        assert_eq!(reply.header("connection"), Some("keep-alive"));
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start(|_| ());
    let request = "GET /unsafe/slow/a HTTP/1.1\r\nHost: t\r\n\r\nGET /unsafe/echo/b HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    let mut stream = server.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let all = String::from_utf8(read_to_end(&mut stream).await).unwrap();
    let (first, second) = (
        all.find("picture").unwrap(),
        all.find("unsafe/echo/b").unwrap(),
    );
    assert!(first < second, "{all}");
}

#[tokio::test]
async fn without_keep_alive_every_response_closes() {
    let server = TestServer::start(|s| s.server.keep_alive_timeout = Duration::ZERO);
    let reply = server.raw(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(
        (reply.status, reply.header("connection")),
        (200, Some("close"))
    );
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = TestServer::start(|s| s.server.keep_alive_timeout = Duration::from_millis(300));
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    read_one(&mut stream).await;
    let since = Instant::now();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
    assert!(
        (200..2000).contains(&since.elapsed().as_millis()),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test]
async fn a_slow_head_is_cut_without_an_answer() {
    let server = TestServer::start(|s| s.server.read_request_timeout = Duration::from_millis(500));
    let since = Instant::now();
    let mut silent = server.connect().await;
    let mut dribbling = server.connect().await;
    let (mut reader, mut writer) = dribbling.split();
    let dribble = async {
        loop {
            if writer.write_all(b"G").await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let read = async {
        let mut bytes = Vec::new();
        // The peer may reset instead of ending; both are a cut.
        let _ = reader.read_to_end(&mut bytes).await;
        bytes
    };
    tokio::select! {
        bytes = read => assert!(bytes.is_empty()),
        () = dribble => {}
    }
    assert!(
        (400..3000).contains(&since.elapsed().as_millis()),
        "{:?}",
        since.elapsed()
    );
    assert!(read_to_end(&mut silent).await.is_empty());
}

#[tokio::test]
async fn the_head_time_starts_anew_with_each_request() {
    let server = TestServer::start(|s| s.server.read_request_timeout = Duration::from_millis(400));
    let mut stream = server.connect().await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(read_one(&mut stream).await.status, 200);
    }
    stream
        .write_all(b"GET /unsafe/slow/a HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(read_one(&mut stream).await.status, 200);
    stream.write_all(b"GET /hea").await.unwrap();
    assert!(read_to_end(&mut stream).await.is_empty());
}

#[tokio::test]
async fn a_slow_body_holds_the_answer_back_and_closes() {
    let server = TestServer::start(|s| s.server.read_request_timeout = Duration::from_millis(400));
    let since = Instant::now();
    let reply = server
        .raw(b"GET /health HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc")
        .await;
    assert_eq!(
        (reply.status, reply.header("connection")),
        (200, Some("close"))
    );
    assert!(since.elapsed() > Duration::from_millis(300));
}

#[tokio::test]
async fn a_slow_reader_is_cut() {
    let server =
        TestServer::start(|s| s.server.write_response_timeout = Duration::from_millis(500));
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /unsafe/big/a HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let bytes = read_to_end(&mut stream).await;
    assert!(
        !bytes.is_empty() && bytes.len() < 32 << 20,
        "{}",
        bytes.len()
    );
    let mut fast = server.connect().await;
    fast.write_all(b"GET /unsafe/big/a HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(read_to_end(&mut fast).await.len() > 32 << 20);
}

#[tokio::test]
async fn the_write_time_limits_a_raw_stream() {
    let server =
        TestServer::start(|s| s.server.write_response_timeout = Duration::from_millis(400));
    let since = Instant::now();
    let reply = server.get("/unsafe/raw-hangs/a").await;
    assert!(reply.body.ends_with("ab"), "{reply:?}");
    assert!(
        (300..3000).contains(&since.elapsed().as_millis()),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test]
async fn the_request_deadline_answers_and_stops_the_work() {
    let server = TestServer::start(|s| s.server.timeout = Duration::from_millis(300));
    let reply = server.get("/unsafe/hang/a").await;
    assert_eq!((reply.status, reply.body.as_str()), (503, "Timeout"));
    assert_eq!(server.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_client_that_goes_stops_the_work() {
    let server = TestServer::start(|_| ());
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /unsafe/hang/a HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.dropped.load(Ordering::SeqCst), 0);
    drop(stream);
    for _ in 0..50 {
        if server.dropped.load(Ordering::SeqCst) == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the work goes on");
}

#[tokio::test]
async fn a_half_closed_client_gets_quick_answers_and_499_for_images() {
    let server = TestServer::start(|_| ());
    for (path, status, body) in [
        ("/health", 200, "imgproxy is running"),
        ("/unsafe/slow/a", 499, "Cancelled"),
    ] {
        let mut stream = server.connect().await;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes())
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
        let reply = Reply::parse(&read_to_end(&mut stream).await);
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (status, body),
            "{path}"
        );
    }
}
