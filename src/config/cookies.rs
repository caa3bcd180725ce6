//! Which of a client's cookies go to which source. Rules: `spec/http.md` section 10, `spec/configuration.md` section 3.3.

use super::var::Invalid;

/// `COOKIE_PASSTHROUGH` and what refines it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CookieConfig {
    /// `COOKIE_PASSTHROUGH`.
    pub passthrough: bool,
    /// `COOKIE_PASSTHROUGH_ALL`: to every source; nothing without the former.
    pub all: bool,
    /// `COOKIE_BASE_URL`: where cookies belong; `None` is the host that the client has asked.
    pub base: Option<CookieScope>,
}

/// Host and folder that cookies belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieScope {
    /// Host name or address in lower case, without port; empty where the URL names no http or https host, which
    /// matches no source.
    pub host: String,
    /// Path without its last segment, escapes undone; `/` at least.
    pub folder: String,
}

impl CookieScope {
    /// The scope of cookies that come from `url`.
    ///
    /// # Errors
    ///
    /// What no URL is: a control character, a colon without a scheme, a blank in the host, a broken escape or port.
    /// Relative URLs are fine.
    pub fn parse(url: &str) -> Result<Self, Invalid> {
        let bad = |what: &str| Invalid::value(format!("can't parse cookie base URL: {what}"));
        if url.bytes().any(|byte| byte < 0x20 || byte == 0x7F) {
            return Err(bad("control character"));
        }
        let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
        let url = url.split_once('?').map_or(url, |(before, _)| before);
        let (scheme, rest) = split_scheme(url).ok_or_else(|| bad("no scheme before the colon"))?;
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        let first_segment = path.split('/').next().unwrap_or_default();
        if scheme.is_empty() && first_segment.contains(':') {
            return Err(bad("colon in the first segment"));
        }
        let host_port = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let host = host(host_port).ok_or_else(|| bad("host or port"))?;
        if ![fragment, authority, path].into_iter().all(is_escaped) {
            return Err(bad("percent escape"));
        }
        let http = ["http", "https"]
            .iter()
            .any(|name| scheme.eq_ignore_ascii_case(name));
        let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        Ok(Self {
            host: if http {
                host.trim_end_matches('.').to_ascii_lowercase()
            } else {
                String::new()
            },
            folder: match path.rsplit_once('/') {
                None | Some(("", _)) => "/".to_owned(),
                Some((folder, _)) => folder.to_owned(),
            },
        })
    }
}

/// Scheme and the rest; the scheme is empty where the text has none, `None` where there is a colon without one.
fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let end = url
        .find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))
        .unwrap_or(url.len());
    let (scheme, rest) = url.split_at(end);
    let starts = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    match rest.strip_prefix(':') {
        Some(_) if scheme.is_empty() => None,
        Some(rest) if starts => Some((scheme, rest)),
        _ => Some(("", url)),
    }
}

/// The host without its port, if both can be parts of a URL.
fn host(host_port: &str) -> Option<&str> {
    let end = if host_port.starts_with('[') {
        host_port.find(']')? + 1
    } else {
        host_port.find(':').unwrap_or(host_port.len())
    };
    let (host, port) = host_port.split_at(end);
    let port_is_one = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let host_is_one = !host.contains([' ', '\\', '^', '`', '{', '|', '}']);
    (port_is_one && host_is_one).then_some(host)
}

fn is_escaped(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        after
            .as_bytes()
            .get(..2)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        for (url, host, folder) in [
            ("http://A.example", "a.example", "/"),
            ("https://u:p@a.example.:81/x", "a.example", "/"),
            ("http://a.example/x/y%20z/w?q#f", "a.example", "/x/y z"),
            ("http://[::1]:80/x/", "[::1]", "/x"),
            ("ftp://a.example/x/", "", "/x"),
            ("relative", "", "/"),
            ("/a/b", "", "/a"),
            ("//a.example/", "", "/"),
            ("mailto:x", "", "/"),
        ] {
            let scope = CookieScope::parse(url).unwrap();
            assert_eq!(
                (scope.host.as_str(), scope.folder.as_str()),
                (host, folder),
                "{url}"
            );
        }
        for url in [
            ":no-scheme",
            "http://a b.example/",
            "http://a.example/\u{1}",
            "http://a.example:x/",
            "http://[::1/",
            "http://a.example/%zz",
            "1:2",
        ] {
            assert!(CookieScope::parse(url).is_err(), "{url}");
        }
    }
}
