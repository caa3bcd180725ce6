//! Cookies that a source sets on the way through its own redirects. Rule: `spec/sources.md` section 2.
//!
//! A jar lives for one fetch. Cookies go back to the origin that set them, or its upgrade to https, and to no other,
//! whatever their `Domain` says.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::target::Target;

/// The cookies of one fetch.
#[derive(Debug, Default)]
pub(super) struct Jar(Vec<Cookie>);

#[derive(Debug)]
struct Cookie {
    origin: Target,
    path: String,
    name: String,
    value: String,
}

impl Jar {
    /// Keeps what a response of `target` sets; a cookie of the same name, origin and path is replaced.
    pub(super) fn store<'a>(
        &mut self,
        target: &Target,
        values: impl IntoIterator<Item = &'a HeaderValue>,
    ) {
        for value in values {
            let Some(cookie) = value.to_str().ok().and_then(|text| parse(target, text)) else {
                continue;
            };
            self.0.retain(|kept| {
                (&kept.path, &kept.name) != (&cookie.path, &cookie.name)
                    || !cookie.origin.shares_credentials_of(&kept.origin)
            });
            if self.0.len() < MAX_COOKIES && !cookie.value.is_empty() {
                self.0.push(cookie);
            }
        }
    }

    /// Appends the cookies that belong to `target` to the `Cookie` header.
    pub(super) fn add_to(&self, target: &Target, headers: &mut HeaderMap) {
        let mut pairs: Vec<String> = headers
            .get(COOKIE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
            .into_iter()
            .collect();
        let own = self.0.iter().filter(|cookie| {
            target.shares_credentials_of(&cookie.origin) && covers(&cookie.path, target.path())
        });
        pairs.extend(own.map(|cookie| format!("{}={}", cookie.name, cookie.value)));
        if pairs.len() > usize::from(headers.contains_key(COOKIE))
            && let Ok(value) = HeaderValue::from_str(&pairs.join("; "))
        {
            headers.insert(COOKIE, value);
        }
    }
}

fn parse(target: &Target, text: &str) -> Option<Cookie> {
    let mut parts = text.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let directory = target
        .path()
        .rsplit_once('/')
        .map_or("/", |(directory, _)| directory);
    let path = parts
        .filter_map(|attribute| attribute.split_once('='))
        .find(|(name, value)| name.eq_ignore_ascii_case("path") && value.starts_with('/'))
        .map_or(directory, |(_, value)| value);
    (!name.trim().is_empty()).then(|| Cookie {
        origin: target.clone(),
        path: path.to_owned(),
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
    })
}

fn covers(cookie_path: &str, path: &str) -> bool {
    match path.strip_prefix(cookie_path) {
        Some(rest) => rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

/// Cookies kept during one fetch; a source that sets more loses the later ones.
const MAX_COOKIES: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_stay_with_origin_and_path() {
        let mut jar = Jar::default();
        let origin = Target::parse("http://h/a/b").unwrap();
        let values = [
            "one=1; Path=/",
            "two=2",
            "three=3; path=/x; Secure",
            "bad",
            "gone=",
        ]
        .map(HeaderValue::from_static);
        jar.store(&origin, values.iter());
        let cases = [
            ("http://h/a/c", Some("mine=0; one=1; two=2")),
            ("http://h/", Some("mine=0; one=1")),
            ("http://h/x/y", Some("mine=0; one=1; three=3")),
            ("http://h/xy", Some("mine=0; one=1")),
            ("http://i/a/c", Some("mine=0")),
            ("http://h:81/a/c", Some("mine=0")),
            ("https://h/a/c", Some("mine=0; one=1; two=2")),
        ];
        for (url, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::from_static("mine=0"));
            jar.add_to(&Target::parse(url).unwrap(), &mut headers);
            let sent = headers.get(COOKIE).map(|value| value.to_str().unwrap());
            assert_eq!(sent, expected, "{url}");
        }
        let mut headers = HeaderMap::new();
        jar.add_to(&Target::parse("http://i/").unwrap(), &mut headers);
        assert!(headers.is_empty());
    }
}
