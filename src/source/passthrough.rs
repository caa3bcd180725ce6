//! A client's own cookies on their way to a source. Rule: `spec/http.md` section 10.
//!
//! Owns which cookies of a request belong to a source. What a source sets during its redirects is `cookies`' matter.

use std::borrow::Cow;

use http::header::{COOKIE, HOST};
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

use super::target::Target;
use crate::config::cookies::{CookieConfig, CookieScope};

/// The `Cookie` header for the source `url` out of a client's headers; `None` where none belongs to it.
pub(super) fn cookie(config: &CookieConfig, url: &str, client: &HeaderMap) -> Option<HeaderValue> {
    if !config.passthrough || !client.contains_key(COOKIE) {
        return None;
    }
    let target = Target::parse(url).ok()?;
    let mut pairs = pairs(client);
    if !config.all {
        let scope = match &config.base {
            Some(scope) => Cow::Borrowed(scope),
            None => Cow::Owned(requested(client)?),
        };
        if !covers(&scope, &target) {
            return None;
        }
        pairs = last_of_each_name(pairs);
    }
    let line: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut value = HeaderValue::from_str(&line.join("; ")).ok()?;
    value.set_sensitive(true);
    (!line.is_empty()).then_some(value)
}

/// The host that the client has asked, as the proxies before us tell it.
fn requested(client: &HeaderMap) -> Option<CookieScope> {
    let text = |name: &str| client.get(name).and_then(|value| value.to_str().ok());
    let scheme = text("x-forwarded-proto").unwrap_or("http");
    let host = text("x-forwarded-host").or_else(|| text(HOST.as_str()))?;
    CookieScope::parse(&format!("{scheme}://{host}/")).ok()
}

fn covers(scope: &CookieScope, target: &Target) -> bool {
    let host = target.host().trim_end_matches('.');
    if scope.host.is_empty() || !host.eq_ignore_ascii_case(&scope.host) {
        return false;
    }
    let path = percent_decode_str(target.path()).decode_utf8_lossy();
    match path.strip_prefix(scope.folder.as_str()) {
        Some(rest) => rest.is_empty() || scope.folder.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

/// Names and values of all cookies that can be sent on; values are quoted where they have to be.
fn pairs(client: &HeaderMap) -> Vec<(String, String)> {
    client
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| std::str::from_utf8(line.as_bytes()).ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (name.trim(), value.trim());
            let inner = value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            let plain = inner.unwrap_or(value);
            if !is_token(name) || !plain.bytes().all(is_value_byte) {
                return None;
            }
            let quoted = inner.is_some() || plain.contains([' ', ',']);
            let value = if quoted && !plain.is_empty() {
                format!("\"{plain}\"")
            } else {
                plain.to_owned()
            };
            Some((name.to_owned(), value))
        })
        .collect()
}

fn last_of_each_name(pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        match kept.iter_mut().find(|(other, _)| *other == name) {
            Some(same) => same.1 = value,
            None => kept.push((name, value)),
        }
    }
    kept
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_value_byte(byte: u8) -> bool {
    (0x20..0x7F).contains(&byte) && !b"\";\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(rows: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn config(all: bool, base: Option<&str>) -> CookieConfig {
        CookieConfig {
            passthrough: true,
            all,
            base: base.map(|url| CookieScope::parse(url).unwrap()),
        }
    }

    #[test]
    fn cookies_belong_to_a_host_and_a_folder() {
        const H: (&str, &str) = ("host", "h:80");
        let own = config(false, None);
        let based = config(false, Some("https://b.example:8443/x/y"));
        let nowhere = config(false, Some("relative"));
        type Row<'a> = (
            &'a CookieConfig,
            &'a [(&'static str, &'a str)],
            &'a str,
            bool,
        );
        let rows: &[Row<'_>] = &[
            (&own, &[H], "http://h:9/a", true),
            (&own, &[H], "https://H/a", true),
            (&own, &[H], "http://sub.h/a", false),
            (&own, &[H], "http://other/a", false),
            (&own, &[H], "local:///a", false),
            (&own, &[H, ("x-forwarded-host", "f")], "http://f/a", true),
            (&own, &[H, ("x-forwarded-host", "f")], "http://h/a", false),
            (
                &own,
                &[H, ("x-forwarded-host", "f, h")],
                "http://f/a",
                false,
            ),
            (
                &own,
                &[H, ("x-forwarded-proto", "https")],
                "http://h/a",
                true,
            ),
            (
                &own,
                &[H, ("x-forwarded-proto", "ftp")],
                "http://h/a",
                false,
            ),
            (&based, &[H], "http://b.example/x/a", true),
            (&based, &[H], "http://b.example/x", true),
            (&based, &[H], "http://b.example/xy", false),
            (&based, &[H], "http://h/x/a", false),
            (&nowhere, &[H], "http://h/a", false),
        ];
        for (config, headers, url, sent) in rows {
            let mut headers = client(headers);
            headers.insert(COOKIE, HeaderValue::from_static("a=1"));
            assert_eq!(
                cookie(config, url, &headers).is_some(),
                *sent,
                "{headers:?} {url}"
            );
        }
    }

    #[test]
    fn values_are_passed_on_if_they_can_be() {
        let rows: &[(&[&str], &str, &str)] = &[
            (&["a=1; b=2"], "a=1; b=2", "a=1; b=2"),
            (&["a=1", "b=2; a=3"], "a=3; b=2", "a=1; b=2; a=3"),
            (
                &["a=1 2; b=x,y; c=\"q\""],
                "a=\"1 2\"; b=\"x,y\"; c=\"q\"",
                "a=\"1 2\"; b=\"x,y\"; c=\"q\"",
            ),
            (
                &["a=\u{e9}; b=\\; c d=1; =2; ok=; flag"],
                "ok=; flag=",
                "ok=; flag=",
            ),
        ];
        for (lines, scoped, all) in rows {
            let mut headers = client(&[("host", "h")]);
            for line in *lines {
                headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            let sent = |config: &CookieConfig, url: &str| {
                cookie(config, url, &headers).map(|value| value.to_str().unwrap().to_owned())
            };
            assert_eq!(
                sent(&config(false, None), "http://h/").as_deref(),
                Some(*scoped)
            );
            assert_eq!(
                sent(&config(true, None), "http://far/").as_deref(),
                Some(*all)
            );
            let alone = CookieConfig {
                all: true,
                ..CookieConfig::default()
            };
            assert_eq!(sent(&alone, "http://h/"), None);
        }
    }
}
