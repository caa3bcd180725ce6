//! How often clients may ask. Rule: `spec/imgforge-original.md` section 6.

use super::types::format::INT;
use super::types::{non_negative, positive};
use super::var::{Scope, Var};

/// The limits of image requests; each off by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimitsConfig {
    /// `IMGFORGE_RATE_LIMIT_*`: of all requests together.
    pub global: RateLimit,
    /// `IMGFORGE_CLIENT_RATE_LIMIT_*`: of each client.
    pub client: RateLimit,
}

/// A limit of requests by time.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimit {
    /// Requests per minute in the long run; 0 is unlimited.
    pub per_minute: u32,
    /// Requests at once, at least 1; `None` is as many as in a minute.
    pub burst: Option<u32>,
}

impl RateLimit {
    /// The most requests at once; 0 where there is no limit.
    pub fn burst(&self) -> u32 {
        match self.per_minute {
            0 => 0,
            limit => self.burst.unwrap_or(limit),
        }
    }
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "RATE_LIMIT_PER_MINUTE",
        "0",
        INT,
        "How many image requests all clients together may send per minute; further ones are answered 429. Requests \
         without a right signature do not count, requests answered from a cache do. 0 is unlimited.",
        |d, v| non_negative(v).map(|n| d.config.rate_limits.global.per_minute = n),
    )
    .scope(Scope::Own),
    Var::new(
        "RATE_LIMIT_BURST",
        "",
        INT,
        "How many of them may come at once.",
        |d, v| positive(v).map(|n| d.config.rate_limits.global.burst = Some(n)),
    )
    .scope(Scope::Own)
    .computed("as many as in a minute", |c| {
        c.rate_limits.global.burst().to_string()
    }),
    Var::new(
        "CLIENT_RATE_LIMIT_PER_MINUTE",
        "0",
        INT,
        "How many image requests one client may send per minute, whatever they are answered; further ones are answered \
         429. A client is an IPv4 address or an IPv6 network of 64 bits. Behind a proxy all clients are one unless \
         `IMGFORGE_TRUSTED_PROXIES` names it. 0 is unlimited.",
        |d, v| non_negative(v).map(|n| d.config.rate_limits.client.per_minute = n),
    )
    .scope(Scope::Own),
    Var::new(
        "CLIENT_RATE_LIMIT_BURST",
        "",
        INT,
        "How many requests of one client may come at once.",
        |d, v| positive(v).map(|n| d.config.rate_limits.client.burst = Some(n)),
    )
    .scope(Scope::Own)
    .computed("as many as in a minute", |c| {
        c.rate_limits.client.burst().to_string()
    }),
];

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn limits_and_bursts() {
        let limits = |pairs: &[_]| Config::from_pairs(pairs).map(|config| config.rate_limits);
        let off = limits(&[]).unwrap();
        assert_eq!((off.global.burst(), off.client.burst()), (0, 0));
        let set = limits(&[
            ("IMGFORGE_RATE_LIMIT_PER_MINUTE", "600"),
            ("IMGFORGE_CLIENT_RATE_LIMIT_PER_MINUTE", "60"),
            ("IMGFORGE_CLIENT_RATE_LIMIT_BURST", "5"),
        ])
        .unwrap();
        assert_eq!((set.global.per_minute, set.global.burst()), (600, 600));
        assert_eq!((set.client.per_minute, set.client.burst()), (60, 5));
        for (name, value) in [
            ("IMGFORGE_RATE_LIMIT_PER_MINUTE", "-1"),
            ("IMGFORGE_RATE_LIMIT_PER_MINUTE", "60/m"),
            ("IMGFORGE_RATE_LIMIT_BURST", "0"),
            ("IMGFORGE_CLIENT_RATE_LIMIT_PER_MINUTE", "4294967296"),
            ("IMGFORGE_CLIENT_RATE_LIMIT_BURST", "0"),
        ] {
            assert!(limits(&[(name, value)]).is_err(), "{name}={value}");
        }
    }
}
