//! Splitting the raw request target and undoing proxy normalisation. Rule: `spec/url.md` section 3.
//!
//! Nothing is percent-decoded here except the literal `%3A` in options.

use std::borrow::Cow;

use super::UrlError;

/// A request target in its two halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitPath<'a> {
    /// The first segment as written.
    pub signature: &'a str,
    /// Options and source, with `%3A` in the options read as `:` and without a leading slash.
    pub path: Cow<'a, str>,
    /// The same with a collapsed `scheme:/` restored, where there is one.
    pub repaired: Option<String>,
}

/// Splits a raw target that starts where the route prefix and its slash ended: at the signature. One more slash is
/// forgiven. The query is dropped.
///
/// # Errors
/// [`UrlError::Path`] where the signature or what follows it is empty.
pub fn split(target: &str) -> Result<SplitPath<'_>, UrlError> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let path = path.strip_prefix('/').unwrap_or(path);
    let (signature, path) = path.split_once('/').unwrap_or((path, ""));
    if signature.is_empty() || path.is_empty() {
        return Err(UrlError::Path(path.to_owned()));
    }
    let (path, repaired) = redenormalise(path);
    Ok(SplitPath {
        signature,
        path,
        repaired,
    })
}

/// Undoes what proxies do to paths: the path with `:` restored in its options, and, where the plain source URL starts
/// with a scheme and one slash instead of two, that path with the slashes restored as well.
///
/// imgproxy repairs the last `:/x` of a URL, which corrupts legal URLs; here only a scheme is repaired
/// (`spec/http.md` section 4).
pub fn redenormalise(path: &str) -> (Cow<'_, str>, Option<String>) {
    let (options, source) = match path.strip_prefix(PLAIN) {
        Some(source) => ("", Some(source)),
        None => match path.split_once("/plain/") {
            Some((options, source)) => (options, Some(source)),
            None => (path, None),
        },
    };
    let restored = if options.contains("%3A") {
        Cow::Owned(match source {
            Some(source) => format!("{}/{PLAIN}{source}", options.replace("%3A", ":")),
            None => options.replace("%3A", ":"),
        })
    } else {
        Cow::Borrowed(path)
    };
    let restored = without_leading_slash(restored);

    let repaired = source.and_then(|source| {
        let repaired = restore_scheme(source)?;
        let before = restored.strip_suffix(source)?;
        Some(format!("{before}{repaired}"))
    });
    (restored, repaired)
}

fn without_leading_slash(path: Cow<'_, str>) -> Cow<'_, str> {
    match path {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix('/').unwrap_or(text)),
        Cow::Owned(mut text) => {
            if text.starts_with('/') {
                text.remove(0);
            }
            Cow::Owned(text)
        }
    }
}

/// `scheme:/x` with its slashes back: two, or three for `local`.
fn restore_scheme(source: &str) -> Option<String> {
    let (scheme, rest) = source.split_once(":/")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-'));
    if !is_scheme || rest.is_empty() || rest.starts_with('/') {
        return None;
    }
    let slashes = if scheme == "local" { "///" } else { "//" };
    Some(format!("{scheme}:{slashes}{rest}"))
}

const PLAIN: &str = "plain/";

#[cfg(test)]
mod tests {
    use super::*;

    /// The path that an unsigned request parses.
    fn repaired(path: &str) -> String {
        let (path, repaired) = redenormalise(path);
        repaired.unwrap_or_else(|| path.into_owned())
    }

    #[test]
    fn proxies_are_undone() {
        for (path, expected) in [
            (
                "plain/http:/example.com/a.jpg",
                "plain/http://example.com/a.jpg",
            ),
            (
                "plain/https://example.com/a.jpg",
                "plain/https://example.com/a.jpg",
            ),
            ("plain/http:///a", "plain/http:///a"),
            ("plain/local:/a.png", "plain/local:///a.png"),
            ("plain/local:a", "plain/local:a"),
            ("plain/s3:/bucket/k", "plain/s3://bucket/k"),
            // Fixed: only a scheme at the start is repaired.
            ("plain/http://a/b:/c", "plain/http://a/b:/c"),
            ("plain/http:/a/b:/c", "plain/http://a/b:/c"),
            ("plain/local:/a:/b", "plain/local:///a:/b"),
            (
                "rs%3Afill%3A300%3A200/plain/https:/e.com/x",
                "rs:fill:300:200/plain/https://e.com/x",
            ),
            (
                "rs%3Afill%3A300/plain/https://x/y",
                "rs:fill:300/plain/https://x/y",
            ),
            ("w%3a100/plain/x", "w%3a100/plain/x"),
            ("/w:1/plain/x", "w:1/plain/x"),
            ("//w:1/plain/x", "/w:1/plain/x"),
            ("/w%3A1/plain/x", "w:1/plain/x"),
            ("w:1/plain/x/plain/http:/a", "w:1/plain/x/plain/http:/a"),
            ("/plain/http:/a", "plain/http://a"),
            ("plain/http%3A/a", "plain/http%3A/a"),
            ("w%3A1/aHR0%3A", "w:1/aHR0:"),
            ("plain/http:", "plain/http:"),
            ("plain/http:/", "plain/http:/"),
            ("plain/example.com/a", "plain/example.com/a"),
            ("plain/:/a", "plain/:/a"),
            ("plain/1s:/a", "plain/1s:/a"),
            ("/", ""),
            ("", ""),
        ] {
            assert_eq!(repaired(path), expected, "{path}");
        }
    }

    #[test]
    fn targets() {
        for (target, signature, path) in [
            ("/s/plain/http://a/b", "s", "plain/http://a/b"),
            ("s/plain/http://a/b", "s", "plain/http://a/b"),
            ("/s//plain/x", "s", "plain/x"),
            ("/s///plain/x", "s", "/plain/x"),
            ("/s/plain/x?a=b/c", "s", "plain/x"),
            ("/s%2F/w:1", "s%2F", "w:1"),
            ("/s//", "s", ""),
            ("/s///", "s", "/"),
        ] {
            let split = split(target).unwrap();
            assert_eq!(
                (split.signature, &*split.path),
                (signature, path),
                "{target}"
            );
        }
        for (target, path) in [
            ("//", ""),
            ("/x", ""),
            ("/x/", ""),
            ("", ""),
            ("/health/", ""),
            ("/x?/y", ""),
            ("//s/w:1", "s/w:1"),
        ] {
            assert_eq!(
                split(target),
                Err(UrlError::Path(path.to_owned())),
                "{target}"
            );
        }
    }
}
