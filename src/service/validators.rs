//! Conditional requests: which validators go to the source, and how the source's validators look to the client.
//!
//! Pure functions over headers. Rule: `spec/http.md` section 8.4. Raw requests do not pass through here: busters do not
//! apply to them.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{
    AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, VARY,
};
use http::{HeaderMap, HeaderName};

use super::answer::Answer;
use crate::config::DeliveryConfig;

/// The conditional headers to send to the source for a client's request.
///
/// A tag that does not carry the buster was given out before the buster was set, or is a list or `*`: then nothing
/// conditional is sent at all, because a "not modified" would confirm a result made under other settings.
pub fn conditional_headers(client: &HeaderMap, config: &DeliveryConfig) -> HeaderMap {
    let mut forwarded = HeaderMap::new();
    if config.use_etag
        && let Some(tag) = client.get(IF_NONE_MATCH)
    {
        let Some(tag) = origin_tag(tag, &config.etag_buster) else {
            return forwarded;
        };
        forwarded.insert(IF_NONE_MATCH, tag);
    }
    if config.use_last_modified
        && let Some(since) = client.get(IF_MODIFIED_SINCE)
        && is_after_buster(since, config.last_modified_buster)
    {
        forwarded.insert(IF_MODIFIED_SINCE, since.clone());
    }
    forwarded
}

/// The `ETag` for the client, from the source's headers.
pub fn etag(source: &HeaderMap, config: &DeliveryConfig) -> Option<HeaderValue> {
    let tag = source.get(ETAG).filter(|_| config.use_etag)?;
    if config.etag_buster.is_empty() {
        return Some(tag.clone());
    }
    let encoded = URL_SAFE_NO_PAD.encode(tag.as_bytes());
    HeaderValue::try_from(format!("\"{}/{encoded}\"", config.etag_buster)).ok()
}

/// The `Last-Modified` for the client, from the source's headers; never before the buster.
pub fn last_modified(source: &HeaderMap, config: &DeliveryConfig) -> Option<HeaderValue> {
    let value = source
        .get(LAST_MODIFIED)
        .filter(|_| config.use_last_modified)?;
    let time = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    match config.last_modified_buster {
        Some(buster) if time < buster => {
            HeaderValue::try_from(httpdate::fmt_http_date(buster)).ok()
        }
        _ => Some(value.clone()),
    }
}

/// The headers that ask a source whether what it has sent with `kept` is still good.
pub(super) fn revalidation(kept: &HeaderMap) -> HeaderMap {
    let mut conditions = HeaderMap::new();
    for (condition, validator) in [(IF_NONE_MATCH, ETAG), (IF_MODIFIED_SINCE, LAST_MODIFIED)] {
        if let Some(value) = kept.get(validator) {
            conditions.insert(condition, value.clone());
        }
    }
    conditions
}

/// The headers of a response after another one has confirmed it: the later ones win. Rule: RFC 9111 section 3.2.
pub(super) fn confirmed(kept: &HeaderMap, not_modified: &HeaderMap) -> HeaderMap {
    let mut headers = kept.clone();
    for name in [CACHE_CONTROL, EXPIRES, ETAG, LAST_MODIFIED, DATE, AGE, VARY] {
        let mut values = not_modified.get_all(&name).iter();
        if let Some(first) = values.next() {
            headers.insert(&name, first.clone());
            for value in values {
                headers.append(&name, value.clone());
            }
        }
    }
    headers
}

/// Turns a kept answer into "not modified" where the client's conditions, as a source would see them, hold.
pub(super) fn unless_modified(answer: Answer, conditions: &HeaderMap) -> Answer {
    if is_unmodified(answer.source_headers(), conditions) {
        Answer::NotModified(Arc::clone(answer.source_headers()))
    } else {
        answer
    }
}

/// Whether conditions hold for what came with these headers. A tag decides alone.
pub(super) fn is_unmodified(headers: &HeaderMap, conditions: &HeaderMap) -> bool {
    match (conditions.get(IF_NONE_MATCH), headers.get(ETAG)) {
        (Some(wanted), Some(tag)) => matches_tag(wanted, tag),
        (Some(_), None) => false,
        (None, _) => is_not_newer(
            headers.get(LAST_MODIFIED),
            conditions.get(IF_MODIFIED_SINCE),
        ),
    }
}

/// Those of `headers` that have one of the names.
pub(super) fn picked(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut out = HeaderMap::new();
    for name in names {
        for value in headers.get_all(name) {
            out.append(name, value.clone());
        }
    }
    out
}

/// Weak comparison with a list of tags or `*`. Rule: RFC 9110 section 13.1.2.
fn matches_tag(wanted: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(wanted), Ok(tag)) = (wanted.to_str(), tag.to_str()) else {
        return false;
    };
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    wanted.trim() == "*" || wanted.split(',').any(|one| strong(one) == strong(tag))
}

fn is_not_newer(modified: Option<&HeaderValue>, since: Option<&HeaderValue>) -> bool {
    let time = |value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let (Some(modified), Some(since)) = (modified, since) else {
        return false;
    };
    matches!((time(modified), time(since)), (Some(modified), Some(since)) if modified <= since)
}

fn origin_tag(client: &HeaderValue, buster: &str) -> Option<HeaderValue> {
    if buster.is_empty() {
        return Some(client.clone());
    }
    let text = client.to_str().ok()?;
    let text = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    let encoded = text.strip_prefix(buster)?.strip_prefix('/')?;
    HeaderValue::from_bytes(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

fn is_after_buster(since: &HeaderValue, buster: Option<SystemTime>) -> bool {
    let Some(buster) = buster else { return true };
    since
        .to_str()
        .ok()
        .and_then(|text| httpdate::parse_http_date(text).ok())
        .is_some_and(|time| time > buster)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn config(buster: &str, modified_buster: Option<u64>) -> DeliveryConfig {
        DeliveryConfig {
            ttl: 0,
            cache_control_passthrough: false,
            set_canonical_header: false,
            enable_debug_headers: false,
            use_etag: true,
            etag_buster: buster.to_owned(),
            use_last_modified: true,
            last_modified_buster: modified_buster.map(|s| UNIX_EPOCH + Duration::from_secs(s)),
            return_attachment: false,
        }
    }

    fn headers(rows: &[(HeaderName, &'static str)]) -> HeaderMap {
        rows.iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    const OLD: &str = "Wed, 01 Jan 2025 00:00:00 GMT";
    const OLD_SECONDS: u64 = 1_735_689_600;

    #[test]
    fn a_tag_survives_the_round_trip() {
        for tag in ["\"abc\"", "W/\"abc\"", "unquoted", "\"\""] {
            for buster in ["", "v2", "a/b"] {
                let config = config(buster, None);
                let given = etag(&headers(&[(ETAG, tag)]), &config).unwrap();
                let mut client = HeaderMap::new();
                client.insert(IF_NONE_MATCH, given);
                let forwarded = conditional_headers(&client, &config);
                assert_eq!(forwarded.get(IF_NONE_MATCH).unwrap(), tag, "{tag} {buster}");
            }
        }
    }

    #[test]
    fn the_busted_tag_is_strong_and_unpadded() {
        let given = etag(&headers(&[(ETAG, "W/\"a\"")]), &config("b", None)).unwrap();
        assert_eq!(given, "\"b/Vy8iYSI\"");
    }

    #[test]
    fn a_foreign_tag_stops_every_condition() {
        let config = config("v2", None);
        for tag in [
            "*",
            "\"abc\"",
            "\"v1/ImFiYyI\"",
            "\"v2/ImFiYyI=\"",
            "\"v2/a\", \"v2/b\"",
            "\"v2\"",
        ] {
            let client = headers(&[(IF_NONE_MATCH, tag), (IF_MODIFIED_SINCE, OLD)]);
            assert!(conditional_headers(&client, &config).is_empty(), "{tag}");
        }
    }

    #[test]
    fn a_weak_client_tag_is_unwrapped() {
        let client = headers(&[(IF_NONE_MATCH, "W/\"v2/ImFiYyI\"")]);
        let forwarded = conditional_headers(&client, &config("v2", None));
        assert_eq!(forwarded.get(IF_NONE_MATCH).unwrap(), "\"abc\"");
    }

    #[test]
    fn if_modified_since_is_forwarded_only_after_the_buster() {
        let rows = [
            (None, true),
            (Some(OLD_SECONDS - 1), true),
            (Some(OLD_SECONDS), false),
            (Some(OLD_SECONDS + 1), false),
        ];
        for (buster, forwarded) in rows {
            let sent =
                conditional_headers(&headers(&[(IF_MODIFIED_SINCE, OLD)]), &config("", buster));
            assert_eq!(
                sent.contains_key(IF_MODIFIED_SINCE),
                forwarded,
                "{buster:?}"
            );
        }
        let client = headers(&[(IF_MODIFIED_SINCE, "yesterday")]);
        assert!(conditional_headers(&client, &config("", Some(0))).is_empty());
        assert_eq!(conditional_headers(&client, &config("", None)).len(), 1);
    }

    #[test]
    fn last_modified_is_never_before_the_buster() {
        let source = headers(&[(LAST_MODIFIED, OLD)]);
        assert_eq!(last_modified(&source, &config("", None)).unwrap(), OLD);
        assert_eq!(
            last_modified(&source, &config("", Some(OLD_SECONDS))).unwrap(),
            OLD
        );
        let later = last_modified(&source, &config("", Some(OLD_SECONDS + 60))).unwrap();
        assert_eq!(later, "Wed, 01 Jan 2025 00:01:00 GMT");
        assert!(last_modified(&headers(&[(LAST_MODIFIED, "soon")]), &config("", None)).is_none());
    }

    #[test]
    fn switched_off_validators_disappear() {
        let mut config = config("", None);
        (config.use_etag, config.use_last_modified) = (false, false);
        let all = headers(&[
            (ETAG, "\"a\""),
            (LAST_MODIFIED, OLD),
            (IF_NONE_MATCH, "\"a\""),
            (IF_MODIFIED_SINCE, OLD),
        ]);
        assert!(etag(&all, &config).is_none());
        assert!(last_modified(&all, &config).is_none());
        assert!(conditional_headers(&all, &config).is_empty());
    }
}
