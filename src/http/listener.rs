//! Listening sockets: TCP in its three flavours and Unix. Rule: `spec/http.md` section 1.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::ServerConfig;
use crate::config::server::Network;

/// Why a socket could not be opened.
#[derive(Debug, Error)]
pub enum BindError {
    /// The address cannot be understood or resolved.
    #[error("invalid address {0:?}")]
    Address(String),
    /// The metrics listener has the address of the main one.
    #[error("metrics and images cannot both be served on {0}")]
    Same(String),
    /// The system refused.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// Address as configured.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// A bound socket, not yet served.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    /// Removed when the listener goes; held, not read.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Binds `host:port`, `:port`, `port` or a socket path. An empty host is every address, IPv6 and IPv4. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`BindError`] when the address is wrong, taken or not permitted.
    pub fn bind(config: &ServerConfig) -> Result<Self, BindError> {
        let (network, address) = (config.network, config.bind.as_str());
        let fail = |source| BindError::Io {
            address: address.to_owned(),
            source,
        };
        if network == Network::Unix {
            let (listener, file) =
                bind_unix(Path::new(address), config.socket_mode).map_err(fail)?;
            return Ok(Self {
                kind: Kind::Unix(listener),
                _file: Some(file),
            });
        }
        let socket = bind_tcp(network, address, config.so_reuseport)?;
        let listener = TcpListener::from_std(socket).map_err(fail)?;
        Ok(Self {
            kind: Kind::Tcp(listener),
            _file: None,
        })
    }

    /// The bound address; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            Kind::Unix(_) => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Connection> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Only a lost optimisation where the system refuses.
                let _ = stream.set_nodelay(true);
                Ok(Connection::Tcp(stream, peer.ip().to_canonical()))
            }
            Kind::Unix(listener) => Ok(Connection::Unix(listener.accept().await?.0)),
        }
    }
}

/// An accepted connection.
#[derive(Debug)]
pub(super) enum Connection {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

/// Binds a TCP socket by the rules of [`Listener::bind`], non-blocking.
pub(super) fn bind_tcp(
    network: Network,
    address: &str,
    reuse_port: bool,
) -> Result<std::net::TcpListener, BindError> {
    let mut last = None;
    for candidate in candidates(network, address)? {
        match open(candidate, network != Network::Tcp6, reuse_port) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
        // Without IPv6 in the kernel the next candidate is IPv4; a taken port stays taken.
        if last
            .as_ref()
            .is_some_and(|e| e.kind() == io::ErrorKind::AddrInUse)
        {
            break;
        }
    }
    Err(match last {
        Some(source) => BindError::Io {
            address: address.to_owned(),
            source,
        },
        None => BindError::Address(address.to_owned()),
    })
}

fn candidates(network: Network, address: &str) -> Result<Vec<SocketAddr>, BindError> {
    let invalid = || BindError::Address(address.to_owned());
    let (host, port) = address.rsplit_once(':').unwrap_or(("", address));
    // Nothing behind the colon is any free port; an IPv6 address needs brackets to be told from its port.
    let port: u16 = match port {
        "" if address.ends_with(':') => 0,
        port => port.parse().map_err(|_| invalid())?,
    };
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err(invalid());
    }
    let all = if host.is_empty() {
        let any6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        vec![any6, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))]
    } else {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (host, port)
            .to_socket_addrs()
            .map_err(|_| invalid())?
            .collect()
    };
    let fits = |a: &SocketAddr| match network {
        Network::Tcp4 => a.is_ipv4(),
        Network::Tcp6 => a.is_ipv6(),
        Network::Tcp | Network::Unix => true,
    };
    Ok(all.into_iter().filter(fits).collect())
}

fn open(address: SocketAddr, dual: bool, reuse_port: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!(dual && address.ip().is_unspecified()))?;
    }
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Replaces a socket file that nobody listens on; imgproxy fails on it.
fn bind_unix(path: &Path, mode: Option<u32>) -> io::Result<(UnixListener, SocketFile)> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    if is_socket {
        match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)?
            }
            _ => return Err(io::ErrorKind::AddrInUse.into()),
        }
    }
    let listener = UnixListener::bind(path)?;
    let file = SocketFile(path.to_owned());
    if let Some(mode) = mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok((listener, file))
}

/// Removes the socket file at the end.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have removed it already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Connections that the kernel keeps while the server is at its cap.
const BACKLOG: i32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let rows = [
            (Network::Tcp, ":8080", "[::]:8080 0.0.0.0:8080"),
            (Network::Tcp, "8080", "[::]:8080 0.0.0.0:8080"),
            (Network::Tcp4, ":8080", "0.0.0.0:8080"),
            (Network::Tcp6, ":8080", "[::]:8080"),
            (Network::Tcp, "127.0.0.1:1", "127.0.0.1:1"),
            (Network::Tcp, "[::1]:1", "[::1]:1"),
            (Network::Tcp4, ":", "0.0.0.0:0"),
        ];
        for (network, address, expected) in rows {
            let found = candidates(network, address).unwrap();
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), expected, "{address}");
        }
        for address in ["", "localhost", "a:b", ":70000", "::1:8080"] {
            assert!(candidates(Network::Tcp, address).is_err(), "{address:?}");
        }
    }
}
