//! Log lines at syslog daemons of every kind, and daemons that are stuck, gone or never there.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::common::process::run;
use crate::common::{PATIENCE, Process};

/// A folder of the test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("imgforge-syslog-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start(network: &str, address: &str) -> Process {
    Process::start(&[
        ("IMGPROXY_SYSLOG_ENABLE", "true"),
        ("IMGPROXY_SYSLOG_NETWORK", network),
        ("IMGPROXY_SYSLOG_ADDRESS", address),
        ("IMGPROXY_SYSLOG_TAG", "pictures"),
        ("IMGPROXY_LOG_LEVEL", "info"),
        ("IMGPROXY_LOG_FORMAT", "structured"),
    ])
    .await
}

/// One refused request, whose warning is looked for.
async fn refused(process: &Process) {
    let reply = process
        .get("/unsafe/no_such_option:1/plain/http://h/a")
        .await;
    assert_eq!(reply.status, 404);
}

/// Waits until lines were dropped.
async fn dropped(process: &Process) {
    let end = Instant::now() + PATIENCE;
    loop {
        let scrape = process.scrape().await;
        let name = "imgforge_syslog_lines_dropped_total ";
        let line = scrape.lines().find(|line| line.starts_with(name)).unwrap();
        if !line.ends_with(" 0") {
            break;
        }
        assert!(Instant::now() < end, "{line}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_local_line(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("<4>") else {
        return false;
    };
    let (date, rest) = rest.split_at(15);
    let colons = date.bytes().filter(|b| *b == b':').count();
    let tail = " level=WARNING ";
    colons == 2
        && rest.starts_with(" pictures[")
        && rest.contains("]: time=")
        && rest.contains(tail)
}

#[tokio::test]
async fn a_datagram_socket_of_this_machine() {
    let folder = Folder::new("unixgram");
    let path = folder.path("socket");
    let daemon = UnixDatagram::bind(&path).unwrap();
    daemon.set_read_timeout(Some(PATIENCE)).unwrap();
    let process = start("unixgram", &path).await;
    refused(&process).await;
    let mut buffer = [0; 8192];
    loop {
        let length = daemon.recv(&mut buffer).unwrap();
        let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(
            line.ends_with('\n') && line.matches('\n').count() == 1,
            "{line:?}"
        );
        if line.contains("no_such_option") && line.contains("status=404") {
            assert!(is_local_line(&line), "{line}");
            break;
        }
    }
    let log = process.log();
    assert!(
        log.contains("no_such_option") && log.contains("status=404"),
        "{log}"
    );
}

#[tokio::test]
async fn a_stream_socket_of_this_machine_that_is_restarted() {
    let folder = Folder::new("unix");
    let path = folder.path("socket");
    let daemon = UnixListener::bind(&path).unwrap();
    let process = start("unix", &path).await;
    let accept = |daemon: &UnixListener| {
        let (stream, _) = daemon.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        BufReader::new(stream)
    };
    let mut stream = accept(&daemon);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with('<'), "{line}");
    drop(stream);
    // The first line after the loss goes over a new connection.
    refused(&process).await;
    let lines = accept(&daemon).lines();
    let found = lines
        .map(Result::unwrap)
        .find(|line| line.contains("status=404"));
    assert!(is_local_line(&found.unwrap()));
}

#[tokio::test]
async fn a_host_over_udp() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    daemon.set_read_timeout(Some(PATIENCE)).unwrap();
    let process = start("udp", &daemon.local_addr().unwrap().to_string()).await;
    refused(&process).await;
    let mut buffer = [0; 8192];
    loop {
        let length = daemon.recv(&mut buffer).unwrap();
        let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if line.contains("status=404") {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            assert!(
                words[0].starts_with("<4>20") && words[0].ends_with('Z'),
                "{line}"
            );
            assert_eq!(words[0].len(), "<4>2026-01-01T00:00:00Z".len());
            assert!(
                !words[1].is_empty() && words[2].starts_with("pictures["),
                "{line}"
            );
            break;
        }
    }
}

/// Nobody waits for the daemon: every request is answered, and the stop comes soon.
#[tokio::test]
async fn a_host_over_tcp_that_reads_nothing() {
    let daemon = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut process = start("tcp", &daemon.local_addr().unwrap().to_string()).await;
    let _stream = daemon.accept().unwrap();
    // Lines of many kilobytes fill the buffers of the socket.
    let long = "x".repeat(60_000);
    let begin = Instant::now();
    for _ in 0..150 {
        let path = format!("/unsafe/no_such_option:1/plain/http://h/{long}");
        assert_eq!(process.get(&path).await.status, 404);
    }
    assert!(begin.elapsed() < 4 * PATIENCE, "{:?}", begin.elapsed());
    dropped(&process).await;
    process.signal("TERM");
    assert!(process.exit().await.success());
}

#[tokio::test]
async fn a_host_that_goes_costs_lines_and_no_request() {
    let daemon = TcpListener::bind("127.0.0.1:0").unwrap();
    let process = start("tcp", &daemon.local_addr().unwrap().to_string()).await;
    drop(daemon.accept().unwrap());
    drop(daemon);
    for _ in 0..20 {
        refused(&process).await;
    }
    dropped(&process).await;
    let log = process.log();
    assert_eq!(
        log.matches("connection to syslog is lost").count(),
        1,
        "{log}"
    );
}

/// A daemon that takes a connection and closes it at once may not make the server talk to itself.
#[tokio::test]
async fn a_host_that_wants_nothing() {
    let daemon = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = daemon.local_addr().unwrap().to_string();
    std::thread::spawn(move || while daemon.accept().is_ok() {});
    let process = start("tcp", &address).await;
    for _ in 0..20 {
        refused(&process).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let log = process.log();
    assert!(
        log.matches("connection to syslog is lost").count() <= 1,
        "{log}"
    );
}

#[tokio::test]
async fn udp_to_nobody_passes() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    let process = start("udp", &nobody).await;
    for _ in 0..20 {
        refused(&process).await;
    }
    let log = process.log();
    assert_eq!(log.matches("status=404").count(), 20, "{log}");
    assert!(!log.contains("lost"), "{log}");
}

#[tokio::test]
async fn levels_are_its_own() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    daemon.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = daemon.local_addr().unwrap().to_string();
    let mut process = Process::start(&[
        ("IMGPROXY_SYSLOG_ENABLE", "true"),
        ("IMGPROXY_SYSLOG_NETWORK", "udp4"),
        ("IMGPROXY_SYSLOG_ADDRESS", &address),
        ("IMGPROXY_SYSLOG_LEVEL", "info"),
        ("IMGPROXY_LOG_FORMAT", "json"),
        ("IMGPROXY_LOG_LEVEL", "error"),
    ])
    .await;
    process.signal("TERM");
    assert!(process.exit().await.success());
    let mut buffer = [0; 8192];
    loop {
        let length = daemon.recv(&mut buffer).unwrap();
        let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(line.contains("]: {\"time\":"), "{line}");
        if line.contains("Shutting down") {
            break;
        }
    }
    assert_eq!(process.log(), "");
}

#[test]
fn a_daemon_that_is_not_there_stops_the_start() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    for (network, address, reason) in [
        (
            "tcp",
            nobody.as_str(),
            "unable to connect to syslog daemon: ",
        ),
        (
            "unix",
            "/no/such/socket",
            "unable to connect to syslog daemon: /no/such/socket",
        ),
        (
            "carrier-pigeon",
            "a:1",
            "unable to connect to syslog daemon: unknown network",
        ),
        ("udp", "127.0.0.1", "missing port in address"),
        (
            "udp",
            "",
            "syslog address is required if syslog network is set",
        ),
    ] {
        let (status, text) = run(
            &[],
            &[
                ("IMGPROXY_BIND", "127.0.0.1:0"),
                ("IMGPROXY_SYSLOG_ENABLE", "true"),
                ("IMGPROXY_SYSLOG_NETWORK", network),
                ("IMGPROXY_SYSLOG_ADDRESS", address),
            ],
        );
        assert_eq!(status.code(), Some(1), "{network}: {text}");
        assert!(
            text.contains(reason) && text.contains("level=CRITICAL"),
            "{network}: {text}"
        );
    }
}
