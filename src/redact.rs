//! Secrets in text: passwords of URLs, signatures and tokens of queries, credentials of headers.
//!
//! Everything that leaves the server for people goes through here: log lines, debug headers, reported errors. It knows
//! nothing of where the text goes. Rule: `spec/security.md` case 73.

use std::borrow::Cow;
use std::ops::Range;

/// Stands in the place of a secret.
pub const MASK: &str = "***";

/// The text with [`MASK`] in the place of every secret that can be told from its surroundings:
///
/// - what stands before the `@` of a URL's authority,
/// - values of query parameters and pairs that are named like a secret, such as `X-Amz-Signature`, `sig`, `token`,
/// - what follows `Bearer` and `Basic`.
///
/// Percent escapes are looked through, also several layers of them, because source URLs stand escaped in request URLs.
pub fn text(text: &str) -> Cow<'_, str> {
    if !may_hold_secret(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let glyphs = glyphs(text);
    let mut secrets = Vec::new();
    userinfo(&glyphs, &mut secrets);
    named_values(&glyphs, &mut secrets);
    schemes(&glyphs, &mut secrets);
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    secrets.sort_by_key(|range| range.start);
    let mut out = String::with_capacity(text.len());
    let mut written = 0;
    for secret in secrets {
        if secret.end <= written {
            continue;
        }
        out.push_str(
            text.get(written..secret.start.max(written))
                .unwrap_or_default(),
        );
        out.push_str(MASK);
        written = secret.end;
    }
    out.push_str(text.get(written..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether [`text`] would change anything.
pub fn has_secret(value: &str) -> bool {
    matches!(text(value), Cow::Owned(_))
}

/// Whether the value of a header is a secret as a whole. `name` in any case.
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_IN_HEADER_NAMES
        .iter()
        .any(|part| name.contains(part))
}

/// A character after undoing escapes, where it stands in the text, and how often it was escaped.
struct Glyph {
    char: char,
    at: Range<usize>,
    depth: usize,
}

fn glyphs(text: &str) -> Vec<Glyph> {
    let mut glyphs = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let start = text.len() - rest.len();
        let (char, length, depth) = match escape(rest) {
            Some(escape) => escape,
            None => (char, char.len_utf8(), 0),
        };
        glyphs.push(Glyph {
            char,
            at: start..start + length,
            depth,
        });
        rest = rest.get(length..).unwrap_or_default();
    }
    glyphs
}

/// An escaped ASCII character at the start: the character, the length in bytes, the number of layers.
fn escape(text: &str) -> Option<(char, usize, usize)> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'%') {
        return None;
    }
    let (mut at, mut depth) = (1, 1);
    loop {
        let digit = |i: usize| char::from(*bytes.get(i)?).to_digit(16);
        let code = digit(at)? * 16 + digit(at + 1)?;
        let char = char::from_u32(code).filter(char::is_ascii)?;
        at += 2;
        // `%25` followed by two digits is the percent sign of the next layer.
        if char != '%' || digit(at).is_none() || digit(at + 1).is_none() {
            return Some((char, at, depth));
        }
        depth += 1;
    }
}

/// Between `://` and the last `@` of the authority. Proxies collapse the two slashes to one.
fn userinfo(glyphs: &[Glyph], secrets: &mut Vec<Range<usize>>) {
    for (colon, pair) in glyphs.windows(2).enumerate() {
        let [first, second] = pair else { continue };
        if (first.char, second.char) != (':', '/') || is_local(glyphs, colon) {
            continue;
        }
        let depth = second.depth;
        let slashes = after(glyphs, colon + 1)
            .take_while(|g| g.char == '/')
            .count();
        if slashes > 2 {
            continue;
        }
        let start = colon + 1 + slashes;
        let authority = after(glyphs, start).take_while(|g| {
            let ends = matches!(g.char, '/' | '?' | '#' | '\\') && g.depth <= depth;
            !ends && !ends_text(g)
        });
        let last = authority
            .enumerate()
            .filter(|(_, g)| g.char == '@')
            .last()
            .map(|(i, _)| start + i);
        if let Some(last) = last
            && let (Some(from), Some(to)) = (glyphs.get(start), glyphs.get(last))
            && start < last
        {
            secrets.push(from.at.start..to.at.start);
        }
    }
}

/// `local:/a@png` has a path, no authority.
fn is_local(glyphs: &[Glyph], colon: usize) -> bool {
    let before = glyphs.get(colon.saturating_sub(5)..colon);
    before.is_some_and(|word| word.iter().map(|g| g.char).eq("local".chars()))
}

/// Values of pairs whose name is in [`SECRET_NAMES`].
fn named_values(glyphs: &[Glyph], secrets: &mut Vec<Range<usize>>) {
    for (at, equals) in glyphs.iter().enumerate() {
        if !matches!(equals.char, '=' | ':') {
            continue;
        }
        let name: String = name_before(glyphs, at);
        if !SECRET_NAMES.contains(&name.as_str()) {
            continue;
        }
        // `Authorization: value` is a header; `token:` in an option or a sentence is none.
        let is_header = equals.char == ':';
        if is_header && !name.ends_with("authorization") {
            continue;
        }
        let blanks = after(glyphs, at + 1).take_while(|g| g.char == ' ').count();
        let start = at + 1 + if is_header { blanks } else { 0 };
        let value = after(glyphs, start).take_while(|g| {
            let ends = matches!(g.char, '&' | '#') && g.depth <= equals.depth;
            let in_header = is_header && g.char == ' ';
            !ends && (in_header || !ends_text(g))
        });
        let length = value.count();
        push(glyphs, start, length, secrets);
    }
}

/// The name in front of a position, in lower case; empty where it does not stand alone.
fn name_before(glyphs: &[Glyph], at: usize) -> String {
    let before = glyphs.get(..at).unwrap_or_default();
    let part = |g: &&Glyph| g.char.is_ascii_alphanumeric() || matches!(g.char, '-' | '_');
    let name: Vec<char> = before
        .iter()
        .rev()
        .take_while(part)
        .take(LONGEST_NAME + 1)
        .map(|g| g.char.to_ascii_lowercase())
        .collect();
    name.into_iter().rev().collect()
}

/// What follows an authentication scheme.
fn schemes(glyphs: &[Glyph], secrets: &mut Vec<Range<usize>>) {
    for (at, glyph) in glyphs.iter().enumerate() {
        if glyph.char != ' ' || !matches!(name_before(glyphs, at).as_str(), "bearer" | "basic") {
            continue;
        }
        let start = at + 1;
        let token = after(glyphs, start).take_while(|g| !ends_text(g));
        let (mut length, mut is_word) = (0, true);
        for g in token {
            length += 1;
            is_word &= g.char.is_ascii_lowercase() || matches!(g.char, '.' | ',' | ':');
        }
        // "bearer token" in a sentence.
        if !is_word {
            push(glyphs, start, length, secrets);
        }
    }
}

fn push(glyphs: &[Glyph], start: usize, length: usize, secrets: &mut Vec<Range<usize>>) {
    let value = glyphs.get(start..start + length).unwrap_or_default();
    if let (Some(first), Some(last)) = (value.first(), value.last()) {
        secrets.push(first.at.start..last.at.end);
    }
}

fn after(glyphs: &[Glyph], at: usize) -> impl Iterator<Item = &Glyph> {
    glyphs.get(at..).unwrap_or_default().iter()
}

/// What ends a URL that stands in a sentence.
fn ends_text(glyph: &Glyph) -> bool {
    glyph.depth == 0
        && (glyph.char.is_whitespace()
            || glyph.char.is_control()
            || matches!(glyph.char, '"' | '<' | '>'))
}

/// A quick look that spares most texts the thorough one.
fn may_hold_secret(text: &[u8]) -> bool {
    let ends_with = |before: &[u8], word: &[u8]| {
        let last = before.len().checked_sub(word.len());
        let last = last.and_then(|at| before.get(at..));
        last.is_some_and(|last| last.eq_ignore_ascii_case(word))
    };
    text.iter().enumerate().any(|(at, byte)| match byte {
        b'@' | b'=' | b'%' => true,
        b' ' => {
            let before = text.get(..at).unwrap_or_default();
            ends_with(before, b"bearer") || ends_with(before, b"basic")
        }
        _ => false,
    })
}

/// Names of pairs whose value is a secret, in lower case.
const SECRET_NAMES: &[&str] = &[
    "x-amz-signature",
    "x-amz-security-token",
    "x-goog-signature",
    "signature",
    "sig",
    "token",
    "access_token",
    "access-token",
    "refresh_token",
    "id_token",
    "auth",
    "auth_token",
    "authorization",
    "proxy-authorization",
    "key",
    "api_key",
    "api-key",
    "apikey",
    "secret",
    "client_secret",
    "password",
    "passwd",
    "pwd",
    "jwt",
    "hmac",
];

/// Longest of [`SECRET_NAMES`]; a longer name is another one.
const LONGEST_NAME: usize = 20;

/// A header with one of these in its name is a secret.
const SECRET_IN_HEADER_NAMES: &[&str] = &[
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "signature",
    "credential",
    "api-key",
    "apikey",
    "auth-key",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_masked() {
        for (given, expected) in [
            ("nothing to hide", "nothing to hide"),
            ("http://host/a@png", "http://host/a@png"),
            ("local:///dir/a.png@webp", "local:///dir/a.png@webp"),
            ("local:/a.png@webp", "local:/a.png@webp"),
            ("http://user:pass@host/a", "http://***@host/a"),
            ("http:/user:pass@host/a", "http:/***@host/a"),
            ("http://user@host", "http://***@host"),
            ("http://u:p@ss@host/a@png", "http://***@host/a@png"),
            ("http://u:p%2Fs%40s@host/a", "http://***@host/a"),
            (
                "/x/plain/http:%2F%2Fu:p%40host%2Fa.png@webp",
                "/x/plain/http:%2F%2F***%40host%2Fa.png@webp",
            ),
            (
                "http%253A%252F%252Fu%253Ap%2540host%252Fa",
                "http%253A%252F%252F***%2540host%252Fa",
            ),
            ("\"redis://:p@h/0\" failed", "\"redis://***@h/0\" failed"),
            (
                "https://b/a?X-Amz-Signature=ab%2Fc&X-Amz-Date=1",
                "https://b/a?X-Amz-Signature=***&X-Amz-Date=1",
            ),
            ("?SIG=a/b+c==&se=2", "?SIG=***&se=2"),
            ("a%3Fsig%3Dxyz%26b%3D1@png", "a%3Fsig%3D***%26b%3D1@png"),
            ("a?token=x#f token", "a?token=***#f token"),
            ("a?tokens=x&my-sig=y", "a?tokens=x&my-sig=y"),
            ("w:20/q:80", "w:20/q:80"),
            ("preset token:5", "preset token:5"),
            ("Bearer s3cret!", "Bearer ***"),
            ("got 'bearer aBc' there", "got 'bearer *** there"),
            ("the bearer token is wrong", "the bearer token is wrong"),
            (
                "Authorization: AWS4 Credential=A, Signature=f",
                "Authorization: ***",
            ),
            ("basic dXNlcjpwYXNz", "basic ***"),
            ("100%", "100%"),
            ("%zz%2", "%zz%2"),
            ("ü@ß=%C3%BC", "ü@ß=%C3%BC"),
        ] {
            assert_eq!(text(given), expected, "{given}");
            assert_eq!(has_secret(given), given != expected, "{given}");
        }
    }

    #[test]
    fn headers() {
        for name in [
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "X-Api-Key",
            "x-amz-security-token",
        ] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in ["accept", "host", "user-agent", "x-request-id"] {
            assert!(!is_secret_header(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_password_never_survives(host in "[a-z]{1,9}", secret in "[a-zA-Z0-9]{12,20}", tail in "\\PC{0,20}") {
            let url = format!("https://u:{secret}@{host}/{tail}?a=1&X-Amz-Signature={secret}&b=2");
            prop_assert!(!text(&url).contains(&secret));
        }

        #[test]
        fn any_text_is_taken(given in "[%@=:/?& a-zA-Z0-9é\"]{0,60}") {
            let once = text(&given).into_owned();
            prop_assert_eq!(text(&once).matches('é').count(), once.matches('é').count());
        }
    }
}
