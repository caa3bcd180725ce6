//! Patterns with `*` for any run of characters other than `/`, anchored at the start only.

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
    ///
    /// The work grows with pattern length times text length, whatever the text: it comes from strangers.
    pub(super) fn find<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let (first, rest) = self.literals.split_first()?;
        let tail = text.strip_prefix(&**first)?;
        let mut ends: Vec<Vec<Option<usize>>> = Vec::with_capacity(rest.len());
        for literal in rest.iter().rev() {
            ends.push(longest_ends(tail, literal, ends.last()));
        }
        let mut position = 0;
        let mut runs = Vec::with_capacity(rest.len() + 1);
        runs.push("");
        for (ends, literal) in ends.iter().rev().zip(rest) {
            let end = at(ends, position)?;
            runs.push(tail.get(position..end)?);
            position = end + literal.len();
        }
        if let Some(whole) = runs.first_mut() {
            *whole = text.get(..first.len() + position)?;
        }
        Some(runs)
    }
}

/// For each position of `text`, where the longest run without `/` ends behind which `literal` follows and then the rest
/// of the pattern, whose own answer is `after`; without `after`, the pattern ends there.
fn longest_ends(
    text: &str,
    literal: &str,
    after: Option<&Vec<Option<usize>>>,
) -> Vec<Option<usize>> {
    let mut ends = vec![None; text.len() + 1];
    let mut longest = None;
    for (position, end) in ends.iter_mut().enumerate().rev() {
        if text.as_bytes().get(position) == Some(&b'/') {
            longest = None;
        }
        let fits = text.get(position..).is_some_and(|t| t.starts_with(literal))
            && after.is_none_or(|after| at(after, position + literal.len()).is_some());
        longest = longest.or(fits.then_some(position));
        *end = longest;
    }
    ends
}

fn at(ends: &[Option<usize>], position: usize) -> Option<usize> {
    ends.get(position).copied().flatten()
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
            ("a*c/*b", "abc/cc/b", None),
            ("a*/*b", "acc/xbyb/b", Some(vec!["acc/xbyb", "cc", "xby"])),
            ("é*é", "éaéaé/é", Some(vec!["éaéaé", "aéa"])),
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

    #[test]
    fn hostile_texts_take_linear_time() {
        let text = "https://".to_owned() + &".a".repeat(500_000);
        assert!(!Pattern::new("https://*.*.*.*.example/").is_match(&text));
    }
}
