//! `imgforge health`: one request to the running server. Rule: `spec/http.md` section 12.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::config::server::Network;
use crate::config::{Env, ServerConfig};

/// Asks for `<prefix>/health` where the environment says that the server listens, and prints the answer.
pub(super) fn run(env: &dyn Env) -> Result<(), String> {
    let config = ServerConfig::load_for_health(env).map_err(|e| e.to_string())?;
    let (status, body) = ask(&config).map_err(|e| format!("healthcheck failed: {e}"))?;
    if status != 200 {
        return Err(format!("healthcheck failed: {body}"));
    }
    super::complain(&body);
    Ok(())
}

fn ask(config: &ServerConfig) -> std::io::Result<(u16, String)> {
    let path = format!("{}/health", config.path_prefix);
    let mut stream: Box<dyn Connection> = if config.network == Network::Unix {
        let stream = UnixStream::connect(&config.bind)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Box::new(stream)
    } else {
        let stream = connect(config)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Box::new(stream)
    };
    // HTTP/1.0: the server closes after the answer and does not send it in chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: imgforge\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    split(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| std::io::Error::other("the answer is no HTTP"))
}

trait Connection: Read + Write {}

impl<T: Read + Write> Connection for T {}

/// Connects to the address that the server is bound to; where that is "all addresses", to this machine's own.
pub(super) fn connect(config: &ServerConfig) -> std::io::Result<TcpStream> {
    let bind = config.bind.as_str();
    let target = match bind.strip_prefix(':') {
        Some(port) => format!("localhost:{port}"),
        None if bind.bytes().all(|b| b.is_ascii_digit()) => format!("localhost:{bind}"),
        None => bind.to_owned(),
    };
    let mut last = std::io::Error::other(format!("no address for {target}"));
    for address in target.to_socket_addrs()? {
        let fits = match config.network {
            Network::Tcp4 => address.is_ipv4(),
            Network::Tcp6 => address.is_ipv6(),
            Network::Tcp | Network::Unix => true,
        };
        if !fits {
            continue;
        }
        match TcpStream::connect_timeout(&reachable(address), PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Status and body of an answer.
pub(super) fn split(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some((status.parse().ok()?, body.to_owned()))
}

/// Longer than any health check takes; imgproxy waits without end.
const PATIENCE: Duration = Duration::from_secs(30);

const LONGEST_ANSWER: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::config::MapEnv;

    fn answer_once(mut stream: impl Read + Write, answer: &str) -> String {
        let mut request = Vec::new();
        // The head may come in pieces; closing before all of it has been read would reset the connection.
        while !request.ends_with(b"\r\n\r\n") {
            let mut piece = [0; 1024];
            let n = stream.read(&mut piece).unwrap();
            assert!(n > 0, "the head has no end");
            request.extend_from_slice(&piece[..n]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    }

    #[test]
    fn over_tcp() {
        for (answer, expected) in [
            ("HTTP/1.0 200 OK\r\nA: b\r\n\r\nwell", Ok(())),
            (
                "HTTP/1.1 500 Internal Server Error\r\n\r\nill",
                Err("healthcheck failed: ill"),
            ),
            ("rubbish", Err("healthcheck failed: the answer is no HTTP")),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = thread::spawn(move || answer_once(listener.accept().unwrap().0, answer));
            let bind = format!("0.0.0.0:{port}");
            let env = MapEnv::new(&[("IMGPROXY_BIND", &bind), ("IMGPROXY_PATH_PREFIX", "/p")]);
            assert_eq!(run(&env), expected.map_err(str::to_owned));
            let request = server.join().unwrap();
            assert!(
                request.starts_with("GET /p/health HTTP/1.0\r\n"),
                "{request}"
            );
        }
    }

    #[test]
    fn over_a_unix_socket() {
        let path =
            std::env::temp_dir().join(format!("imgforge-health-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            answer_once(listener.accept().unwrap().0, "HTTP/1.0 200 OK\r\n\r\nok")
        });
        let bind = path.to_string_lossy().into_owned();
        let env = MapEnv::new(&[("IMGPROXY_BIND", &bind), ("IMGPROXY_NETWORK", "unix")]);
        assert_eq!(run(&env), Ok(()));
        server.join().unwrap();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let bind = listener.local_addr().unwrap().to_string();
        drop(listener);
        let error = run(&MapEnv::new(&[("IMGPROXY_BIND", &bind)])).unwrap_err();
        assert!(error.starts_with("healthcheck failed: "), "{error}");
        assert!(run(&MapEnv::new(&[("IMGPROXY_TIMEOUT", "x")])).is_err());
    }
}
