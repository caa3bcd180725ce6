//! Listener, timeouts, routes.

use std::time::Duration;

use super::access::TrustedProxies;
use super::draft::Draft;
use super::types::format::{BOOL, INT, SECONDS, STRING};
use super::types::{boolean, choice, integer, non_negative, positive_seconds, seconds};
use super::var::{Alias, Invalid, Scope, Var};

/// Kind of socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// IPv4 and IPv6.
    #[default]
    Tcp,
    /// IPv4 only.
    Tcp4,
    /// IPv6 only.
    Tcp6,
    /// Unix stream socket.
    Unix,
}

/// What HEAD does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeadMode {
    /// Nothing: always 200, as in imgproxy.
    #[default]
    Ok,
    /// What GET does, without the body.
    Full,
}

/// `spec/http.md` section 1.
#[derive(Clone, Default)]
pub struct ServerConfig {
    /// `NETWORK`.
    pub network: Network,
    /// `BIND` as written (or from `PORT`): `host:port`, `:port`, `port`, or a socket path.
    pub bind: String,
    /// `PATH_PREFIX`, put in front of every route.
    pub path_prefix: String,
    /// `TIMEOUT`: the whole request.
    pub timeout: Duration,
    /// `READ_REQUEST_TIMEOUT`.
    pub read_request_timeout: Duration,
    /// `WRITE_RESPONSE_TIMEOUT`.
    pub write_response_timeout: Duration,
    /// `KEEP_ALIVE_TIMEOUT`; zero turns keep-alive off.
    pub keep_alive_timeout: Duration,
    /// `GRACEFUL_STOP_TIMEOUT`; twice the request timeout by default.
    pub graceful_stop_timeout: Duration,
    /// `MAX_CLIENTS`; 0 is unlimited.
    pub max_clients: usize,
    /// `SO_REUSEPORT`.
    pub so_reuseport: bool,
    /// `HEALTH_CHECK_PATH`: an additional health route; empty is none.
    pub health_check_path: String,
    /// `HEALTH_CHECK_MESSAGE`: body of the health route.
    pub health_check_message: String,
    /// `IMGFORGE_HEAD_MODE`.
    pub head_mode: HeadMode,
    /// `IMGFORGE_SOCKET_MODE`: permission bits of a Unix socket; `None` leaves those of the umask.
    pub socket_mode: Option<u32>,
    /// `IMGFORGE_DRAIN_DELAY`: from turning unready to the end of accepting.
    pub drain_delay: Duration,
    /// `SECRET`: bearer token; empty is none.
    pub secret: String,
    /// `IMGFORGE_SECRETS`: further bearer tokens.
    pub secrets: Vec<String>,
    /// `ALLOW_ORIGIN`; empty turns CORS headers off.
    pub allow_origin: String,
    /// `DEVELOPMENT_ERRORS_MODE`.
    pub development_errors: bool,
    /// `SERVER_NAME`.
    pub server_name: String,
    /// `IMGFORGE_TRUSTED_PROXIES`; empty trusts none.
    pub trusted_proxies: TrustedProxies,
}

impl std::fmt::Debug for ServerConfig {
    // Not derived: it would show the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConfig")
            .field("network", &self.network)
            .field("bind", &self.bind)
            .field("path_prefix", &self.path_prefix)
            .finish_non_exhaustive()
    }
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "BIND",
        ":8080",
        "bind:port",
        "Where to listen: `host:port`, `:port` or `port` (all addresses), or a socket path where `NETWORK` is `unix`. \
         Port 0 takes any free port.",
        |d, v| {
            d.config.server.bind = v.to_owned();
            Ok(())
        },
    )
    .show(|c| c.server.bind.clone()),
    Var::new(
        "PORT",
        "",
        INT,
        "Port to listen on at all addresses; counts only where `BIND` is not set and the number is not negative.",
        |d, v| integer(v).map(|port| d.port = Some(port)),
    )
    .scope(Scope::Bare),
    Var::new(
        "NETWORK",
        "tcp",
        "tcp|tcp4|tcp6|unix|unixpacket",
        "Kind of socket. `tcp4` and `tcp6` restrict the address family; `unixpacket` is served as `unix`.",
        |d, v| choice(v, NETWORKS).map(|n| d.config.server.network = n),
    ),
    Var::new(
        "PATH_PREFIX",
        "",
        STRING,
        "Put in front of every route as it is: write `/images`, with a leading and without a trailing slash.",
        |d, v| {
            d.config.server.path_prefix = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "TIMEOUT",
        "10",
        SECONDS,
        "Time for a whole request. When it is over, the answer is 503 `Timeout`.",
        |d, v| positive_seconds(v).map(|t| d.config.server.timeout = t),
    )
    .aliases(&[Alias::deprecated("WRITE_TIMEOUT")]),
    Var::new(
        "READ_REQUEST_TIMEOUT",
        "10",
        SECONDS,
        "Time for a client to send its request.",
        |d, v| positive_seconds(v).map(|t| d.config.server.read_request_timeout = t),
    )
    .aliases(&[Alias::deprecated("READ_TIMEOUT")]),
    Var::new(
        "WRITE_RESPONSE_TIMEOUT",
        "10",
        SECONDS,
        "Time for a client to take the response, from its first byte on.",
        |d, v| positive_seconds(v).map(|t| d.config.server.write_response_timeout = t),
    ),
    Var::new(
        "KEEP_ALIVE_TIMEOUT",
        "10",
        SECONDS,
        "How long an idle connection stays open; 0 closes it after every response. Behind a load balancer it should be \
         longer than the balancer's own idle time, 65 to 75 as a rule.",
        |d, v| seconds(v).map(|t| d.config.server.keep_alive_timeout = t),
    ),
    Var::new(
        "GRACEFUL_STOP_TIMEOUT",
        "",
        SECONDS,
        "How long running requests may take after a stop signal.",
        |d, v| seconds(v).map(|t| d.graceful_stop_timeout = Some(t)),
    )
    .computed("twice `IMGPROXY_TIMEOUT`", |c| {
        c.server.graceful_stop_timeout.as_secs().to_string()
    }),
    Var::new(
        "MAX_CLIENTS",
        "2048",
        INT,
        "Largest number of open connections; more of them wait unaccepted. 0 is unlimited.",
        |d, v| non_negative(v).map(|n| d.config.server.max_clients = n),
    ),
    Var::new(
        "SO_REUSEPORT",
        "false",
        BOOL,
        "Let several processes listen on the same port.",
        |d, v| boolean(v).map(|b| d.config.server.so_reuseport = b),
    ),
    Var::new(
        "HEALTH_CHECK_PATH",
        "",
        STRING,
        "A further path, after the prefix, that answers like `/health`.",
        |d, v| {
            d.config.server.health_check_path = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "HEALTH_CHECK_MESSAGE",
        "imgproxy is running",
        STRING,
        "Body of a successful health check.",
        |d, v| {
            d.config.server.health_check_message = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "HEAD_MODE",
        "ok",
        "ok|full",
        "What HEAD does: `ok` answers 200 without looking, as imgproxy does; `full` does what GET does and leaves the body \
         out.",
        |d, v| choice(v, HEAD_MODES).map(|mode| d.config.server.head_mode = mode),
    )
    .scope(Scope::Own),
    Var::new(
        "SOCKET_MODE",
        "",
        "octal permission bits (e.g. 660)",
        "Permissions of the Unix socket, for a proxy that runs as another user. Not set, the umask decides.",
        |d, v| {
            let bits = u32::from_str_radix(v, 8)
                .map_err(|_| Invalid::parse(format!("{v:?} is not octal")))?;
            if bits > 0o777 {
                return Err(Invalid::value("out of range"));
            }
            d.config.server.socket_mode = Some(bits);
            Ok(())
        },
    )
    .scope(Scope::Own),
    Var::new(
        "DRAIN_DELAY",
        "0",
        SECONDS,
        "After a stop signal `/ready` answers 503 at once, and this much later the server stops accepting. Set it to the time \
         that your load balancer needs to notice.",
        |d, v| seconds(v).map(|t| d.config.server.drain_delay = t),
    )
    .scope(Scope::Own),
    Var::new(
        "DEVELOPMENT_ERRORS_MODE",
        "false",
        BOOL,
        "Answer errors with all that is known about them. Never switch it on where strangers can send requests.",
        |d, v| boolean(v).map(|b| d.config.server.development_errors = b),
    ),
    Var::new(
        "SERVER_NAME",
        "imgforge",
        STRING,
        "Value of the `Server` header.",
        |d, v| {
            d.config.server.server_name = v.to_owned();
            Ok(())
        },
    ),
];

/// The address from `PORT`, and the graceful stop.
pub(super) fn complete(draft: &mut Draft) {
    if !draft.set.contains("BIND")
        && let Some(port) = draft.port.filter(|port| *port >= 0)
    {
        draft.config.server.bind = format!(":{port}");
    }
    // imgproxy's constant of 20 s is this with the default timeout; it documents the rule.
    let server = &mut draft.config.server;
    server.graceful_stop_timeout = draft
        .graceful_stop_timeout
        .unwrap_or_else(|| server.timeout.saturating_mul(2));
}

const HEAD_MODES: &[(&str, HeadMode)] = &[("ok", HeadMode::Ok), ("full", HeadMode::Full)];

const NETWORKS: &[(&str, Network)] = &[
    ("tcp", Network::Tcp),
    ("tcp4", Network::Tcp4),
    ("tcp6", Network::Tcp6),
    ("unix", Network::Unix),
    ("unixpacket", Network::Unix),
];
