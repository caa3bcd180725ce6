//! The syntax of environment files. Rule: `spec/configuration.md` section 6.1.
//!
//! Text in, names and values out; finding and reading the file is `env`'s business.

use std::collections::BTreeMap;

use thiserror::Error;

/// Why an environment file is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum DotenvError {
    /// No `=` and no `:`, or nothing in front of it.
    #[error("line {0} has no name and value")]
    NoSeparator(usize),
    /// Too long.
    #[error("line {0} has 64 KiB or more")]
    LineTooLong(usize),
}

/// Reads `text`; `outer` answers for names that `text` has not defined (yet). Of duplicates the later wins.
///
/// # Errors
///
/// The first line that cannot be read; nothing of the file counts then.
pub(super) fn parse(
    text: &str,
    outer: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, DotenvError> {
    let mut values = BTreeMap::new();
    for (i, line) in text.lines().enumerate() {
        if line.len() >= MAX_LINE {
            return Err(DotenvError::LineTooLong(i + 1));
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let line = without_comment(line);
        let (key, value) = split(&line).ok_or(DotenvError::NoSeparator(i + 1))?;
        let lookup = |name: &str| values.get(name).cloned().or_else(|| outer(name));
        let value = unquote(value, lookup);
        values.insert(key.to_owned(), value);
    }
    Ok(values)
}

/// Drops everything from the first `#` outside quotes. Quotes are counted between `#` signs: a piece with exactly one
/// of a kind opens or closes.
fn without_comment(line: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for piece in line.split('#') {
        let toggles = piece.matches('"').count() == 1 || piece.matches('\'').count() == 1;
        let closes = toggles && open;
        if toggles {
            open = !open;
        }
        if kept.is_empty() || open || closes {
            kept.push(piece);
        }
    }
    kept.join("#")
}

/// Splits at the first `=`, or at the first `:` where that comes before it, and takes blanks and `export` off the name.
fn split(line: &str) -> Option<(&str, &str)> {
    let at = line.find(['=', ':'])?;
    let (key, value) = line.split_at_checked(at)?;
    let value = value.strip_prefix(['=', ':'])?;
    let key = key.trim();
    let key = match key.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim(),
        _ => key,
    };
    (!key.is_empty()).then_some((key, value))
}

fn unquote(value: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let value = value.trim_matches(' ');
    if value.len() <= 1 {
        return value.to_owned();
    }
    let inside = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = inside('\'') {
        return literal.to_owned();
    }
    match inside('"') {
        Some(quoted) => expand(&unescape(quoted), lookup),
        None => expand(value, lookup),
    }
}

/// `\n` and `\r` become control characters; a backslash before any other character but `$` goes.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('$') => out.push_str("\\$"),
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}

/// Replaces `$NAME` and `${NAME}`; `\$` protects.
fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        rest = after;
        if let Some(before) = before.strip_suffix('\\') {
            out.push_str(before);
            out.push('$');
            continue;
        }
        out.push_str(before);
        match reference(after) {
            Some((name, tail)) => {
                out.push_str(&lookup(name).unwrap_or_default());
                rest = tail;
            }
            None => out.push('$'),
        }
    }
    out.push_str(rest);
    out
}

/// The name at the start of `text`, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let start = braced.unwrap_or(text);
    let length = start
        .bytes()
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
        .count();
    let (name, tail) = start.split_at_checked(length)?;
    let tail = if braced.is_some() {
        tail.strip_prefix('}')?
    } else {
        tail
    };
    (!name.is_empty()).then_some((name, tail))
}

/// A line of this many bytes fails the load.
const MAX_LINE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<String> {
        let outer = |name: &str| (name == "OUTER").then(|| "out".to_owned());
        parse(text, outer).unwrap().remove("K")
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("K=7", "7"),
            ("  K  =  7  ", "7"),
            ("export K=7", "7"),
            ("export\tK=7", "7"),
            ("K: 7", "7"),
            ("K=a=w:8", "a=w:8"),
            ("K=\"7\"", "7"),
            ("K='7'", "7"),
            ("K=", ""),
            ("K=7\r\n", "7"),
            ("K=\t7", "\t7"),
            ("K=1\nK=2", "2"),
            ("# c\n\n  # d\nK=1", "1"),
            // comments
            ("K=7 # seven", "7"),
            ("K=7#seven", "7"),
            ("K='a#b' # c", "a#b"),
            ("K=\"a#b#c\"", "a#b#c"),
            ("K=a # it's", "a # it's"),
            ("K=7\r", "7"),
            // quotes
            ("K=\"ab", "\"ab"),
            ("K=a\"b\"c", "a\"b\"c"),
            ("K='a\\tb'", "a\\tb"),
            ("K=\"", "\""),
            // backslashes
            ("K=\"a\\tb\\\\c\"", "atb\\c"),
            ("K=\"a\\nb\\rc\"", "a\nb\rc"),
            ("K=a\\tb", "a\\tb"),
            // variables
            ("A_B1=xy\nK=-$A_B1-${A_B1}-", "-xy-xy-"),
            ("V=xy\nK=\"<${V}>\"", "<xy>"),
            ("V=xy\nK='<${V}>'", "<${V}>"),
            ("V=xy\nK=<\\$V>", "<$V>"),
            ("V=xy\nK=\"<\\$V>\"", "<$V>"),
            ("K=<$OUTER>", "<out>"),
            ("OUTER=in\nK=<$OUTER>", "<in>"),
            ("K=<$NONE>", "<>"),
            ("K=$lower $", "$lower $"),
        ] {
            assert_eq!(one(text).as_deref(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn other_names() {
        assert_eq!(one("exportK=7"), None);
        assert_eq!(one("k=7"), None);
        assert_eq!(one("\u{feff}K=7"), None);
    }

    #[test]
    fn refused() {
        let error = |text: &str| parse(text, |_| None).unwrap_err();
        assert_eq!(error("K=7\nrubbish\n"), DotenvError::NoSeparator(2));
        assert_eq!(error("=7"), DotenvError::NoSeparator(1));
        assert_eq!(error("{\n\"K\": \"7\"\n}\n"), DotenvError::NoSeparator(1));
        assert_eq!(
            error(&format!("K={}", "x".repeat(64 * 1024))),
            DotenvError::LineTooLong(1)
        );
    }
}
