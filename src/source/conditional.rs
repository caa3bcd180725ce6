//! Conditional requests and ranges for sources that have no server of their own. Rule: `spec/sources.md` section 9.
//!
//! Owns the semantics of RFC 9110 sections 13 and 14 as far as GET needs them; it knows nothing of files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE};

/// Whether the client's copy is still good.
pub(super) fn is_unmodified(request: &HeaderMap, etag: &str, modified: SystemTime) -> bool {
    let mut tags = request.get_all(IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        return tags.any(|value| {
            value
                .to_str()
                .is_ok_and(|list| list.trim() == "*" || has_tag(list, etag))
        });
    }
    request
        .get(IF_MODIFIED_SINCE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| httpdate::parse_http_date(text).ok())
        .is_some_and(|since| whole_seconds(modified) <= since)
}

/// Which bytes a request wants of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// From the first to the last byte, both included and both inside the file.
    Bytes(u64, u64),
    /// None that exist.
    Unsatisfiable,
}

/// Reads `Range`; only the first of several ranges counts.
pub(super) fn part(request: &HeaderMap, size: u64) -> Part {
    let Some(value) = request.get(RANGE) else {
        return Part::Whole;
    };
    let range = value
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("bytes="))
        .and_then(|ranges| ranges.split(',').next())
        .and_then(|range| range.trim().split_once('-'));
    let bounds = match range {
        Some(("", suffix)) => number(suffix)
            .filter(|length| *length > 0)
            .map(|length| (size.saturating_sub(length), u64::MAX)),
        Some((start, "")) => number(start).map(|start| (start, u64::MAX)),
        Some((start, end)) => number(start)
            .zip(number(end))
            .filter(|(start, end)| start <= end),
        None => None,
    };
    match bounds {
        Some((start, end)) if start < size => Part::Bytes(start, end.min(size - 1)),
        _ => Part::Unsatisfiable,
    }
}

/// Cuts what an HTTP date cannot say.
fn whole_seconds(time: SystemTime) -> SystemTime {
    time.duration_since(UNIX_EPOCH).map_or(time, |elapsed| {
        UNIX_EPOCH + Duration::from_secs(elapsed.as_secs())
    })
}

/// Weak comparison with every tag of a list. A comma inside a tag splits it, which no tag of ours has.
fn has_tag(list: &str, etag: &str) -> bool {
    let opaque = |tag: &str| {
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag).to_owned()
    };
    list.split(',').any(|tag| opaque(tag) == opaque(etag))
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Too large for the type is beyond every file.
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn tags_and_dates() {
        let modified = UNIX_EPOCH + Duration::from_millis(784_111_777_900);
        let etag = "\"abc\"";
        let cases = [
            (IF_NONE_MATCH, "\"abc\"", true),
            (IF_NONE_MATCH, "W/\"abc\"", true),
            (IF_NONE_MATCH, "\"x\", \"abc\"", true),
            (IF_NONE_MATCH, "*", true),
            (IF_NONE_MATCH, "\"abd\"", false),
            (IF_NONE_MATCH, "abc", false),
            (IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT", true),
            (IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT", false),
            (IF_MODIFIED_SINCE, "yesterday", false),
        ];
        for (name, value, expected) in cases {
            let request = headers(name, value);
            assert_eq!(is_unmodified(&request, etag, modified), expected, "{value}");
        }
        // A tag decides alone.
        let mut both = headers(IF_NONE_MATCH, "\"x\"");
        both.insert(
            IF_MODIFIED_SINCE,
            HeaderValue::from_static("Sun, 06 Nov 2094 08:49:37 GMT"),
        );
        assert!(!is_unmodified(&both, etag, modified));
        assert!(!is_unmodified(&HeaderMap::new(), etag, modified));
    }

    #[test]
    fn ranges() {
        use Part::{Bytes, Unsatisfiable};
        let cases = [
            ("bytes=0-0", Bytes(0, 0)),
            ("bytes=2-5", Bytes(2, 5)),
            ("bytes=2-", Bytes(2, 9)),
            ("bytes=5-100", Bytes(5, 9)),
            ("bytes=-3", Bytes(7, 9)),
            ("bytes=-30", Bytes(0, 9)),
            ("bytes=1-2,4-5", Bytes(1, 2)),
            ("bytes=9-99999999999999999999", Bytes(9, 9)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=5-2", Unsatisfiable),
            ("bytes=a-b", Unsatisfiable),
            ("bytes=", Unsatisfiable),
            ("items=0-1", Unsatisfiable),
            ("bytes=+1-2", Unsatisfiable),
        ];
        for (value, expected) in cases {
            assert_eq!(part(&headers(RANGE, value), 10), expected, "{value}");
        }
        assert_eq!(part(&HeaderMap::new(), 10), Part::Whole);
        assert_eq!(part(&headers(RANGE, "bytes=0-"), 0), Unsatisfiable);
    }
}
