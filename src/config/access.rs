//! Who may ask: tokens, origins of other pages, proxies in front.

use std::net::IpAddr;

use super::lists::format::LIST;
use super::lists::strings;
use super::networks::networks;
use super::source::IpNetwork;
use super::types::format::STRING;
use super::var::{Invalid, Scope, Var};

/// Proxies whose `X-Forwarded-For` counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Their addresses.
    pub networks: Vec<IpNetwork>,
    /// Whoever connects to the Unix socket.
    pub unix: bool,
}

impl TrustedProxies {
    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether `peer` is one; `None` is the other end of a Unix socket.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.unix, |address| {
            self.networks
                .iter()
                .any(|network| network.contains(address))
        })
    }
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "SECRET",
        "",
        STRING,
        "Token that image requests must carry as `Authorization: Bearer …`. Not set, none is asked for.",
        |d, v| {
            d.config.server.secret = v.to_owned();
            Ok(())
        },
    )
    .secret()
    .reloaded(),
    Var::new(
        "SECRETS",
        "",
        LIST,
        "Tokens that are accepted like `SECRET`, so that one can be replaced while the other is still in use. Empty \
         elements are dropped, and a list of nothing else is refused.",
        |d, v| {
            let tokens: Vec<String> = strings(v).into_iter().filter(|t| !t.is_empty()).collect();
            if tokens.is_empty() {
                return Err(Invalid::value("has no token"));
            }
            d.config.server.secrets = tokens;
            Ok(())
        },
    )
    .scope(Scope::Own)
    .secret()
    .reloaded(),
    Var::new(
        "ALLOW_ORIGIN",
        "",
        STRING,
        "Value of `Access-Control-Allow-Origin`. A comma-separated list allows each of its origins by its own name. Not set, no \
         CORS headers are sent.",
        |d, v| {
            d.config.server.allow_origin = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "TRUSTED_PROXIES",
        "",
        PROXIES,
        "Proxies in front of the server. The client's address is the last one in `X-Forwarded-For` that is not one of \
         them; what others write there is ignored. `unix` is whoever connects to the Unix socket. Not set, rules about \
         clients go by the peer's address, and the log believes `CF-Connecting-IP`, `X-Forwarded-For` and `X-Real-IP`, \
         as imgproxy's does.",
        |d, v| {
            let is_unix = |part: &&str| part.trim().eq_ignore_ascii_case("unix");
            let rest: Vec<&str> = v.split(',').filter(|part| !is_unix(part)).collect();
            d.config.server.trusted_proxies = TrustedProxies {
                unix: v.split(',').any(|part| is_unix(&part)),
                networks: if rest.is_empty() {
                    Vec::new()
                } else {
                    networks(&rest.join(","))?
                },
            };
            Ok(())
        },
    )
    .scope(Scope::Own),
];

const PROXIES: &str = "comma-separated addresses or networks (e.g. 10.0.0.0/8), or unix";
