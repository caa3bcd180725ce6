//! The source part of a path: decoding, replacements and base URL, allowed sources. Rule: `spec/url.md` section 6.

use std::fmt::Write;

use base64::Engine;
use percent_encoding::percent_decode_str;

use crate::args::LENIENT_BASE64;
use crate::config::UrlConfig;

use super::UrlError;
use super::wildcard::Pattern;

/// A decoded source URL, before replacements, and the extension behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The URL. Bytes that are not UTF-8 are kept as percent escapes, which is how they are requested.
    pub url: String,
    /// The extension as written, never empty.
    pub extension: Option<String>,
}

/// Decodes the segments behind the options. With `drop_filename`, a Base64 source of several segments ends in a file
/// name that means nothing.
///
/// # Errors
/// [`UrlError`] where the source is empty, does not decode, has several extensions or is encrypted.
pub fn decode(segments: &[&str], drop_filename: bool) -> Result<Source, UrlError> {
    match segments {
        [] => Err(UrlError::SourceEmpty),
        ["plain", rest @ ..] if !rest.is_empty() => decode_plain(&rest.join("/")),
        ["enc", rest @ ..] if !rest.is_empty() => Err(UrlError::SourceEncrypted),
        [chunks @ .., _] if drop_filename && !chunks.is_empty() => decode_base64(&chunks.concat()),
        chunks => decode_base64(&chunks.concat()),
    }
}

fn decode_plain(text: &str) -> Result<Source, UrlError> {
    let (escaped, extension) = split_extension(text, '@')?;
    if !escapes_are_valid(escaped) {
        return Err(UrlError::SourceEncoding(text.to_owned()));
    }
    let bytes: Vec<u8> = percent_decode_str(escaped).collect();
    Ok(Source {
        url: url_text(&bytes),
        extension,
    })
}

fn decode_base64(text: &str) -> Result<Source, UrlError> {
    let (encoded, extension) = split_extension(text, '.')?;
    let bytes = LENIENT_BASE64
        .decode(encoded.trim_end_matches('='))
        .map_err(|_| UrlError::SourceEncoding(text.to_owned()))?;
    Ok(Source {
        url: url_text(&bytes),
        extension,
    })
}

fn split_extension(text: &str, mark: char) -> Result<(&str, Option<String>), UrlError> {
    let mut parts = text.split(mark);
    let source = parts.next().unwrap_or_default();
    if source.is_empty() {
        return Err(UrlError::SourceEmpty);
    }
    let extension = parts.next().filter(|extension| !extension.is_empty());
    if parts.next().is_some() {
        return Err(UrlError::MultipleFormats(text.to_owned()));
    }
    Ok((source, extension.map(str::to_owned)))
}

fn escapes_are_valid(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes().take(2);
        let mut is_digit = || digits.next().is_some_and(|b| b.is_ascii_hexdigit());
        is_digit() && is_digit()
    })
}

fn url_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Replacements, then the base URL.
#[derive(Clone, Debug)]
pub struct Preprocessor {
    replacements: Vec<(Pattern, String)>,
    base: String,
}

impl Preprocessor {
    /// The rules of `IMGPROXY_URL_REPLACEMENTS` and `IMGPROXY_BASE_URL`.
    pub fn new(config: &UrlConfig) -> Self {
        let pairs = config.url_replacements.iter();
        Self {
            replacements: pairs
                .map(|(pattern, template)| (Pattern::new(pattern), template.clone()))
                .collect(),
            base: config.base_url.clone(),
        }
    }

    /// The URL to fetch. Each replacement sees the result of the one before; the base URL is put in front by plain
    /// concatenation unless the URL already starts with it.
    pub fn apply(&self, url: String) -> String {
        let mut url = url;
        for (pattern, template) in &self.replacements {
            if let Some(found) = pattern.find(&url) {
                let whole = found.first().map_or(0, |whole| whole.len());
                let rest = url.get(whole..).unwrap_or_default();
                url = expand(template, &found) + rest;
            }
        }
        if url.starts_with(&self.base) {
            url
        } else {
            format!("{}{url}", self.base)
        }
    }
}

/// Expands `$N`, `${N}` and `$$` by the rules of Go's and Rust's regex templates: a bare name is the longest run of
/// letters, digits and underscores; unknown groups are empty; anything else after `$` leaves the `$` as it is.
fn expand(template: &str, groups: &[&str]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = group_name(after) {
            let index: Option<usize> = name.parse().ok();
            let canonical = name == "0" || !name.starts_with(['0', '+']);
            let group = index.filter(|_| canonical).and_then(|i| groups.get(i));
            out.push_str(group.copied().unwrap_or_default());
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

/// The name behind a `$` and what follows it.
fn group_name(text: &str) -> Option<(&str, &str)> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    if let Some(braced) = text.strip_prefix('{') {
        return braced
            .split_once('}')
            .filter(|(name, _)| !name.is_empty() && name.chars().all(is_name));
    }
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|_| end > 0)
}

/// The patterns that a source URL has to match one of.
#[derive(Clone, Debug)]
pub struct AllowedSources {
    /// `None` allows everything.
    patterns: Option<Vec<Pattern>>,
}

impl AllowedSources {
    /// The rules of `IMGPROXY_ALLOWED_SOURCES`. An empty pattern, as a trailing comma makes it, would allow everything
    /// and is dropped; a list of nothing else allows nothing.
    pub fn new(config: &UrlConfig) -> Self {
        let list = &config.allowed_sources;
        let patterns = || {
            list.iter()
                .filter(|p| !p.is_empty())
                .map(|p| Pattern::new(p))
        };
        Self {
            patterns: (!list.is_empty()).then(|| patterns().collect()),
        }
    }

    /// Checks a URL after replacements and base URL.
    ///
    /// Dot segments are refused where there is a list: sources resolve them, and the prefix that a pattern matched
    /// would no longer be the one that is served.
    ///
    /// # Errors
    /// [`UrlError::SourceNotAllowed`] where no pattern matches at its start.
    pub fn check(&self, url: &str) -> Result<(), UrlError> {
        match &self.patterns {
            Some(patterns) if has_dot_segment(url) || !patterns.iter().any(|p| p.is_match(url)) => {
                Err(UrlError::SourceNotAllowed(url.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a segment is `.` or `..`, written plainly or with escapes.
fn has_dot_segment(url: &str) -> bool {
    url.split(['/', '\\', '?', '#']).any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preprocessor(replacements: &[(&str, &str)], base: &str) -> Preprocessor {
        Preprocessor {
            replacements: replacements
                .iter()
                .map(|(pattern, template)| (Pattern::new(pattern), (*template).to_owned()))
                .collect(),
            base: base.to_owned(),
        }
    }

    /// `spec/url.md` section 6.4.
    #[test]
    fn replacements_and_base_url() {
        for (replacements, base, url, expected) in [
            (
                &[("mys3://", "s3://b/i/")][..],
                "",
                "mys3://1.jpg",
                "s3://b/i/1.jpg",
            ),
            (
                &[("mys3://*/", "s3://b/${1}/i")],
                "",
                "mys3://x/1.jpg",
                "s3://b/x/i1.jpg",
            ),
            (
                &[("mys3://*/", "s3://b/${1}/i/")],
                "",
                "mys3://x/1.jpg",
                "s3://b/x/i/1.jpg",
            ),
            (
                &[("bar://*/*/", "http://x/$2-$1/")],
                "",
                "bar://a/b/c",
                "http://x/b-a/c",
            ),
            (&[("a://", "b://"), ("b://", "c://")], "", "a://x", "c://x"),
            (&[("q", "r=s")], "", "quux", "r=suux"),
            (&[("x", "y")], "", "ax", "ax"),
            (&[("", "y")], "", "x", "yx"),
            (&[("*", "[$0|$1|$2]")], "", "ab/c", "[ab|ab|]/c"),
            (
                &[("*", "$1x|${1}x|$$1|$|$-|${1|${}|$01")],
                "",
                "a",
                "|ax|$1|$|$-|${1|${}|",
            ),
            (&[], "http://base/img", "x.jpg", "http://base/imgx.jpg"),
            (&[], "http://base/img", "/x.jpg", "http://base/img/x.jpg"),
            (
                &[],
                "http://base/img",
                "http://base/imgfoo",
                "http://base/imgfoo",
            ),
            (
                &[],
                "http://base/img",
                "http://other/x",
                "http://base/imghttp://other/x",
            ),
            (&[("m://", "/")], "http://base", "m://x", "http://base/x"),
        ] {
            let preprocessor = preprocessor(replacements, base);
            assert_eq!(preprocessor.apply(url.to_owned()), expected, "{url}");
        }
    }

    #[test]
    fn allowed_sources() {
        let allowed = |patterns: Option<&[&str]>, url: &str| {
            let patterns = patterns.map(|list| list.iter().map(|p| Pattern::new(p)).collect());
            AllowedSources { patterns }.check(url).is_ok()
        };
        assert!(allowed(None, "anything"));
        assert!(!allowed(Some(&[]), "anything"));
        for (pattern, url, expected) in [
            ("https://x/", "https://x/y", true),
            ("https://x/", "HTTPS://x/y", false),
            ("https://x/", "http://x/y", false),
            ("https://*.x/", "https://a.b.x/y", true),
            ("https://*.x/", "https://evil/.x/", false),
            ("s3://b/*.jpg", "s3://b/x.jpg.exe", true),
            ("s3://b/*.jpg", "s3://b/c/x.jpg", false),
        ] {
            assert_eq!(allowed(Some(&[pattern]), url), expected, "{pattern} {url}");
        }
    }

    #[test]
    fn escapes() {
        for (text, valid) in [
            ("a%20", true),
            ("%zz", false),
            ("%", false),
            ("%2", false),
            ("%25zz", true),
            ("é%é", false),
        ] {
            assert_eq!(escapes_are_valid(text), valid, "{text}");
        }
        assert_eq!(url_text(b"a\xffb\xc3\xa9\xf0\x9f"), "a%FFbé%F0%9F");
    }
}
