//! Fetching sources.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `spec/sources.md` sections 2 to 4.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// `USER_AGENT` with the version filled in.
    pub user_agent: String,
    /// `DOWNLOAD_TIMEOUT`: connect to last byte.
    pub download_timeout: Duration,
    /// `MAX_REDIRECTS`: hops that are followed; 0 is none.
    pub max_redirects: usize,
    /// `CLIENT_KEEP_ALIVE_TIMEOUT`; zero turns connection reuse off.
    pub client_keep_alive_timeout: Duration,
    /// `IGNORE_SSL_VERIFICATION`.
    pub ignore_ssl_verification: bool,
    /// `ALLOW_LOOPBACK_SOURCE_ADDRESSES`.
    pub allow_loopback: bool,
    /// `ALLOW_LINK_LOCAL_SOURCE_ADDRESSES`.
    pub allow_link_local: bool,
    /// `ALLOW_PRIVATE_SOURCE_ADDRESSES`.
    pub allow_private: bool,
    /// `IMGFORGE_ALLOWED_SOURCE_NETWORKS`: addresses that are always dialled.
    pub allowed_networks: Vec<IpNetwork>,
    /// `IMGFORGE_DENIED_SOURCE_NETWORKS`: addresses that are never dialled; wins over the former.
    pub denied_networks: Vec<IpNetwork>,
    /// `LOCAL_FILESYSTEM_ROOT`; `None` turns `local://` off.
    pub local_root: Option<PathBuf>,
    /// `SOURCE_URL_QUERY_SEPARATOR` of non-HTTP sources; empty is none.
    pub query_separator: String,
}

/// An address prefix such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    /// First address.
    pub address: IpAddr,
    /// Number of leading bits that count.
    pub prefix: u8,
}
