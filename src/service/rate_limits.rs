//! How often all clients together and each of them may ask. Rule: `spec/imgforge-original.md` section 6.
//!
//! A limit that is off costs a comparison. The table of clients is bounded: of more clients than it holds, those that
//! ask least are forgotten, which gives them a full bucket.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use quick_cache::sync::Cache;

use super::gcra::Gcra;
use crate::config::rate_limits::RateLimitsConfig;
use crate::error::{Error, Kind, Quota};

/// The rate limits of image requests and how much of them is used.
#[derive(Debug)]
pub struct RateLimits {
    global: Option<(Gcra, AtomicU64)>,
    clients: Option<(Gcra, Clients)>,
    start: Instant,
}

type Clients = Cache<Client, Arc<AtomicU64>>;

/// Whose requests count together. Who has an IPv6 address has the 2^64 of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Client {
    V4([u8; 4]),
    V6([u16; 4]),
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

impl RateLimits {
    /// Limits of which nothing is used.
    pub fn new(config: &RateLimitsConfig) -> Self {
        let client = Gcra::new(&config.client);
        Self {
            global: Gcra::new(&config.global).map(|gcra| (gcra, AtomicU64::new(0))),
            clients: client.map(|gcra| (gcra, Cache::new(MOST_CLIENTS))),
            start: Instant::now(),
        }
    }

    /// Takes one request from what all clients have together; `None` where that is unlimited.
    ///
    /// # Errors
    /// [`Kind::RateLimitGlobal`].
    pub(super) fn take(&self) -> Result<Option<Quota>, Error> {
        let Some((gcra, state)) = &self.global else {
            return Ok(None);
        };
        take(gcra, state, self.now(), Kind::RateLimitGlobal)
    }

    /// Takes one request from what a client has; `None` where that is unlimited or nobody knows who it is.
    ///
    /// # Errors
    /// [`Kind::RateLimitClient`].
    pub(super) fn take_of_client(&self, client: Option<IpAddr>) -> Result<Option<Quota>, Error> {
        let (Some((gcra, clients)), Some(address)) = (&self.clients, client) else {
            return Ok(None);
        };
        let client = Client::from(address);
        let Ok(state) = clients.get_or_insert_with(&client, || Ok::<_, Infallible>(Arc::default()));
        take(gcra, &state, self.now(), Kind::RateLimitClient)
    }

    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

fn take(gcra: &Gcra, state: &AtomicU64, now: u64, kind: Kind) -> Result<Option<Quota>, Error> {
    let next = |full_at| gcra.take(full_at, now).ok().map(|(next, _)| next);
    let (Ok(full_at) | Err(full_at)) =
        state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    match gcra.take(full_at, now) {
        Ok((_, quota)) => Ok(Some(quota)),
        Err(empty) => Err(Error::new(kind, "rate limit exceeded")
            .with_retry_after(empty.wait)
            .with_quota(Some(empty.quota))),
    }
}

/// About 6 MB.
const MOST_CLIENTS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::config::rate_limits::RateLimit;

    /// So slow that no token comes back during a test.
    fn limits(global: u32, client: u32) -> RateLimits {
        let limit = |burst: u32| RateLimit {
            per_minute: burst.min(1),
            burst: Some(burst),
        };
        RateLimits::new(&RateLimitsConfig {
            global: limit(global),
            client: limit(client),
        })
    }

    fn passes(limits: &RateLimits, address: &str) -> bool {
        let address = Some(address.parse().unwrap());
        limits.take_of_client(address).is_ok()
    }

    #[test]
    fn off_lets_everything_pass_and_keeps_nothing() {
        let limits = limits(0, 0);
        for _ in 0..1000 {
            assert_eq!(limits.take().unwrap(), None);
            assert!(passes(&limits, "192.0.2.1"));
        }
        assert!(limits.clients.is_none());
    }

    #[test]
    fn refusals_say_which_limit_and_for_how_long() {
        let limits = limits(2, 1);
        let address = Some("192.0.2.1".parse().unwrap());
        assert_eq!(limits.take().unwrap().unwrap().remaining, 1);
        assert_eq!(limits.take().unwrap().unwrap().remaining, 0);
        let global = limits.take().unwrap_err();
        assert_eq!(global.kind(), Kind::RateLimitGlobal);
        assert!(limits.take_of_client(address).is_ok());
        let client = limits.take_of_client(address).unwrap_err();
        assert_eq!(client.kind(), Kind::RateLimitClient);
        for (error, limit) in [(global, 2), (client, 1)] {
            assert!((1..=60).contains(&error.retry_after().unwrap()));
            let quota = error.quota().unwrap();
            assert_eq!((quota.limit, quota.remaining), (limit, 0));
        }
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        let limits = limits(0, 1);
        for (address, expected) in [
            ("192.0.2.1", true),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:1:ffff:ffff:ffff:ffff", false),
            ("2001:db8:0:2::1", true),
        ] {
            assert_eq!(passes(&limits, address), expected, "{address}");
        }
        assert!(
            (0..100).all(|_| limits.take_of_client(None).is_ok()),
            "nobody knows who it is"
        );
    }

    #[test]
    fn threads_share_what_there_is() {
        let limits = limits(1000, 1000);
        let passed = |take: &(dyn Fn() -> bool + Sync)| {
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| scope.spawn(|| (0..500).filter(|_| take()).count()))
                    .collect();
                threads
                    .into_iter()
                    .map(|t| t.join().unwrap())
                    .sum::<usize>()
            })
        };
        assert_eq!(passed(&|| limits.take().is_ok()), 1000);
        assert_eq!(passed(&|| passes(&limits, "192.0.2.1")), 1000);
    }

    #[test]
    fn the_table_of_clients_is_bounded_and_keeps_who_asks_often() {
        let limits = limits(0, 3);
        let busy = "192.0.2.1";
        let mut passed = 0;
        for number in 0..100_000_u32 {
            let v4 = Ipv4Addr::from(0x0a00_0000 + number);
            assert!(limits.take_of_client(Some(v4.into())).is_ok());
            let v6 = Ipv6Addr::from((0x2001_0db8 << 96) | (u128::from(number) << 64));
            assert!(limits.take_of_client(Some(v6.into())).is_ok());
            if number % 1000 == 0 {
                passed += usize::from(passes(&limits, busy));
            }
        }
        let (_, clients) = limits.clients.as_ref().unwrap();
        assert!(clients.len() <= MOST_CLIENTS, "{}", clients.len());
        assert!(clients.len() > MOST_CLIENTS / 2, "{}", clients.len());
        assert_eq!(passed, 3);
    }
}
