//! Listener, timeouts, routes.

use std::time::Duration;

/// Kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// IPv4 and IPv6.
    Tcp,
    /// IPv4 only.
    Tcp4,
    /// IPv6 only.
    Tcp6,
    /// Unix stream socket.
    Unix,
}

/// `spec/http.md` section 1.
#[derive(Clone, Debug)]
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
    /// `SECRET`: bearer token; empty is none.
    pub secret: String,
    /// `ALLOW_ORIGIN`; empty turns CORS headers off.
    pub allow_origin: String,
    /// `DEVELOPMENT_ERRORS_MODE`.
    pub development_errors: bool,
    /// `SERVER_NAME`.
    pub server_name: String,
}
