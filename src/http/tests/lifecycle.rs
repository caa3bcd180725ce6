//! Client cap, graceful stop, Unix sockets, shared ports.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::{Reply, TestServer, read_one, read_to_end};
use crate::config::ServerConfig;
use crate::config::server::Network;
use crate::http::{BindError, Listener};

fn bind(network: Network, address: &str, reuse_port: bool) -> Result<Listener, BindError> {
    Listener::bind(&ServerConfig {
        network,
        bind: address.to_owned(),
        so_reuseport: reuse_port,
        ..ServerConfig::default()
    })
}

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n";

#[tokio::test]
async fn at_the_cap_connections_wait() {
    let server = TestServer::start(|s| s.server.max_clients = 1);
    let mut first = server.connect().await;
    first.write_all(HEALTH).await.unwrap();
    read_one(&mut first).await;
    let mut second = server.connect().await;
    second.write_all(HEALTH).await.unwrap();
    let mut byte = [0; 1];
    assert!(
        timeout(Duration::from_millis(300), second.peek(&mut byte))
            .await
            .is_err()
    );
    drop(first);
    assert_eq!(read_one(&mut second).await.status, 200);
}

#[tokio::test]
async fn a_graceful_stop_finishes_running_requests() {
    let server = TestServer::start(|_| ());
    let mut idle = server.connect().await;
    idle.write_all(HEALTH).await.unwrap();
    read_one(&mut idle).await;
    let mut fresh = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /unsafe/slow/a HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    let since = Instant::now();
    server.stop.cancel();
    assert!(read_to_end(&mut idle).await.is_empty());
    assert!(read_to_end(&mut fresh).await.is_empty());
    assert!(
        since.elapsed() < Duration::from_millis(200),
        "{:?}",
        since.elapsed()
    );
    assert!(TcpStream::connect(server.address).await.is_err());
    let reply = Reply::parse(&read_to_end(&mut busy).await);
    assert_eq!(
        (reply.status, reply.header("connection")),
        (200, Some("close"))
    );
    drop((idle, fresh));
    timeout(Duration::from_secs(3), server.task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_graceful_stop_ends_after_its_time() {
    let server = TestServer::start(|s| s.server.graceful_stop_timeout = Duration::from_millis(300));
    let mut busy = server.connect().await;
    busy.write_all(b"GET /unsafe/hang/a HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.cancel();
    timeout(Duration::from_secs(2), server.task)
        .await
        .unwrap()
        .unwrap();
    assert!(read_to_end(&mut busy).await.is_empty());
}

#[tokio::test]
async fn unix_socket() {
    let directory = std::env::temp_dir().join(format!("imgforge-http-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let address = path.to_str().unwrap().to_owned();
    // A socket file that nobody listens on is left behind by a killed process.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = TestServer::start(|s| {
        s.server.network = Network::Unix;
        s.server.bind.clone_from(&address);
        s.server.socket_mode = Some(0o620);
    });
    assert!(bind(Network::Unix, &address, false).is_err());
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o620);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(Reply::parse(&bytes).body, "imgproxy is running");
    server.stop.cancel();
    server.task.await.unwrap();
    assert!(!path.exists());
    std::fs::write(&path, "no socket").unwrap();
    assert!(bind(Network::Unix, &address, false).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "no socket");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn ports_are_shared_only_on_request() {
    let first = bind(Network::Tcp, "127.0.0.1:0", true).unwrap();
    let address = first.local_addr().unwrap().to_string();
    assert!(bind(Network::Tcp, &address, false).is_err());
    assert!(bind(Network::Tcp, &address, true).is_ok());
}

#[tokio::test]
async fn every_address_means_both_families() {
    let listener = bind(Network::Tcp, ":0", false).unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.port();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    if address.is_ipv6() {
        assert!(TcpStream::connect(("::1", port)).await.is_ok());
    }
    let only4 = bind(Network::Tcp4, "0", false).unwrap();
    assert!(only4.local_addr().unwrap().is_ipv4());
}
