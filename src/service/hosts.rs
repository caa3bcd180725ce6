//! How many downloads run at the same time from one host, so that a slow host keeps neither the workers nor the other
//! hosts waiting.
//!
//! Owns the limit and the order of those that wait for it. It knows neither requests nor what is downloaded.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limit per host. Clones share it.
#[derive(Clone)]
pub struct Hosts {
    shared: Arc<Shared>,
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts")
            .field("per_host", &self.shared.per_host)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

struct Shared {
    /// 0 is no limit.
    per_host: usize,
    hosts: Mutex<HashMap<String, Host>>,
    waiting: AtomicU64,
    delayed: AtomicU64,
}

/// A host that somebody downloads from, or waits for.
struct Host {
    free: Arc<Semaphore>,
    users: usize,
}

impl Hosts {
    /// At most `per_host` downloads from one host at the same time; 0 is no limit.
    pub fn new(per_host: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                per_host: per_host.min(Semaphore::MAX_PERMITS),
                hosts: Mutex::default(),
                waiting: AtomicU64::new(0),
                delayed: AtomicU64::new(0),
            }),
        }
    }

    /// Waits until a download of `url` may begin, first come, first served per host. A URL without a host never waits.
    /// Dropping the future leaves the queue.
    pub async fn begin(&self, url: &str) -> HostTurn {
        let host = match host(url) {
            Some(host) if self.shared.per_host > 0 => host,
            _ => return HostTurn(None),
        };
        let user = self.shared.clone().user(host);
        let free = match Arc::clone(&user.free).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.shared.delayed.fetch_add(1, Ordering::Relaxed);
                let _waiting = Waiting::new(&self.shared.waiting);
                // Never closed, so there is always a permit in the end.
                Arc::clone(&user.free).acquire_owned().await.ok()
            }
        };
        HostTurn(free.map(|permit| (permit, user)))
    }

    /// Downloads that wait for their host.
    pub fn waiting(&self) -> u64 {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// Downloads that have had to wait for their host, since the start.
    pub fn delayed(&self) -> u64 {
        self.shared.delayed.load(Ordering::Relaxed)
    }

    /// Hosts that are being used.
    #[cfg(test)]
    fn hosts(&self) -> usize {
        self.shared.hosts().len()
    }
}

/// A running download; dropping it lets the next one from the same host begin.
#[must_use = "dropping it ends the download"]
pub struct HostTurn(Option<(OwnedSemaphorePermit, User)>);

impl fmt::Debug for HostTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.as_ref().map(|(_, user)| user.name.as_str());
        f.debug_tuple("HostTurn").field(&host).finish()
    }
}

/// Keeps the entry of a host alive.
struct User {
    shared: Arc<Shared>,
    name: String,
    free: Arc<Semaphore>,
}

impl Shared {
    fn user(self: Arc<Self>, name: String) -> User {
        let free = {
            let mut hosts = self.hosts();
            let host = hosts.entry(name.clone()).or_insert_with(|| Host {
                free: Arc::new(Semaphore::new(self.per_host)),
                users: 0,
            });
            host.users += 1;
            Arc::clone(&host.free)
        };
        User {
            shared: self,
            name,
            free,
        }
    }

    /// No code that can panic runs under the lock, so a poisoned one is as good as any.
    fn hosts(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut hosts = self.shared.hosts();
        if let Some(host) = hosts.get_mut(&self.name) {
            host.users -= 1;
            if host.users == 0 {
                hosts.remove(&self.name);
            }
        }
    }
}

struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Host and port of a URL, in one spelling; for an object store the bucket. `None` for a local file.
fn host(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if scheme.eq_ignore_ascii_case("local") {
        return None;
    }
    if let Ok(parsed) = url::Url::parse(url)
        && let Some(host) = parsed.host_str()
    {
        let port = parsed.port_or_known_default().unwrap_or_default();
        return Some(format!("{}:{port}", host.trim_end_matches('.')));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    Some(host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn hosts_in_one_spelling() {
        for (url, expected) in [
            ("http://a.test/b", Some("a.test:80")),
            ("HTTP://user:secret@A.test.:80/c?d", Some("a.test:80")),
            ("https://a.test/b", Some("a.test:443")),
            ("http://a.test:8080", Some("a.test:8080")),
            ("http://[::1]:81/a", Some("[::1]:81")),
            ("s3://bucket/key", Some("bucket:0")),
            ("http://a b/c", Some("a b")),
            ("local:///a.png", None),
            ("no url", None),
        ] {
            assert_eq!(host(url).as_deref(), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn one_host_waits_and_others_do_not() {
        let hosts = Hosts::new(2);
        let first = hosts.begin("http://slow.test/1").await;
        let _second = hosts.begin("http://slow.test/2").await;
        let mut third = Box::pin(hosts.begin("http://slow.test/3"));
        let mut fourth = Box::pin(hosts.begin("http://slow.test/4"));
        assert!((&mut third).now_or_never().is_none());
        assert!((&mut fourth).now_or_never().is_none());
        assert_eq!((hosts.waiting(), hosts.delayed()), (2, 2));
        let other = hosts.begin("http://fast.test/1").now_or_never();
        assert!(other.is_some(), "another host does not wait");
        let local = hosts.begin("local:///a.png").now_or_never();
        assert!(local.is_some(), "a file has no host");
        drop(first);
        assert!((&mut fourth).now_or_never().is_none(), "in order");
        assert!((&mut third).now_or_never().is_some());
        assert_eq!(hosts.waiting(), 1);
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_host() {
        let hosts = Hosts::new(1);
        let running = hosts.begin("http://a.test/1").await;
        let mut waiting = Box::pin(hosts.begin("http://a.test/2"));
        assert!((&mut waiting).now_or_never().is_none());
        drop(waiting);
        assert_eq!((hosts.waiting(), hosts.hosts()), (0, 1));
        drop(running);
        assert_eq!(hosts.hosts(), 0);
    }

    #[tokio::test]
    async fn without_a_limit_nobody_waits() {
        let hosts = Hosts::new(0);
        let all: Vec<_> = (0..100)
            .map(|_| hosts.begin("http://a.test/1").now_or_never().unwrap())
            .collect();
        assert_eq!((all.len(), hosts.hosts()), (100, 0));
    }
}
