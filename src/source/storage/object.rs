//! Names of objects in source URLs. Rule: `spec/sources.md` section 1.2.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::source::FetchError;

/// What stands in a source URL other than HTTP. All of it is literal: no escape means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source) struct Object<'a> {
    /// Bucket or container.
    pub(in crate::source) bucket: &'a str,
    /// Everything else up to the separator, without leading slashes.
    pub(in crate::source) key: &'a str,
    /// What follows the separator, where that is not empty.
    pub(in crate::source) query: Option<&'a str>,
}

impl<'a> Object<'a> {
    /// # Errors
    ///
    /// The part in front of the first slash cannot be a host.
    pub(in crate::source) fn parse(url: &'a str, separator: &str) -> Result<Self, FetchError> {
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_host(bucket) {
            return Err(FetchError::InvalidUrl("host"));
        }
        let key = key.trim_start_matches('/');
        let (key, query) = match key.split_once(separator) {
            Some((key, query)) if !separator.is_empty() => (key, Some(query)),
            _ => (key, None),
        };
        Ok(Self {
            bucket: bucket.strip_suffix(':').unwrap_or(bucket),
            key,
            query: query.filter(|query| !query.is_empty()),
        })
    }

    /// The key as a path on the wire, each byte escaped exactly once.
    pub(super) fn path(&self) -> String {
        utf8_percent_encode(self.key, PATH).to_string()
    }
}

/// A text as one segment of a path or one value of a query.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// Whether imgproxy's URL parser takes this for a host: no blanks, no escapes, and digits after the last colon.
fn is_host(host: &str) -> bool {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    port.bytes().all(|byte| byte.is_ascii_digit())
        && name.bytes().all(|byte| {
            !byte.is_ascii()
                || byte.is_ascii_alphanumeric()
                || b"-._~!$&'()*+,;=[]@:".contains(&byte)
        })
}

/// Everything but the characters that the signatures leave alone.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const PATH: &AsciiSet = &VALUE.remove(b'/');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_literal() {
        for (url, separator, expected) in [
            ("s3://b/k", "?", Some(("b", "k", None))),
            ("s3://B/a%20b.jpg", "?", Some(("B", "a%20b.jpg", None))),
            ("s3://b//k//l", "?", Some(("b", "k//l", None))),
            ("s3://b/../c/k", "?", Some(("b", "../c/k", None))),
            ("s3://b/k?v?w", "?", Some(("b", "k", Some("v?w")))),
            ("s3://b/k?", "?", Some(("b", "k", None))),
            ("s3://b/k?v", "", Some(("b", "k?v", None))),
            ("s3://b/k#f@v", "@", Some(("b", "k#f", Some("v")))),
            ("s3://b:/k", "?", Some(("b", "k", None))),
            ("s3://b", "?", Some(("b", "", None))),
            ("s3:///k", "?", Some(("", "k", None))),
            ("s3://b c/k", "?", None),
            ("s3://b:x/k", "?", None),
            ("s3://b%23/k", "?", None),
        ] {
            let found = Object::parse(url, separator).ok();
            let found = found.map(|object| (object.bucket, object.key, object.query));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn keys_are_escaped_once() {
        for (key, expected) in [
            ("a/b.jpg", "a/b.jpg"),
            ("a b%20?#+.jpg", "a%20b%2520%3F%23%2B.jpg"),
            ("ü/../~-_", "%C3%BC/../~-_"),
        ] {
            let object = Object {
                bucket: "b",
                key,
                query: None,
            };
            assert_eq!(object.path(), expected);
        }
        assert_eq!(escape("a/b=c"), "a%2Fb%3Dc");
    }
}
