//! `Cache-Control` of a response. Rule: `spec/http.md` section 8.2; sub-second expiry: `spec/options.md`, `expires`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{CACHE_CONTROL, EXPIRES};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::config::DeliveryConfig;

/// What a request sets besides the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// The `expires` option.
    pub(super) expires: Option<i64>,
    /// Seconds that a stand-in for the picture may be cached.
    pub(super) max_age: Option<u64>,
}

/// The header for an image or raw response, `None` to send none.
pub(super) fn cache_control(
    config: &DeliveryConfig,
    status: StatusCode,
    limits: Limits,
    source: &HeaderMap,
    now: SystemTime,
) -> Option<HeaderValue> {
    let remaining = limits.expires.and_then(|at| seconds_until(at, now));
    let until_expiry = remaining.map(|seconds| seconds.min(config.ttl));
    let limit = match (until_expiry, limits.max_age) {
        (Some(expiry), Some(limit)) => Some(expiry.min(limit)),
        (one, other) => one.or(other),
    };
    if let Some(limit) = limit
        && limit > 0
    {
        return Some(max_age(limit));
    }
    if status.as_u16() >= 400 {
        return None;
    }
    if remaining == Some(0) {
        return Some(HeaderValue::from_static("no-cache"));
    }
    passed_through(config, source, now).or_else(|| Some(default(config)))
}

/// The header where nothing but the configuration counts.
pub(super) fn default(config: &DeliveryConfig) -> HeaderValue {
    if config.ttl > 0 {
        max_age(config.ttl)
    } else {
        HeaderValue::from_static("no-cache")
    }
}

fn max_age(seconds: u64) -> HeaderValue {
    HeaderValue::try_from(format!("max-age={seconds}, public"))
        .unwrap_or_else(|_| HeaderValue::from_static("no-cache"))
}

/// Whole seconds until a Unix time; `None` for one that never comes, that is 0 and below.
fn seconds_until(unix: i64, now: SystemTime) -> Option<u64> {
    let at =
        UNIX_EPOCH + Duration::from_secs(u64::try_from(unix).ok().filter(|s| *s > 0)?.min(FAR));
    Some(at.duration_since(now).unwrap_or_default().as_secs())
}

fn passed_through(
    config: &DeliveryConfig,
    source: &HeaderMap,
    now: SystemTime,
) -> Option<HeaderValue> {
    if !config.cache_control_passthrough {
        return None;
    }
    if let Some(value) = source.get(CACHE_CONTROL).filter(|value| !value.is_empty()) {
        return Some(value.clone());
    }
    let text = source.get(EXPIRES)?.to_str().ok()?;
    let at = httpdate::parse_http_date(text).ok()?;
    // Only the fixed-length form counts; the parser knows the two obsolete ones as well.
    if httpdate::fmt_http_date(at) != text {
        return None;
    }
    match at.duration_since(now).unwrap_or_default().as_secs() {
        // Already stale at the source: imgproxy caches it for the full default time.
        0 => Some(HeaderValue::from_static("no-cache")),
        seconds => Some(max_age(seconds)),
    }
}

/// Year 9999, the last that an HTTP date can hold; keeps the sum below the range of the clock.
const FAR: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_matrix() {
        const NOW: u64 = 1_800_000_000;
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let date = |offset: u64| {
            httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(NOW - 100 + offset))
        };
        let (past, future) = (date(0), date(160));
        // ttl, passthrough, status, expires in, upstream Cache-Control, upstream Expires, expected
        type Row<'a> = (
            u64,
            bool,
            u16,
            Option<i64>,
            &'a str,
            &'a str,
            Option<&'a str>,
        );
        let rows: [Row<'_>; 24] = [
            (1000, false, 200, None, "", "", Some("max-age=1000, public")),
            (0, false, 200, None, "", "", Some("no-cache")),
            (1000, false, 304, None, "", "", Some("max-age=1000, public")),
            (
                1000,
                false,
                200,
                None,
                "max-age=5",
                &future,
                Some("max-age=1000, public"),
            ),
            (
                1000,
                true,
                200,
                None,
                "max-age=5",
                &future,
                Some("max-age=5"),
            ),
            (1000, true, 304, None, "max-age=5", "", Some("max-age=5")),
            (
                1000,
                true,
                200,
                None,
                "",
                &future,
                Some("max-age=60, public"),
            ),
            (1000, true, 200, None, "", &past, Some("no-cache")),
            (1000, true, 200, None, "", "0", Some("max-age=1000, public")),
            (
                1000,
                true,
                200,
                None,
                "",
                "Sunday, 06-Nov-94 08:49:37 GMT",
                Some("max-age=1000, public"),
            ),
            (0, true, 200, None, "", "", Some("no-cache")),
            (
                1000,
                false,
                200,
                Some(50),
                "",
                "",
                Some("max-age=50, public"),
            ),
            (
                1000,
                false,
                200,
                Some(5000),
                "",
                "",
                Some("max-age=1000, public"),
            ),
            (
                1000,
                true,
                200,
                Some(50),
                "max-age=5",
                "",
                Some("max-age=50, public"),
            ),
            (1000, false, 200, Some(0), "", "", Some("no-cache")),
            (1000, true, 200, Some(0), "max-age=5", "", Some("no-cache")),
            (0, false, 200, Some(50), "", "", Some("no-cache")),
            (0, true, 200, Some(50), "max-age=5", "", Some("max-age=5")),
            (1000, false, 404, None, "", "", None),
            (1000, true, 404, None, "max-age=5", "", None),
            (
                1000,
                false,
                404,
                Some(50),
                "",
                "",
                Some("max-age=50, public"),
            ),
            (1000, false, 404, Some(0), "", "", None),
            (
                1000,
                false,
                200,
                Some(i64::MIN),
                "",
                "",
                Some("max-age=1000, public"),
            ),
            (
                1000,
                false,
                200,
                Some(i64::MAX / 2),
                "",
                "",
                Some("max-age=1000, public"),
            ),
        ];
        for (ttl, passthrough, status, expires_in, control, expires, expected) in rows {
            let config = DeliveryConfig {
                ttl,
                cache_control_passthrough: passthrough,
                ..crate::http::response::tests::delivery()
            };
            let mut source = HeaderMap::new();
            source.insert(CACHE_CONTROL, control.try_into().unwrap());
            if !expires.is_empty() {
                source.insert(EXPIRES, expires.try_into().unwrap());
            }
            let at = expires_in.map(|s| {
                if s < 0 {
                    s
                } else {
                    i64::try_from(NOW).unwrap() + s
                }
            });
            let status = StatusCode::from_u16(status).unwrap();
            let sent = cache_control(
                &config,
                status,
                Limits {
                    expires: at,
                    max_age: None,
                },
                &source,
                now,
            );
            let sent = sent.as_ref().map(|v| v.to_str().unwrap());
            assert_eq!(
                sent, expected,
                "ttl {ttl} passthrough {passthrough} {status} {expires_in:?} {control:?} {expires:?}"
            );
        }
    }

    #[test]
    fn an_upstream_line_is_copied_first_only() {
        let config = DeliveryConfig {
            cache_control_passthrough: true,
            ..crate::http::response::tests::delivery()
        };
        let mut source = HeaderMap::new();
        source.append(CACHE_CONTROL, HeaderValue::from_static("a"));
        source.append(CACHE_CONTROL, HeaderValue::from_static("b"));
        let sent = cache_control(
            &config,
            StatusCode::OK,
            Limits::default(),
            &source,
            UNIX_EPOCH,
        );
        assert_eq!(sent.unwrap(), "a");
    }
}
