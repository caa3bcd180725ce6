//! A request target as people may see it: without the signature, without a source URL that hides a password in Base64.
//!
//! What can be told from its surroundings alone, such as a presigned query, is [`crate::redact`]'s and is done where the
//! text leaves the server.

use super::endpoint::{Endpoint, RouteTable};
use crate::redact::{MASK, has_secret};
use crate::url::source_url;

/// The settings that it depends on.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    /// Whether signatures are checked: otherwise the segment means nothing.
    pub signatures_are_checked: bool,
    /// `LOG_REDACT_SIGNATURE`.
    pub hide_from_log: bool,
    /// `ARGUMENTS_SEPARATOR`, which tells options from sources.
    pub arguments_separator: String,
}

impl Redaction {
    /// For log lines.
    pub(super) fn logged(&self, routes: &RouteTable, endpoint: Endpoint, target: &str) -> String {
        if endpoint != Endpoint::Image {
            return target.to_owned();
        }
        self.target(routes, target, self.hide_from_log)
    }

    /// For others: error reports.
    pub(super) fn reported(&self, routes: &RouteTable, target: &str) -> String {
        self.target(routes, target, true)
    }

    fn target(&self, routes: &RouteTable, target: &str, hide_signature: bool) -> String {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let inner = routes.image_target(path);
        let inner = inner.strip_prefix('/').unwrap_or(inner);
        let before = path.strip_suffix(inner).unwrap_or_default();
        let (signature, rest) = inner.split_once('/').unwrap_or((inner, ""));
        let hidden = hide_signature && self.signatures_are_checked && !signature.is_empty();
        let mut out = String::with_capacity(target.len());
        out.push_str(before);
        out.push_str(if hidden { MASK } else { signature });
        if inner.len() > signature.len() {
            out.push('/');
        }
        let (clear, secret) = self.split_encoded(rest);
        out.push_str(clear);
        if secret {
            out.push_str(MASK);
        }
        if let Some(query) = query {
            out.push('?');
            out.push_str(query);
        }
        out
    }

    /// The part before a Base64 source that holds a secret, and whether there is one.
    fn split_encoded<'a>(&self, rest: &'a str) -> (&'a str, bool) {
        let segments: Vec<&str> = rest.split('/').collect();
        let mut start = 0;
        let mut tried = 0;
        for (i, segment) in segments.iter().enumerate() {
            if matches!(*segment, "plain" | "enc") || tried == MOST_TRIES {
                break;
            }
            let is_option = segment.contains(&self.arguments_separator);
            let tail = segments.get(i..).unwrap_or_default();
            if (!is_option || self.arguments_separator.is_empty()) && !segment.is_empty() {
                tried += 1;
                if holds_secret(tail) {
                    return (rest.get(..start).unwrap_or_default(), true);
                }
            }
            start += segment.len() + 1;
        }
        (rest, false)
    }
}

fn holds_secret(segments: &[&str]) -> bool {
    [false, true].into_iter().any(|drop_filename| {
        source_url::decode(segments, drop_filename).is_ok_and(|source| has_secret(&source.url))
    })
}

/// Presets without arguments look like a source, so not only the first candidate counts. Bounded, because each one costs
/// a look at the rest of the target.
const MOST_TRIES: usize = 3;

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    fn redaction(checked: bool, hide: bool) -> Redaction {
        Redaction {
            signatures_are_checked: checked,
            hide_from_log: hide,
            arguments_separator: ":".to_owned(),
        }
    }

    fn logged(redaction: &Redaction, target: &str) -> String {
        let routes = RouteTable {
            prefix: "/p".to_owned(),
            health_check_path: String::new(),
            full_head: false,
        };
        redaction.logged(&routes, Endpoint::Image, target)
    }

    #[test]
    fn signatures() {
        let target = "/p/c2lnbmF0dXJl/w:20/plain/http://h/a.png?q";
        let without = "/p/***/w:20/plain/http://h/a.png?q";
        assert_eq!(logged(&redaction(true, true), target), without);
        assert_eq!(logged(&redaction(true, false), target), target);
        assert_eq!(logged(&redaction(false, true), target), target);
        for odd in ["/p/", "/p", "/p//", "/x", "//p/s/a", ""] {
            let logged = logged(&redaction(false, true), odd);
            assert_eq!(logged, odd);
        }
        assert_eq!(logged(&redaction(true, true), "/p//c2ln/a"), "/p//***/a");
    }

    #[test]
    fn encoded_sources() {
        let redaction = redaction(true, true);
        let secret = BASE64_URL_SAFE_NO_PAD.encode("http://u:hunter2@h/a.png");
        let clear = BASE64_URL_SAFE_NO_PAD.encode("http://h/a.png");
        let (first, second) = secret.split_at(9);
        for (target, expected) in [
            (format!("/p/s/w:20/{secret}.png"), "/p/***/w:20/***"),
            (format!("/p/s/{first}/{second}"), "/p/***/***"),
            (format!("/p/s/small/{secret}/name.png"), "/p/***/small/***"),
            (
                format!("/p/s/w:20/{clear}.png"),
                &format!("/p/***/w:20/{clear}.png"),
            ),
            ("/p/s/%%%/é/..".to_owned(), "/p/***/%%%/é/.."),
        ] {
            assert_eq!(logged(&redaction, &target), expected, "{target}");
        }
    }
}
