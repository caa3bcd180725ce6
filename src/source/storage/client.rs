//! The HTTP client of object storages and of the services behind them.

use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;

use crate::config::SourceConfig;
use crate::source::dial::Proxies;
use crate::source::{SourceConfigError, tls};

/// A client without the guard of addresses, which is for what strangers name. It follows no redirects.
pub(in crate::source) fn client(
    config: Option<&SourceConfig>,
) -> Result<Client, SourceConfigError> {
    let verify = config.is_none_or(|config| !config.ignore_ssl_verification);
    let user_agent = config.map_or(USER_AGENT, |config| config.user_agent.as_str());
    let keep_alive = config.map_or(KEEP_ALIVE, |config| config.client_keep_alive_timeout);
    let mut tls = tls::client_config(verify)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Client::builder()
        .user_agent(user_agent)
        .redirect(Policy::none())
        .tls_backend_preconfigured(tls)
        .proxy(Proxies::from_environment().proxy())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(TCP_KEEP_ALIVE)
        .pool_idle_timeout(keep_alive)
        .pool_max_idle_per_host(if keep_alive.is_zero() {
            0
        } else {
            IDLE_PER_HOST
        })
        .http1_only()
        .build()?)
}

const USER_AGENT: &str = concat!("imgforge/", env!("CARGO_PKG_VERSION"));
const KEEP_ALIVE: Duration = Duration::from_secs(90);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(30);
const IDLE_PER_HOST: usize = 100;
