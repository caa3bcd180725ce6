//! HTTP source URLs: what is dialled and what stands in the request line. Rule: `spec/sources.md` section 1.2.
//!
//! Owns parsing that keeps the path byte for byte, which the WHATWG parser does not: it would resolve dot segments and
//! read `0x7f.1` as an address. It decides nothing about whether a target may be asked.

use std::net::{IpAddr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

use super::FetchError;

/// An http or https URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    https: bool,
    /// Name in ASCII, or an address; IPv6 in brackets.
    host: String,
    port: Option<u16>,
    user_info: Option<String>,
    /// Starts with a slash; holds the query and nothing that a request line cannot.
    path_and_query: String,
}

impl Target {
    /// Parses a URL whose scheme is `http` or `https`.
    pub(super) fn parse(url: &str) -> Result<Self, FetchError> {
        if url.bytes().any(|byte| byte < 0x20 || byte == 0x7F) {
            return Err(FetchError::InvalidUrl("control character"));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(FetchError::InvalidUrl("no host"));
        };
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(FetchError::InvalidUrl("scheme")),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at_checked(split).unwrap_or((rest, ""));
        let (user_info, host_port) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info.to_owned()), host),
            None => (None, authority),
        };
        let (host, port) = split_port(host_port)?;
        Ok(Self {
            https,
            host: ascii_host(host)?,
            port,
            user_info,
            path_and_query: request_target(path_and_query)?,
        })
    }

    /// What a `Location` value found in the response to this target points at.
    ///
    /// Only http and https are followed; everything else is an error, as is a URL without a host.
    pub(super) fn join(&self, location: &[u8]) -> Result<Self, FetchError> {
        let refused = || FetchError::Redirect(String::from_utf8_lossy(location).into_owned());
        if location.is_empty() {
            return Err(refused());
        }
        let text = percent_encode(location, NON_ASCII).to_string();
        let text = text
            .split_once('#')
            .map_or(text.as_str(), |(before, _)| before);
        let base_scheme = if self.https { "https" } else { "http" };
        let path = self
            .path_and_query
            .split_once('?')
            .map_or(self.path_and_query.as_str(), |(path, _)| path);
        let absolute = if let Some(scheme) = scheme_of(text) {
            if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
                return Err(refused());
            }
            text.to_owned()
        } else if text.starts_with("//") {
            format!("{base_scheme}:{text}")
        } else {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            let joined = match text.as_bytes().first() {
                Some(b'/') => text.to_owned(),
                Some(b'?') => format!("{path}{text}"),
                None => self.path_and_query.clone(),
                Some(_) => format!("{directory}/{text}"),
            };
            format!("{base_scheme}://{}{joined}", self.authority())
        };
        let mut target = Self::parse(&absolute).map_err(|_| refused())?;
        let (path, query) = match target.path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target.path_and_query.as_str(), None),
        };
        let mut resolved = resolve_dots(path);
        if let Some(query) = query {
            resolved.push('?');
            resolved.push_str(query);
        }
        target.path_and_query = resolved;
        Ok(target)
    }

    /// The URI as the source's author wrote it.
    pub(super) fn uri(&self) -> Result<Uri, FetchError> {
        Uri::builder()
            .scheme(if self.https { "https" } else { "http" })
            .authority(self.authority())
            .path_and_query(self.path_and_query.as_str())
            .build()
            .map_err(|_| FetchError::InvalidUrl("not a URI"))
    }

    /// Name in ASCII, or an address; IPv6 in brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Basic authorization from the user info.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = match self.user_info.as_deref()?.split_once(':') {
            Some((user, password)) => (user, password),
            None => (self.user_info.as_deref()?, ""),
        };
        let mut plain: Vec<u8> = percent_decode_str(user).collect();
        plain.push(b':');
        plain.extend(percent_decode_str(password));
        let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(plain))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The `Referer` for a request to `next`; none where it would leak a protected page to plain text.
    pub(super) fn referer_for(&self, next: &Self) -> Option<HeaderValue> {
        if self.https && !next.https {
            return None;
        }
        HeaderValue::from_str(&self.uri().ok()?.to_string()).ok()
    }

    /// Whether headers that belong to `first` may be repeated here: the same origin, or its upgrade to https.
    pub(super) fn shares_credentials_of(&self, first: &Self) -> bool {
        let same_host = self.host.eq_ignore_ascii_case(&first.host);
        let same_origin = self.https == first.https && self.port() == first.port();
        let upgrade = self.https && !first.https && self.port() == 443 && first.port() == 80;
        same_host && (same_origin || upgrade)
    }

    /// Path without the query.
    pub(super) fn path(&self) -> &str {
        self.path_and_query
            .split_once('?')
            .map_or(self.path_and_query.as_str(), |(path, _)| path)
    }

    /// The port that is asked, named or not.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(if self.https { 443 } else { 80 })
    }

    fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// The address in `host` if it is written as one in the form that is also dialled as one.
pub(super) fn address_literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// Whether the system resolver would read `name` as an address in one of the old spellings such as `127.1`,
/// `0x7f000001` or `2130706433`. imgproxy takes them for names, which do not exist.
pub(super) fn is_numeric_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let parts: Vec<&str> = name.split('.').collect();
    parts.len() <= 4
        && parts.iter().all(|part| {
            let hex = part
                .strip_prefix("0x")
                .or_else(|| part.strip_prefix("0X"))
                .map(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            hex.unwrap_or_else(|| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
}

fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let mut bytes = scheme.bytes();
    let valid = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    valid.then_some(scheme)
}

fn split_port(host_port: &str) -> Result<(&str, Option<u16>), FetchError> {
    let after_host = if host_port.starts_with('[') {
        host_port
            .find(']')
            .ok_or(FetchError::InvalidUrl("missing bracket"))?
            + 1
    } else {
        host_port.find(':').unwrap_or(host_port.len())
    };
    let (host, port) = host_port
        .split_at_checked(after_host)
        .unwrap_or((host_port, ""));
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(
            digits
                .parse()
                .map_err(|_| FetchError::InvalidUrl("port out of range"))?,
        ),
        _ => return Err(FetchError::InvalidUrl("port")),
    };
    Ok((host, port))
}

fn ascii_host(host: &str) -> Result<String, FetchError> {
    if host.is_empty() {
        return Err(FetchError::InvalidUrl("no host"));
    }
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').unwrap_or(inner);
        return match inner.parse::<Ipv6Addr>() {
            Ok(_) => Ok(host.to_owned()),
            Err(_) => Err(FetchError::InvalidUrl("IPv6 address")),
        };
    }
    let escaped = host.contains('%');
    let decoded = percent_decode_str(host)
        .decode_utf8()
        .map_err(|_| FetchError::InvalidUrl("host is not UTF-8"))?;
    if decoded.is_ascii() {
        let plain = !escaped
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte));
        return if plain {
            Ok(host.to_owned())
        } else {
            Err(FetchError::InvalidUrl("host"))
        };
    }
    match url::Host::parse(&decoded) {
        Ok(url::Host::Domain(name)) if !is_numeric_name(&name) => Ok(name),
        _ => Err(FetchError::InvalidUrl("host")),
    }
}

/// Escapes what a request line cannot hold and leaves all else as it is.
fn request_target(path_and_query: &str) -> Result<String, FetchError> {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    let mut escapes = path.split('%');
    escapes.next();
    let broken = |after: &str| {
        !after
            .as_bytes()
            .get(..2)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if escapes.any(broken) {
        return Err(FetchError::InvalidUrl("percent escape"));
    }
    let mut target = String::with_capacity(path_and_query.len() + 1);
    if path.is_empty() {
        target.push('/');
    }
    target.extend(percent_encode(path.as_bytes(), UNSAFE));
    if let Some(query) = query {
        target.push('?');
        target.extend(percent_encode(query.as_bytes(), UNSAFE));
    }
    Ok(target)
}

/// Removes dot segments as RFC 3986 section 5.2.4 says; `path` starts with a slash.
fn resolve_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Characters that go out escaped wherever they stand.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Nothing but the bytes above ASCII, which percent encoding always escapes.
const NON_ASCII: &AsciiSet = &AsciiSet::EMPTY;

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(url: &str) -> Option<String> {
        Target::parse(url)
            .and_then(|target| target.uri())
            .ok()
            .map(|uri| uri.to_string())
    }

    #[test]
    fn keeps_the_path_and_escapes_what_it_must() {
        let cases = [
            ("http://h/a.jpg", "http://h/a.jpg"),
            ("HTTP://h", "http://h/"),
            ("http://h?a=b", "http://h/?a=b"),
            ("http://h/a/../b//c;d+e%2Ff", "http://h/a/../b//c;d+e%2Ff"),
            ("http://h/a b<c>\\|ü", "http://h/a%20b%3Cc%3E%5C%7C%C3%BC"),
            ("http://h/a?b c&d=%zz", "http://h/a?b%20c&d=%zz"),
            ("http://h/a#f", "http://h/a"),
            ("http://u:p@h:81/a", "http://h:81/a"),
            ("http://h:/a", "http://h/a"),
            ("http://[::1]:80/a", "http://[::1]:80/a"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("http://2130706433/", "http://2130706433/"),
            ("http://127.1/", "http://127.1/"),
        ];
        for (url, expected) in cases {
            assert_eq!(uri(url).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn refuses() {
        for url in [
            "http:/h/a",
            "http:h",
            "http://",
            "http:///a",
            "http://h/%",
            "http://h/%g0",
            "http://h/a\nb",
            "http://h/a\u{7f}",
            "http://h o/",
            "http://h:x/",
            "http://h:99999/",
            "http://[::1/",
            "http://[::1]x/",
            "http://[fe80::1%25lo]/",
            "http://h%23/",
            "http://１２７.1/",
            "http://a\\b/",
        ] {
            assert_eq!(uri(url), None, "{url}");
        }
    }

    #[test]
    fn redirects() {
        let base = "http://h:81/a/b?c";
        let cases = [
            ("d", Some("http://h:81/a/d")),
            ("/d?e", Some("http://h:81/d?e")),
            ("?e", Some("http://h:81/a/b?e")),
            ("../../d/./e/..", Some("http://h:81/d/")),
            ("//i/d", Some("http://i/d")),
            ("https://i:82/d/../e#f", Some("https://i:82/e")),
            ("http://u:p@i/", Some("http://i/")),
            ("/\u{e4} x", Some("http://h:81/%C3%A4%20x")),
            ("\\\\i/d", Some("http://h:81/a/%5C%5Ci/d")),
            ("http:/i", None),
            ("ftp://i/", None),
            ("local:///a", None),
            ("file:///etc/passwd", None),
            ("s3://b/k", None),
            ("data:,x", None),
            ("http://h/%", None),
            ("http://", None),
            ("", None),
        ];
        for (location, expected) in cases {
            let joined = Target::parse(base).unwrap().join(location.as_bytes());
            let joined = joined.and_then(|target| target.uri()).ok();
            assert_eq!(
                joined.map(|uri| uri.to_string()).as_deref(),
                expected,
                "{location}"
            );
        }
    }

    #[test]
    fn credentials() {
        let target = Target::parse("http://us%20er:p%40ss@h/").unwrap();
        assert_eq!(
            target.authorization().unwrap().to_str().unwrap(),
            format!("Basic {}", STANDARD.encode("us er:p@ss"))
        );
        let cases = [
            ("http://h/", "http://h:80/x", true),
            ("http://h/", "https://h/", true),
            ("https://h/", "http://h/", false),
            ("http://h/", "http://h:81/", false),
            ("http://h:81/", "https://h/", false),
            ("http://h/", "http://x.h/", false),
        ];
        for (first, next, expected) in cases {
            let first = Target::parse(first).unwrap();
            let next = Target::parse(next).unwrap();
            assert_eq!(
                next.shares_credentials_of(&first),
                expected,
                "{first:?} {next:?}"
            );
        }
    }

    #[test]
    fn numeric_names() {
        for name in [
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "0",
            "0x7f.1",
        ] {
            assert!(is_numeric_name(name), "{name}");
        }
        for name in [
            "localhost",
            "1.example",
            "a.1",
            "0xg",
            "",
            "1..2",
            "1.2.3.4.5",
        ] {
            assert!(!is_numeric_name(name), "{name}");
        }
    }
}
