//! Which route answers a request. Rule: `spec/http.md` section 3.
//!
//! Exact routes first, then prefix routes; method and percent-decoded path must both match. The prefix is compared as it
//! is written in the configuration.

use std::borrow::Cow;

use http::Method;
use memchr::memchr;
use percent_encoding::percent_decode_str;

use crate::monitoring::Route;

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Landing page.
    Landing,
    /// Favicon: an unlogged 404.
    Favicon,
    /// Health check.
    Health,
    /// Readiness.
    Ready,
    /// JSON status.
    Status,
    /// Well-known files: an unlogged 404.
    WellKnown,
    /// Image processing and raw streaming.
    Image,
    /// HEAD and OPTIONS below the prefix: always 200.
    Always,
    /// Anything else.
    Unmatched,
}

impl Endpoint {
    /// Label of the duration histogram. HEAD and OPTIONS belong to the catch-all route, like GET.
    pub(super) fn route(self) -> Route {
        match self {
            Self::Landing => Route::Landing,
            Self::Favicon => Route::Favicon,
            Self::Health => Route::Health,
            Self::Ready => Route::Ready,
            Self::Status => Route::Status,
            Self::WellKnown => Route::WellKnown,
            Self::Image | Self::Always => Route::Image,
            Self::Unmatched => Route::Unmatched,
        }
    }

    /// Whether a "Started" line is logged.
    pub(super) fn is_logged(self) -> bool {
        !matches!(
            self,
            Self::Favicon | Self::Health | Self::Ready | Self::Status | Self::WellKnown
        )
    }
}

/// The settings that routes depend on.
#[derive(Clone, Debug)]
pub(super) struct RouteTable {
    /// `PATH_PREFIX`.
    pub(super) prefix: String,
    /// `HEALTH_CHECK_PATH`; empty is none.
    pub(super) health_check_path: String,
    /// `IMGFORGE_HEAD_MODE=full`: HEAD does what GET does.
    pub(super) full_head: bool,
}

impl RouteTable {
    /// The route of a method and a raw path.
    pub(super) fn endpoint(&self, method: &Method, raw_path: &str) -> Endpoint {
        let path = match memchr(b'%', raw_path.as_bytes()) {
            Some(_) => Cow::from(percent_decode_str(raw_path)),
            None => Cow::from(raw_path.as_bytes()),
        };
        let Some(rest) = path.strip_prefix(self.prefix.as_bytes()) else {
            return Endpoint::Unmatched;
        };
        match *method {
            Method::GET => self.get(rest),
            Method::HEAD if self.full_head => self.get(rest),
            Method::HEAD | Method::OPTIONS if rest.starts_with(b"/") => Endpoint::Always,
            _ => Endpoint::Unmatched,
        }
    }

    fn get(&self, rest: &[u8]) -> Endpoint {
        match rest {
            b"/" | b"" => Endpoint::Landing,
            b"/favicon.ico" => Endpoint::Favicon,
            b"/health" => Endpoint::Health,
            _ if self.is_health_check(rest) => Endpoint::Health,
            b"/ready" => Endpoint::Ready,
            b"/status" => Endpoint::Status,
            _ if rest.starts_with(b"/.well-known/") => Endpoint::WellKnown,
            _ if rest.starts_with(b"/") => Endpoint::Image,
            _ => Endpoint::Unmatched,
        }
    }

    fn is_health_check(&self, rest: &[u8]) -> bool {
        let path = self.health_check_path.as_str();
        match path.strip_suffix('*') {
            _ if path.is_empty() => false,
            Some(start) => rest.starts_with(start.as_bytes()),
            None => rest == path.as_bytes(),
        }
    }

    /// The target for the image route: the raw path without the prefix and its slash, if it starts with them.
    pub(super) fn image_target<'a>(&self, raw_path: &'a str) -> &'a str {
        raw_path
            .strip_prefix(self.prefix.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(raw_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_route_table() {
        use Endpoint::{
            Always, Favicon, Health, Image, Landing, Ready, Status, Unmatched, WellKnown,
        };
        let rows = [
            ("", "", "GET", "/", Landing),
            ("", "", "GET", "/favicon.ico", Favicon),
            ("", "", "GET", "/favicon%2Eico", Favicon),
            ("", "", "GET", "/health", Health),
            ("", "", "GET", "/health/", Image),
            ("", "", "GET", "/status", Status),
            ("", "", "GET", "/ready", Ready),
            ("", "", "GET", "/ready/x", Image),
            ("", "", "GET", "/status/x", Image),
            ("", "", "GET", "/.well-known/a", WellKnown),
            ("", "", "GET", "/.well-known", Image),
            ("", "", "GET", "/unsafe/plain/a", Image),
            ("", "", "GET", "//unsafe/plain/a", Image),
            ("", "", "HEAD", "/", Always),
            ("", "", "HEAD", "/health", Always),
            ("", "", "OPTIONS", "/unsafe/plain/a", Always),
            ("", "", "POST", "/health", Unmatched),
            ("", "", "PUT", "/unsafe/plain/a", Unmatched),
            ("", "", "get", "/unsafe/plain/a", Unmatched),
            ("/p", "", "GET", "/p", Landing),
            ("/p", "", "GET", "/p/", Landing),
            ("/p", "", "GET", "/p/health", Health),
            ("/p", "", "GET", "/%70/health", Health),
            ("/p", "", "GET", "/health", Unmatched),
            ("/p", "", "GET", "/px/health", Unmatched),
            ("/p", "", "HEAD", "/p", Unmatched),
            ("/p", "", "HEAD", "/p/x", Always),
            ("/p", "", "HEAD", "/x", Unmatched),
            ("p", "", "GET", "/p/health", Unmatched),
            ("", "/alive", "GET", "/alive", Health),
            ("", "/alive", "GET", "/alive/x", Image),
            ("", "/alive*", "GET", "/alive/x", Health),
            ("", "/alive*", "GET", "/health", Health),
            ("/p", "/alive", "GET", "/p/alive", Health),
            ("/p", "/alive", "GET", "/alive", Unmatched),
        ];
        for (prefix, health, method, path, expected) in rows {
            let table = RouteTable {
                prefix: prefix.to_owned(),
                health_check_path: health.to_owned(),
                full_head: false,
            };
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(
                table.endpoint(&method, path),
                expected,
                "{prefix:?} {health:?} {method} {path}"
            );
        }
    }

    #[test]
    fn a_full_head_is_a_get() {
        let table = RouteTable {
            prefix: "/p".to_owned(),
            health_check_path: String::new(),
            full_head: true,
        };
        for (path, expected) in [
            ("/p/health", Endpoint::Health),
            ("/p/unsafe/plain/a", Endpoint::Image),
            ("/p", Endpoint::Landing),
            ("/x", Endpoint::Unmatched),
        ] {
            assert_eq!(table.endpoint(&Method::HEAD, path), expected, "{path}");
        }
        assert_eq!(
            table.endpoint(&Method::OPTIONS, "/p/health"),
            Endpoint::Always
        );
    }

    #[test]
    fn image_targets_lose_the_literal_prefix_only() {
        let rows = [
            ("", "/unsafe/a", "unsafe/a"),
            ("", "//unsafe/a", "/unsafe/a"),
            ("/p", "/p/unsafe/a", "unsafe/a"),
            ("/p", "/%70/unsafe/a", "/%70/unsafe/a"),
        ];
        for (prefix, path, expected) in rows {
            let table = RouteTable {
                prefix: prefix.to_owned(),
                health_check_path: String::new(),
                full_head: false,
            };
            assert_eq!(table.image_target(path), expected);
        }
    }
}
