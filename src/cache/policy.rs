//! How long a source's response may be used. Rule: RFC 9111 sections 3 to 5, RFC 5861; a cache shared by all clients.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, HeaderName, LAST_MODIFIED, VARY};

use super::Freshness;
use crate::config::cache::FreshnessConfig;

/// What the operator allows, and what holds where a source says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy(pub FreshnessConfig);

impl Policy {
    /// What the response with these headers allows; `None` where it must not be kept, or would never be of use.
    pub fn freshness(&self, headers: &HeaderMap, now: SystemTime) -> Option<Freshness> {
        let varies = list(headers, &VARY).any(|name| name == "*");
        let mut control = Control::default();
        for directive in list(headers, &CACHE_CONTROL) {
            control.read(&directive);
        }
        if varies || control.forbidden {
            return None;
        }
        let declared = control
            .shared_max_age
            .or(control.max_age)
            .or_else(|| until_expiry(headers, now));
        let age = text(headers, &AGE).and_then(seconds).unwrap_or_default();
        let fresh = match declared {
            _ if control.no_cache => Duration::ZERO,
            Some(lifetime) => lifetime.saturating_sub(age),
            None => self.0.default_ttl,
        };
        let stale = |declared: Option<Duration>, default: Duration| {
            if control.no_cache || control.must_revalidate {
                Duration::ZERO
            } else {
                declared.unwrap_or(default).min(self.0.max_ttl)
            }
        };
        let freshness = Freshness {
            fresh: fresh.min(self.0.max_ttl),
            while_revalidate: stale(control.while_revalidate, self.0.stale_while_revalidate),
            if_error: stale(control.if_error, self.0.stale_if_error),
        };
        let can_be_revalidated = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
        (freshness != Freshness::default() || can_be_revalidated).then_some(freshness)
    }
}

/// The directives of `Cache-Control` that concern a shared cache.
#[derive(Debug, Default)]
struct Control {
    forbidden: bool,
    no_cache: bool,
    must_revalidate: bool,
    max_age: Option<Duration>,
    shared_max_age: Option<Duration>,
    while_revalidate: Option<Duration>,
    if_error: Option<Duration>,
}

impl Control {
    fn read(&mut self, directive: &str) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        // What cannot be read is stale at once.
        let time = || Some(seconds(value.trim().trim_matches('"')).unwrap_or_default());
        match name.trim() {
            "no-store" | "private" => self.forbidden = true,
            "no-cache" => self.no_cache = true,
            "must-revalidate" | "proxy-revalidate" => self.must_revalidate = true,
            "max-age" => self.max_age = time(),
            "s-maxage" => {
                self.shared_max_age = time();
                self.must_revalidate = true;
            }
            "stale-while-revalidate" => self.while_revalidate = time(),
            "stale-if-error" => self.if_error = time(),
            _ => {}
        }
    }
}

/// `Expires` less `Date`; a date that cannot be read has passed.
fn until_expiry(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let date = |name| text(headers, name).and_then(|text| httpdate::parse_http_date(text).ok());
    headers.get(EXPIRES)?;
    let from = date(&DATE).unwrap_or(now);
    let left = date(&EXPIRES).and_then(|at| at.duration_since(from).ok());
    Some(left.unwrap_or_default())
}

/// Whole seconds; more than a century is a century.
fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(CENTURY).min(CENTURY)))
}

/// The members of a list header in lower case. Commas inside quotes split too, which no directive that counts has.
fn list(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| {
            let line = String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase();
            line.split(',')
                .map(|member| member.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|member| !member.is_empty())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

const CENTURY: u64 = 100 * 366 * 24 * 3600;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn judged(lines: &[(HeaderName, &str)]) -> Option<(u64, u64, u64)> {
        let policy = Policy(FreshnessConfig {
            default_ttl: Duration::from_secs(1000),
            max_ttl: Duration::from_secs(5000),
            stale_while_revalidate: Duration::from_secs(7),
            stale_if_error: Duration::from_secs(8),
        });
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let now = httpdate::parse_http_date("Thu, 01 Jan 2026 00:00:00 GMT").unwrap();
        let f = policy.freshness(&headers, now)?;
        Some((
            f.fresh.as_secs(),
            f.while_revalidate.as_secs(),
            f.if_error.as_secs(),
        ))
    }

    #[test]
    fn what_sources_allow() {
        let control = |text| judged(&[(CACHE_CONTROL, text)]);
        assert_eq!(judged(&[]), Some((1000, 7, 8)));
        for (text, expected) in [
            ("max-age=60", Some((60, 7, 8))),
            ("Max-Age=60", Some((60, 7, 8))),
            ("max-age=\"60\"", Some((60, 7, 8))),
            ("public, max-age=60, s-maxage=30", Some((30, 0, 0))),
            ("max-age=60, must-revalidate", Some((60, 0, 0))),
            ("max-age=60, proxy-revalidate", Some((60, 0, 0))),
            ("max-age=6000", Some((5000, 7, 8))),
            ("max-age=99999999999999999999999", Some((5000, 7, 8))),
            ("max-age=-1", Some((0, 7, 8))),
            ("max-age=x, must-revalidate", None),
            (
                "max-age=60, stale-while-revalidate=20, stale-if-error=0",
                Some((60, 20, 0)),
            ),
            ("no-store", None),
            ("no-store, max-age=60", None),
            ("private", None),
            ("private=\"x-y\", max-age=60", None),
            ("no-cache", None),
            ("no-cache, max-age=60", None),
            ("immutable", Some((1000, 7, 8))),
            ("", Some((1000, 7, 8))),
        ] {
            assert_eq!(control(text), expected, "{text}");
        }
        let tag = (ETAG, "\"a\"");
        let stale = judged(&[(CACHE_CONTROL, "no-cache"), tag.clone()]);
        assert_eq!(stale, Some((0, 0, 0)), "of use where it can be revalidated");
        assert_eq!(judged(&[(CACHE_CONTROL, "private"), tag]), None);
        assert_eq!(judged(&[(VARY, "Accept, *")]), None);
        assert_eq!(judged(&[(VARY, "Accept")]), Some((1000, 7, 8)));
        let two = [(CACHE_CONTROL, "max-age=60"), (CACHE_CONTROL, "no-store")];
        assert_eq!(judged(&two), None);
    }

    #[test]
    fn ages_and_dates() {
        let aged = [(CACHE_CONTROL, "max-age=60"), (AGE, "50")];
        assert_eq!(judged(&aged), Some((10, 7, 8)));
        let older = [(CACHE_CONTROL, "max-age=60"), (AGE, "70")];
        assert_eq!(judged(&older), Some((0, 7, 8)));
        let later = "Thu, 01 Jan 2026 00:10:00 GMT";
        assert_eq!(judged(&[(EXPIRES, later)]), Some((600, 7, 8)));
        // The source's clock counts, where it tells the time.
        let date = "Thu, 01 Jan 2026 00:09:00 GMT";
        assert_eq!(judged(&[(EXPIRES, later), (DATE, date)]), Some((60, 7, 8)));
        assert_eq!(judged(&[(EXPIRES, "0")]), Some((0, 7, 8)));
        let both = [(EXPIRES, later), (CACHE_CONTROL, "max-age=60")];
        assert_eq!(judged(&both), Some((60, 7, 8)));
    }
}
