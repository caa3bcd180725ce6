//! `Cache-Status` of a response, and the older header that many dashboards read. Rule: RFC 9211.

use std::fmt::Write as _;

use http::header::{AGE, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::service::{CacheOutcome, CacheStatus};

/// Writes both headers.
pub(super) fn write(headers: &mut HeaderMap, status: CacheStatus) {
    let (parameters, stored) = match status.outcome {
        CacheOutcome::Hit | CacheOutcome::WhileRevalidate => ("hit", false),
        CacheOutcome::Miss { stored } => ("fwd=uri-miss", stored),
        CacheOutcome::Confirmed { stored } => ("fwd=stale; fwd-status=304", stored),
        CacheOutcome::Replaced { stored } => ("fwd=stale", stored),
        CacheOutcome::IfError => ("fwd=stale", false),
        CacheOutcome::Bypass => ("fwd=bypass", false),
        CacheOutcome::Collapsed => ("fwd=uri-miss; collapsed", false),
    };
    let mut text = String::with_capacity(ROOM);
    text.push_str("imgforge; ");
    text.push_str(parameters);
    if stored {
        text.push_str("; stored");
    }
    if let Some(ttl) = status.ttl {
        // Writing to a text cannot fail.
        let _ = write!(text, "; ttl={ttl}");
    }
    match status.outcome {
        CacheOutcome::WhileRevalidate => text.push_str("; detail=stale-while-revalidate"),
        CacheOutcome::IfError => text.push_str("; detail=stale-if-error"),
        _ => {}
    }
    let short = match status.outcome {
        CacheOutcome::Hit | CacheOutcome::WhileRevalidate | CacheOutcome::IfError => "HIT",
        _ => "MISS",
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(CACHE_STATUS, value);
    }
    headers.insert(X_CACHE, HeaderValue::from_static(short));
}

/// Writes how old the source's response is; only of use beside a `Cache-Control` that is the source's.
pub(super) fn age(headers: &mut HeaderMap, status: CacheStatus) {
    if let Some(age) = status.age {
        headers.insert(AGE, age.into());
    }
}

/// Room for most texts.
const ROOM: usize = 64;
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let cases = [
            (CacheOutcome::Hit, Some(5), "hit; ttl=5", "HIT"),
            (
                CacheOutcome::WhileRevalidate,
                Some(-5),
                "hit; ttl=-5; detail=stale-while-revalidate",
                "HIT",
            ),
            (
                CacheOutcome::Miss { stored: true },
                Some(60),
                "fwd=uri-miss; stored; ttl=60",
                "MISS",
            ),
            (
                CacheOutcome::Miss { stored: false },
                None,
                "fwd=uri-miss",
                "MISS",
            ),
            (
                CacheOutcome::Confirmed { stored: true },
                Some(60),
                "fwd=stale; fwd-status=304; stored; ttl=60",
                "MISS",
            ),
            (
                CacheOutcome::Replaced { stored: false },
                None,
                "fwd=stale",
                "MISS",
            ),
            (
                CacheOutcome::IfError,
                Some(-9),
                "fwd=stale; ttl=-9; detail=stale-if-error",
                "HIT",
            ),
            (CacheOutcome::Bypass, None, "fwd=bypass", "MISS"),
            (
                CacheOutcome::Collapsed,
                None,
                "fwd=uri-miss; collapsed",
                "MISS",
            ),
        ];
        for (outcome, ttl, text, short) in cases {
            let mut headers = HeaderMap::new();
            let age = Some(7);
            write(&mut headers, CacheStatus { outcome, ttl, age });
            assert_eq!(headers["cache-status"], format!("imgforge; {text}"));
            assert_eq!(headers["x-cache"], short, "{text}");
        }
    }
}
