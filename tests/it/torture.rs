//! HTTP/1.1 as nobody should speak it, and many who speak it at once. Whatever they do, a well-behaved client beside them
//! gets its answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinHandle, JoinSet};

use crate::common::{Origin, PATIENCE, Process, Script, client};

/// A client that behaves, and asks on and on for a picture and the health.
struct Neighbour {
    over: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Neighbour {
    fn start(to: SocketAddr, picture: &str) -> Self {
        let (over, answers) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (stop, count) = (Arc::clone(&over), Arc::clone(&answers));
        let targets = ["/health".to_owned(), format!("/_/w:20/plain/{picture}")];
        let task = tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                for target in &targets {
                    let reply = client::request(to, "GET", target, &[]).await;
                    assert_eq!(reply.status, 200, "{target}: {}", reply.text());
                    count.fetch_add(1, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self {
            over,
            answers,
            task,
        }
    }

    /// Ends, and fails the test if an answer was wrong or missing.
    async fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        assert!(self.answers.load(Ordering::Relaxed) >= 2);
    }
}

async fn origin() -> Origin {
    let origin = Origin::start().await;
    origin
        .on("/a.png", Script::image("grid.png"))
        .on(
            "/slow.png",
            Script::image("grid.png").delay(Duration::from_millis(300)),
        )
        .on("/big", Script::file(vec![7; 32 << 20], "image/png"));
    origin
}

/// Room for some thousand connections at both ends; a process inherits it.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|now| now < wanted) {
        let current = Some(wanted);
        setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    }
    assert!(wanted >= 4096, "{wanted} files are too few for this test");
}

const OPEN_FILES: u64 = 16_384;

/// What a connection gives back until it ends. Errors while sending are the server's right: it has hung up.
async fn exchange(to: SocketAddr, bytes: &[u8]) -> String {
    let stream = client::connect(to).await;
    let (mut reader, mut writer) = stream.into_split();
    let send = async {
        let _ = writer.write_all(bytes).await;
    };
    let receive = async {
        let mut answer = Vec::new();
        let mut chunk = [0; 16 * 1024];
        // A reset ends the answer as well.
        while let Ok(Ok(read @ 1..)) = tokio::time::timeout(PATIENCE, reader.read(&mut chunk)).await
        {
            answer.extend_from_slice(&chunk[..read]);
        }
        answer
    };
    let ((), answer) = tokio::join!(send, receive);
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<u16> {
    let lines = answer.split("HTTP/1.").skip(1);
    lines
        .filter_map(|line| line.split(' ').nth(1)?.parse().ok())
        .collect()
}

/// Behind each head stands a request that is only there for who misreads where the first one ends.
const SMUGGLED: &str = "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn smuggled_requests_are_not_answered() {
    let origin = origin().await;
    let process = Process::start(&[
        ("IMGPROXY_READ_REQUEST_TIMEOUT", "1"),
        ("IMGPROXY_KEEP_ALIVE_TIMEOUT", "1"),
    ])
    .await;
    let neighbour = Neighbour::start(process.addr, &origin.url("/a.png"));
    let rows = [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: \x00chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "A: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "A: b\x00Content-Length: 5\r\n\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "Content-Length: 1, 2\r\n\r\nab",
        "Content-Length: +1\r\n\r\na",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 0x1\r\n\r\na",
        "Content-Length: 1 1\r\n\r\na",
        "Content-Length: 18446744073709551617\r\n\r\na",
        "Content-Length : 0\r\n\r\n",
        "A: b\r\n folded\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
    ];
    for row in rows {
        for path in ["/health", "/unsafe/plain/x"] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{row}{SMUGGLED}");
            let answer = exchange(process.addr, head.as_bytes()).await;
            assert!(
                !answer.contains("{\"status\":\"ok\"}"),
                "{row:?}: {answer:?}"
            );
            let statuses = statuses(&answer);
            let refused = statuses == [400] || statuses.is_empty();
            // Where the request itself is well-formed, it is answered, and nothing behind it.
            let ended = matches!(statuses[..], [200 | 404]) && answer.contains("connection: close");
            assert!(refused || ended, "{row:?}: {answer:?}");
        }
    }
    neighbour.stop().await;
}

#[tokio::test]
async fn heads_that_are_no_heads() {
    let origin = origin().await;
    let process = Process::start(&[
        ("IMGPROXY_READ_REQUEST_TIMEOUT", "2"),
        ("IMGPROXY_KEEP_ALIVE_TIMEOUT", "1"),
    ])
    .await;
    let neighbour = Neighbour::start(process.addr, &origin.url("/a.png"));
    let long = "x".repeat(2 << 20);
    let lines: String = (0..100_000).map(|n| format!("A{n}: b\r\n")).collect();
    let rows = [
        (
            "a long header",
            format!("GET /health HTTP/1.1\r\nHost: x\r\nA: {long}\r\n\r\n"),
            431,
        ),
        (
            "a long name",
            format!("GET /health HTTP/1.1\r\nHost: x\r\n{long}: b\r\n\r\n"),
            431,
        ),
        (
            "many lines",
            format!("GET /health HTTP/1.1\r\nHost: x\r\n{lines}\r\n"),
            431,
        ),
        (
            "a long target",
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", &long[..100_000]),
            414,
        ),
        (
            "a huge target",
            format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
            431,
        ),
        (
            "a long method",
            format!("{long} / HTTP/1.1\r\nHost: x\r\n\r\n"),
            431,
        ),
        ("no end of a line", long.clone(), 431),
        (
            "another protocol",
            "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03".to_owned(),
            400,
        ),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("HTTP/0.9", "GET /health\r\n\r\n".to_owned(), 400),
        ("a Redis client", "*1\r\n$4\r\nPING\r\n".to_owned(), 400),
        (
            "TRACE",
            "TRACE /secret HTTP/1.1\r\nHost: x\r\nA: echo\r\nConnection: close\r\n\r\n".to_owned(),
            404,
        ),
        (
            "CONNECT",
            "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n".to_owned(),
            404,
        ),
        (
            "PURGE",
            "PURGE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            404,
        ),
    ];
    for (name, bytes, status) in rows {
        let answer = exchange(process.addr, bytes.as_bytes()).await;
        let found = statuses(&answer);
        // A server that hangs up on somebody who is still sending may be heard as a reset.
        assert!(
            found == [status] || found == [400] || found.is_empty(),
            "{name}: {:?}",
            answer.chars().take(200).collect::<String>()
        );
        assert!(!answer.contains("echo"), "{name}");
    }
    assert_eq!(process.get("/health").await.status, 200);
    neighbour.stop().await;
}

#[tokio::test]
async fn pipelined_requests_end_with_the_first_that_is_wrong() {
    let process = Process::start(&[("IMGPROXY_KEEP_ALIVE_TIMEOUT", "1")]).await;
    let good = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    let many = format!("{}{SMUGGLED}", good.repeat(200));
    let answer = exchange(process.addr, many.as_bytes()).await;
    assert_eq!(statuses(&answer), [200; 201]);
    let bad = format!("{good}{good}GET /a b HTTP/1.1\r\nHost: x\r\n\r\n{good}");
    let answer = exchange(process.addr, bad.as_bytes()).await;
    assert_eq!(statuses(&answer), [200, 200, 400]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_slow_clients_are_cut() {
    raise_open_files();
    let origin = origin().await;
    let process = Process::start(&[
        ("IMGPROXY_READ_REQUEST_TIMEOUT", "4"),
        ("IMGPROXY_MAX_CLIENTS", "4096"),
    ])
    .await;
    let before = process.memory();
    let neighbour = Neighbour::start(process.addr, &origin.url("/a.png"));
    let started = Instant::now();
    let mut slow = JoinSet::new();
    for n in 0..SLOW_CLIENTS {
        let addr = process.addr;
        slow.spawn(async move {
            let mut stream = client::connect(addr).await;
            let head: &[u8] = match n % 4 {
                0 => b"",
                1 => b"G",
                2 => b"GET /health HTTP/1.1\r\nHost: x\r\nA: b",
                _ => b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\na",
            };
            let mut answer = Vec::new();
            let mut chunk = [0; 1024];
            let mut hung_up = stream.write_all(head).await.is_err();
            while !hung_up {
                let read = stream.read(&mut chunk);
                match tokio::time::timeout(Duration::from_millis(500), read).await {
                    Ok(Ok(read @ 1..)) => answer.extend_from_slice(&chunk[..read]),
                    Ok(_) => hung_up = true,
                    Err(_) => hung_up = n % 4 > 0 && stream.write_all(b"x").await.is_err(),
                }
                assert!(started.elapsed() < 2 * PATIENCE, "client {n} is not cut");
            }
            // Only who had sent a whole head hears anything.
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(n % 4 == 3 || answer.is_empty(), "{n}: {answer}");
        });
    }
    while let Some(ended) = slow.join_next().await {
        ended.unwrap();
    }
    neighbour.stop().await;
    let grown = process.memory().saturating_sub(before);
    assert!(
        grown < 200 << 20,
        "{grown} bytes for {SLOW_CLIENTS} clients"
    );
    assert_eq!(process.get("/health").await.status, 200);
}

const SLOW_CLIENTS: usize = 2_000;

#[tokio::test]
async fn who_does_not_read_is_cut() {
    let origin = origin().await;
    let process = Process::start(&[
        ("IMGPROXY_WRITE_RESPONSE_TIMEOUT", "2"),
        ("IMGPROXY_DOWNLOAD_TIMEOUT", "20"),
        ("IMGPROXY_TIMEOUT", "20"),
    ])
    .await;
    let neighbour = Neighbour::start(process.addr, &origin.url("/a.png"));
    let target = format!("/_/raw:1/plain/{}", origin.url("/big"));
    let mut readers = Vec::new();
    for _ in 0..8 {
        readers.push(client::send(process.addr, "GET", &target, &[]).await);
    }
    // Long past the time for a response, when they look in: a busy machine begins with it late.
    tokio::time::sleep(Duration::from_secs(10)).await;
    for mut stream in readers {
        let mut read = 0;
        let mut chunk = vec![0; 1 << 16];
        let drain = async {
            while let Ok(more @ 1..) = stream.read(&mut chunk).await {
                read += more;
            }
        };
        tokio::time::timeout(PATIENCE, drain)
            .await
            .expect("it is cut");
        assert!(read > 0 && read < 32 << 20, "{read}");
    }
    neighbour.stop().await;
    idle(&process).await;
}

#[tokio::test]
async fn two_thousand_clients_who_leave_at_once_leave_nothing_behind() {
    let origin = origin().await;
    let process = Process::start(&[]).await;
    let picture = origin.url("/slow.png");
    idle(&process).await;
    let files = process.open_files();
    let neighbour = Neighbour::start(process.addr, &origin.url("/a.png"));
    for round in 0..LEAVERS / 50 {
        let mut streams = Vec::new();
        for n in 0..50 {
            let target = format!("/_/w:{}/plain/{picture}", 10 + (round * 50 + n) % 400);
            streams.push(client::send(process.addr, "GET", &target, &[]).await);
        }
        drop(streams);
    }
    neighbour.stop().await;
    idle(&process).await;
    let end = Instant::now() + PATIENCE;
    while process.open_files() > files + 20 {
        assert!(Instant::now() < end, "{} files", process.open_files());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const LEAVERS: usize = 2_000;

/// Waits until nothing is being worked on.
async fn idle(process: &Process) {
    let end = Instant::now() + PATIENCE;
    loop {
        let text = process.scrape().await;
        let is_zero = |name: &str| text.lines().any(|line| line == format!("{name} 0"));
        if is_zero("requests_in_progress")
            && is_zero("images_in_progress")
            && is_zero("image_operations_active{operation=\"process\"}")
        {
            return;
        }
        assert!(Instant::now() < end, "still busy:\n{text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
