//! Patterns with `*` for any run of characters other than `/`, anchored at the start only.

use std::collections::HashSet;
use std::ops::Range;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// The text before the first `*`, then what follows each.
    literals: Vec<String>,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Self {
        Self {
            literals: pattern.split('*').map(str::to_owned).collect(),
        }
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// What matches at the start of `text`: the whole, then what each `*` stands for. Each `*` takes as much as the
    /// rest of the pattern allows, from left to right.
    pub(super) fn find<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let (first, rest) = self.literals.split_first()?;
        if !text.starts_with(&**first) {
            return None;
        }
        let mut runs = Vec::with_capacity(rest.len());
        let end = runs_from(text, first.len(), rest, &mut runs, &mut HashSet::new())?;
        let whole = std::iter::once(0..end);
        whole.chain(runs).map(|range| text.get(range)).collect()
    }
}

/// Matches a run and a literal for each element of `literals` from `start` on and returns where the match ends.
/// `failed` keeps what was tried in vain, so that the work is bounded by pattern length times text length squared.
fn runs_from(
    text: &str,
    start: usize,
    literals: &[String],
    runs: &mut Vec<Range<usize>>,
    failed: &mut HashSet<(usize, usize)>,
) -> Option<usize> {
    let Some((literal, rest)) = literals.split_first() else {
        return Some(start);
    };
    if failed.contains(&(start, literals.len())) {
        return None;
    }
    let tail = text.get(start..)?;
    let longest = tail.find('/').unwrap_or(tail.len());
    let ends = (0..=longest)
        .rev()
        .filter(|end| tail.is_char_boundary(*end));
    for end in ends.map(|end| start + end) {
        if text.get(end..).is_some_and(|t| t.starts_with(&**literal)) {
            runs.push(start..end);
            let found = runs_from(text, end + literal.len(), rest, runs, failed);
            if found.is_some() {
                return found;
            }
            runs.pop();
        }
    }
    failed.insert((start, literals.len()));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches() {
        for (pattern, text, expected) in [
            ("", "anything", Some(vec![""])),
            ("http://a/", "http://a/b", Some(vec!["http://a/"])),
            ("http://a/", "HTTP://a/b", None),
            ("a://*/", "a://items/x/y", Some(vec!["a://items/", "items"])),
            ("a://*/", "a://items", None),
            ("*/*/", "a/b/c", Some(vec!["a/b/", "a", "b"])),
            (
                "s3://b/*.jpg",
                "s3://b/x.jpg.jpg.exe",
                Some(vec!["s3://b/x.jpg.jpg", "x.jpg"]),
            ),
            ("*a*b", "xaabb/", Some(vec!["xaabb", "xa", "b"])),
            ("**", "é/", Some(vec!["é", "é", ""])),
            (
                "*a*a*a*a*c",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
                None,
            ),
        ] {
            assert_eq!(
                Pattern::new(pattern).find(text),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
