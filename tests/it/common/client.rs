//! A raw HTTP/1.1 client: sends exactly what it is told and hides nothing of the answer.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body with its transfer coding undone.
    pub body: Vec<u8>,
}

impl Reply {
    /// The value of a header that may stand there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name);
        let value = values.next().map(|(_, v)| v.as_str());
        assert!(values.next().is_none(), "{name} stands twice: {self:?}");
        value
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Connects without sending anything.
pub async fn connect(to: SocketAddr) -> TcpStream {
    timeout(PATIENCE, TcpStream::connect(to))
        .await
        .unwrap()
        .unwrap()
}

/// Sends one request head on a connection of its own and keeps the connection open.
pub async fn send(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> TcpStream {
    let mut stream = connect(to).await;
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Sends one request and reads the whole answer.
pub async fn request(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Reply {
    let mut stream = send(to, method, target, headers).await;
    read(&mut stream, method).await
}

/// Sends bytes as they are and reads the whole answer.
pub async fn raw(to: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = connect(to).await;
    stream.write_all(bytes).await.unwrap();
    read(&mut stream, "GET").await
}

/// Reads an answer up to the end of the connection.
pub async fn read(stream: &mut TcpStream, method: &str) -> Reply {
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the answer does not end")
        .unwrap();
    parse(&bytes, method)
}

fn parse(bytes: &[u8], method: &str) -> Reply {
    let end = find(bytes, b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let is = |name: &str, value: &str| headers.iter().any(|(n, v)| n == name && v == value);
    let rest = &bytes[end + 4..];
    let body = if is("transfer-encoding", "chunked") && method != "HEAD" {
        dechunk(rest)
    } else {
        rest.to_vec()
    };
    if let Some((_, length)) = headers.iter().find(|(n, _)| n == "content-length")
        && method != "HEAD"
        && status != 304
    {
        assert_eq!(
            length.parse(),
            Ok(body.len()),
            "the declared length is wrong"
        );
    }
    Reply {
        status,
        headers,
        body,
    }
}

fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n").expect("a chunk without a size");
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}
