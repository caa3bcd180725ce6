//! Gauges over DogStatsD: one datagram.

use std::fmt::Write;

use tokio::net::UdpSocket;

use super::super::gauges;
use crate::config::telemetry::DatadogConfig;
use crate::monitoring::{self, Load};

/// Where gauges go, and how they are tagged.
pub(super) struct Statsd {
    to: String,
    tags: String,
}

impl Statsd {
    pub(super) fn new(config: &DatadogConfig) -> Self {
        let tags = super::traces::Tags::new(config);
        let mut text = format!("service:{},version:{}", tags.service, tags.version);
        let own = tags.more.iter();
        for (key, value) in own.map(|(k, v)| (k.as_str(), v.as_str())) {
            // Writing to a String cannot fail.
            let _ = write!(text, ",{key}:{value}");
        }
        Self {
            to: super::authority(&config.agent_host, config.statsd_port),
            // A tag ends at a bar or a line break.
            tags: text.replace(['|', '\n'], "_"),
        }
    }

    fn lines(&self, load: &Load) -> String {
        let mut text = String::new();
        for (name, value) in [
            ("workers", monitoring::float(load.workers)),
            ("requests_in_progress", monitoring::float(load.requests)),
            ("images_in_progress", monitoring::float(load.images)),
            ("workers_utilization", load.utilization()),
            ("vips.memory", monitoring::float(load.vips.0)),
            ("vips.max_memory", monitoring::float(load.vips.1)),
            ("vips.allocs", monitoring::float(load.vips.2)),
        ] {
            let _ = writeln!(text, "imgproxy.{name}:{value}|g|#{}", self.tags);
        }
        text
    }
}

impl gauges::Send for Statsd {
    async fn send(&mut self, load: Load) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        let mut to = tokio::net::lookup_host(&self.to).await.map_err(text)?;
        let to = to.next().ok_or("the agent's host has no address")?;
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).await.map_err(text)?;
        let sent = socket.send_to(self.lines(&load).as_bytes(), to).await;
        sent.map(|_| ()).map_err(text)
    }
}
