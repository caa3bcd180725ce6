//! The four kinds of sockets that syslog daemons listen at.

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use socket2::{Domain, SockAddr, Type};

/// Where the daemon is, resolved anew for every connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// The first of the usual paths that answers.
    Local,
    Path {
        path: String,
        stream: bool,
    },
    Remote {
        address: String,
        stream: bool,
        family: Family,
    },
}

/// The `4` or `6` of a network's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Any,
    V4,
    V6,
}

impl Endpoint {
    /// Go's names of networks.
    pub(super) fn new(network: &str, address: &str) -> io::Result<Self> {
        let remote = |stream, family| Self::Remote {
            address: address.to_owned(),
            stream,
            family,
        };
        let path = |stream| Self::Path {
            path: address.to_owned(),
            stream,
        };
        Ok(match network {
            "" => Self::Local,
            "unix" => path(true),
            "unixgram" => path(false),
            "udp" => remote(false, Family::Any),
            "udp4" => remote(false, Family::V4),
            "udp6" => remote(false, Family::V6),
            "tcp" => remote(true, Family::Any),
            "tcp4" => remote(true, Family::V4),
            "tcp6" => remote(true, Family::V6),
            other => return Err(invalid(format!("unknown network {other}"))),
        })
    }

    /// Whether the daemon knows the host.
    pub(super) fn is_local(&self) -> bool {
        !matches!(self, Self::Remote { .. })
    }

    pub(super) fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Local => {
                let mut tries = LOCAL_PATHS.iter().flat_map(|p| [(p, false), (p, true)]);
                tries
                    .find_map(|(path, stream)| Socket::to_path(path, stream).ok())
                    .ok_or_else(|| {
                        let paths = LOCAL_PATHS.join(", ");
                        io::Error::new(
                            io::ErrorKind::NotFound,
                            format!("nobody listens at {paths}"),
                        )
                    })
            }
            Self::Path { path, stream } => Socket::to_path(path, *stream),
            Self::Remote {
                address,
                stream,
                family,
            } => Socket::to_host(address, *stream, *family),
        }
    }
}

/// A connected socket.
#[derive(Debug)]
pub(super) struct Socket {
    socket: socket2::Socket,
    stream: bool,
}

impl Socket {
    fn to_path(path: &str, stream: bool) -> io::Result<Self> {
        let address = SockAddr::unix(path)?;
        Self::connect(Domain::UNIX, &address, stream)
            .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
    }

    fn to_host(address: &str, stream: bool, family: Family) -> io::Result<Self> {
        let mut last = invalid(format!("{address}: no such address"));
        for candidate in resolve(address)? {
            let fits = match family {
                Family::Any => true,
                Family::V4 => candidate.is_ipv4(),
                Family::V6 => candidate.is_ipv6(),
            };
            if !fits {
                continue;
            }
            match Self::connect(Domain::for_address(candidate), &candidate.into(), stream) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
            }
        }
        Err(last)
    }

    fn connect(domain: Domain, address: &SockAddr, stream: bool) -> io::Result<Self> {
        let kind = if stream { Type::STREAM } else { Type::DGRAM };
        let socket = socket2::Socket::new(domain, kind, None)?;
        socket.connect_timeout(address, CONNECT_TIME)?;
        socket.set_write_timeout(Some(WRITE_TIME))?;
        Ok(Self { socket, stream })
    }

    /// Sends the whole packet.
    pub(super) fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        if self.stream {
            if self.is_closed() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            self.socket.write_all(packet)
        } else {
            match self.socket.send(packet) {
                // That nobody took the packet before says nothing about this one.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    self.socket.send(packet).map(|_| ())
                }
                result => result.map(|_| ()),
            }
        }
    }

    /// Whether the next packet can be sent on the same socket after one that took too long. Part of it may be out on a
    /// stream, which would garble the next; a datagram is sent whole or not at all.
    pub(super) fn survives_timeout(&self) -> bool {
        !self.stream
    }

    /// Whether the daemon has closed its side: a write would still succeed, and the line be lost.
    fn is_closed(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        match self.socket.recv_with_flags(&mut byte, flags) {
            Ok(received) => received == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// Whether a packet took longer than [`WRITE_TIME`].
pub(super) fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut)
}

/// Addresses of `host:port`; no host is this machine.
fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = address
        .rsplit_once(':')
        .filter(|(host, _)| !host.contains(':') || host.ends_with(']'))
        .ok_or_else(|| invalid(format!("address {address}: missing port in address")))?;
    let port: u16 = port
        .parse()
        .map_err(|_| invalid(format!("address {address}: invalid port")))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { "localhost" } else { host };
    Ok((host, port).to_socket_addrs()?.collect())
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Go's list.
const LOCAL_PATHS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// How long a packet may take; until then lines wait in the queue.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses() {
        let error = |network, address| {
            let endpoint = Endpoint::new(network, address);
            endpoint.and_then(|e| e.connect()).unwrap_err().to_string()
        };
        assert_eq!(error("xyz", "a:1"), "unknown network xyz");
        assert!(error("udp", "127.0.0.1").contains("missing port"));
        assert!(error("udp", "::1").contains("missing port"));
        assert!(error("tcp", "127.0.0.1:x").contains("invalid port"));
        assert!(error("unix", "/no/such/socket").contains("/no/such/socket"));
        assert!(error("tcp6", "127.0.0.1:9").contains("no such address"));
        for address in ["127.0.0.1:9", "[::1]:9", ":9"] {
            assert!(resolve(address).is_ok(), "{address}");
        }
        assert!(
            Endpoint::new("udp4", "127.0.0.1:9")
                .unwrap()
                .connect()
                .is_ok()
        );
    }
}
