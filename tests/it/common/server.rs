//! The real server inside the test process, on a free port.

use std::net::SocketAddr;

use imgforge::config::Config;
use imgforge::server::Running;

use super::client::{self, Reply};

/// Settings of every test server; those of the test are laid over them.
const BASE: &[(&str, &str)] = &[
    ("IMGPROXY_BIND", "127.0.0.1:0"),
    ("IMGPROXY_PROMETHEUS_BIND", "off"),
    ("IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES", "true"),
    ("IMGPROXY_LOG_LEVEL", "error"),
];

/// A running server; it stops when the test's runtime ends.
pub struct Server {
    pub addr: SocketAddr,
    running: Running,
}

impl Server {
    /// Starts a server with these variables.
    pub async fn start(env: &[(&str, &str)]) -> Self {
        let pairs: Vec<(&str, &str)> = BASE
            .iter()
            .filter(|(name, _)| !env.iter().any(|(other, _)| other == name))
            .chain(env)
            .copied()
            .collect();
        let config = Config::from_pairs(&pairs).expect("the configuration of the test");
        let running = imgforge::server::Server::start(&config)
            .await
            .expect("the server");
        Self {
            addr: running.addr.expect("a TCP address"),
            running,
        }
    }

    /// A GET without headers.
    pub async fn get(&self, target: &str) -> Reply {
        self.get_with(target, &[]).await
    }

    /// A GET with headers.
    pub async fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        client::request(self.addr, "GET", target, headers).await
    }

    /// Asks for an image without a signature: `options` may be empty, `source` carries `@format` where one is wanted.
    pub async fn image(&self, options: &str, source: &str) -> Reply {
        self.get(&image_path(options, source)).await
    }

    /// Bound address of the admin listener.
    pub fn admin(&self) -> SocketAddr {
        self.running.admin_addr.expect("an admin listener")
    }

    /// Stops gracefully.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// The path of an unsigned request.
pub fn image_path(options: &str, source: &str) -> String {
    let slash = if options.is_empty() { "" } else { "/" };
    format!("/unsafe/{options}{slash}plain/{source}")
}
