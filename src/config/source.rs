//! Fetching sources.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::cookies::{CookieConfig, CookieScope};
use super::draft::Draft;
use super::errors::Warning;
use super::networks::{NETWORKS, PORTS, networks, ports};
use super::storage::StorageConfig;
use super::types::format::{BOOL, INT, SECONDS, STRING};
use super::types::{boolean, choice, non_negative, positive_seconds, seconds};
use super::var::{Blank, Invalid, Scope, Var};

/// `spec/sources.md` sections 2 to 4.
#[derive(Clone, Debug, Default)]
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
    /// `SSL_CERT_FILE`: certificates that replace the system's roots.
    pub ssl_cert_file: Option<PathBuf>,
    /// `SSL_CERT_DIR`: folders whose certificates replace the system's roots.
    pub ssl_cert_dirs: Vec<PathBuf>,
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
    /// `IMGFORGE_BLOCK_SPECIAL_ADDRESSES`.
    pub block_special: bool,
    /// `IMGFORGE_ALLOWED_SOURCE_PORTS`; empty is every port.
    pub allowed_ports: Vec<u16>,
    /// `IMGFORGE_CHECK_REDIRECTS`.
    pub check_redirects: bool,
    /// Object storages.
    pub storage: StorageConfig,
    /// `LOCAL_FILESYSTEM_ROOT`; `None` turns `local://` off.
    pub local_root: Option<PathBuf>,
    /// `IMGFORGE_LOCAL_FOLLOW_SYMLINKS`.
    pub follow_symlinks: FollowSymlinks,
    /// `SOURCE_URL_QUERY_SEPARATOR` of non-HTTP sources; empty is none.
    pub query_separator: String,
    /// `COOKIE_PASSTHROUGH`, `COOKIE_PASSTHROUGH_ALL`, `COOKIE_BASE_URL`.
    pub cookies: CookieConfig,
}

/// Which symbolic links below the local root are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FollowSymlinks {
    /// All, wherever they lead.
    #[default]
    All,
    /// Those that end below the root.
    Inside,
    /// None.
    None,
}

const FOLLOW_SYMLINKS: &[(&str, FollowSymlinks)] = &[
    ("all", FollowSymlinks::All),
    ("inside", FollowSymlinks::Inside),
    ("none", FollowSymlinks::None),
];

/// An address prefix such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    /// First address.
    pub address: IpAddr,
    /// Number of leading bits that count.
    pub prefix: u8,
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "USER_AGENT",
        "imgforge/%current_version",
        STRING,
        "`User-Agent` of source requests; `%current_version` becomes the version of imgforge.",
        |d, v| {
            d.config.source.user_agent = v.replace("%current_version", env!("CARGO_PKG_VERSION"));
            Ok(())
        },
    )
    .show(|c| c.source.user_agent.clone()),
    Var::new(
        "DOWNLOAD_TIMEOUT",
        "5",
        SECONDS,
        "Time to fetch a source, from the connection to the last byte.",
        |d, v| positive_seconds(v).map(|t| d.config.source.download_timeout = t),
    ),
    Var::new(
        "MAX_REDIRECTS",
        "10",
        INT,
        "How many redirects are followed; 0 refuses the first.",
        |d, v| non_negative(v).map(|n| d.config.source.max_redirects = n),
    ),
    Var::new(
        "CLIENT_KEEP_ALIVE_TIMEOUT",
        "90",
        SECONDS,
        "How long an idle connection to a source stays open; 0 closes it after every request.",
        |d, v| seconds(v).map(|t| d.config.source.client_keep_alive_timeout = t),
    ),
    Var::new(
        "IGNORE_SSL_VERIFICATION",
        "false",
        BOOL,
        "Accept any certificate of a source.",
        |d, v| boolean(v).map(|b| d.config.source.ignore_ssl_verification = b),
    ),
    Var::new(
        "SSL_CERT_FILE",
        "",
        STRING,
        "PEM file of root certificates. With it or `SSL_CERT_DIR`, the system's own are not used.",
        |d, v| {
            d.config.source.ssl_cert_file = Some(PathBuf::from(v));
            Ok(())
        },
    )
    .scope(Scope::Bare),
    Var::new(
        "SSL_CERT_DIR",
        "",
        STRING,
        "Folders, divided by colons, in which every PEM file holds root certificates.",
        |d, v| {
            let folders = v.split(':').filter(|folder| !folder.is_empty());
            d.config.source.ssl_cert_dirs = folders.map(PathBuf::from).collect();
            Ok(())
        },
    )
    .scope(Scope::Bare),
    Var::new(
        "ALLOW_LOOPBACK_SOURCE_ADDRESSES",
        "false",
        BOOL,
        "Fetch from loopback and unspecified addresses.",
        |d, v| boolean(v).map(|b| d.config.source.allow_loopback = b),
    ),
    Var::new(
        "ALLOW_LINK_LOCAL_SOURCE_ADDRESSES",
        "false",
        BOOL,
        "Fetch from link-local addresses, among them the metadata services of clouds.",
        |d, v| boolean(v).map(|b| d.config.source.allow_link_local = b),
    ),
    Var::new(
        "ALLOW_PRIVATE_SOURCE_ADDRESSES",
        "true",
        BOOL,
        "Fetch from private addresses, 100.64.0.0/10 included.",
        |d, v| boolean(v).map(|b| d.config.source.allow_private = b),
    ),
    Var::new(
        "ALLOWED_SOURCE_NETWORKS",
        "",
        NETWORKS,
        "Addresses that sources may always have, whatever the three switches say.",
        |d, v| networks(v).map(|n| d.config.source.allowed_networks = n),
    )
    .scope(Scope::Own),
    Var::new(
        "DENIED_SOURCE_NETWORKS",
        "",
        NETWORKS,
        "Addresses that sources may never have; wins over the allowed ones.",
        |d, v| networks(v).map(|n| d.config.source.denied_networks = n),
    )
    .scope(Scope::Own),
    Var::new(
        "BLOCK_SPECIAL_ADDRESSES",
        "false",
        BOOL,
        "Refuse also what no public source has: multicast, reserved, documentation and benchmark networks, and the \
metadata services of clouds that are not link-local.",
        |d, v| boolean(v).map(|b| d.config.source.block_special = b),
    )
    .scope(Scope::Own),
    Var::new(
        "ALLOWED_SOURCE_PORTS",
        "",
        PORTS,
        "Ports that sources and redirects may name. Not set, all are allowed. A proxy's own port does not count.",
        |d, v| ports(v).map(|p| d.config.source.allowed_ports = p),
    )
    .scope(Scope::Own),
    Var::new(
        "CHECK_REDIRECTS",
        "true",
        BOOL,
        "Hold every redirect against `IMGPROXY_ALLOWED_SOURCES` too. Without that list it changes nothing.",
        |d, v| boolean(v).map(|b| d.config.source.check_redirects = b),
    )
    .scope(Scope::Own),
    Var::new(
        "LOCAL_FILESYSTEM_ROOT",
        "",
        STRING,
        "Folder that `local:///` URLs are read from. Not set, there are none.",
        |d, v| {
            let bad = |e: &dyn std::fmt::Display| {
                Invalid::value(format!("cannot use local directory: {e}"))
            };
            let root = PathBuf::from(v);
            if !std::fs::metadata(&root).map_err(|e| bad(&e))?.is_dir() {
                return Err(bad(&"not a directory"));
            }
            d.config.source.local_root = Some(root);
            Ok(())
        },
    ),
    Var::new(
        "LOCAL_FOLLOW_SYMLINKS",
        "all",
        "all|inside|none",
        "Symbolic links that `local:///` URLs may lead through: all, those that end below the root, or none.",
        |d, v| choice(v, FOLLOW_SYMLINKS).map(|f| d.config.source.follow_symlinks = f),
    )
    .scope(Scope::Own),
    Var::new(
        "SOURCE_URL_QUERY_SEPARATOR",
        "?",
        STRING,
        "What divides path and query in source URLs other than HTTP. Set to nothing, there is no query. Blanks count.",
        |d, v| {
            d.config.source.query_separator = v.to_owned();
            Ok(())
        },
    )
    .blank(Blank::Kept),
    Var::new(
        "COOKIE_PASSTHROUGH",
        "false",
        BOOL,
        "Send the client's cookies on to sources on the same host.",
        |d, v| boolean(v).map(|b| d.config.source.cookies.passthrough = b),
    ),
    Var::new(
        "COOKIE_PASSTHROUGH_ALL",
        "false",
        BOOL,
        "With `IMGPROXY_COOKIE_PASSTHROUGH`, send them to every source.",
        |d, v| boolean(v).map(|b| d.config.source.cookies.all = b),
    ),
    Var::new(
        "COOKIE_BASE_URL",
        "",
        STRING,
        "URL whose host and folder the client's cookies belong to, instead of the host that the client has asked.",
        |d, v| CookieScope::parse(v).map(|scope| d.config.source.cookies.base = Some(scope)),
    ),
];

/// Serving the whole file system is allowed, and hardly ever meant.
pub(super) fn complete(draft: &mut Draft) {
    if draft.config.source.local_root.as_deref() == Some(std::path::Path::new("/")) {
        draft.warnings.push(Warning::Note(
            "IMGPROXY_LOCAL_FILESYSTEM_ROOT is /: every file that imgforge can read is a source"
                .to_owned(),
        ));
    }
}
