//! References in values: what a browser's parser would make of them, without ever building the text of a bomb.
//!
//! Owns the entities that the document declares and the decoding of values. Declared values hold no references
//! themselves (the DOCTYPE filter empties those that do), so expansion is one level deep.

use std::borrow::Cow;
use std::collections::HashMap;

/// The general entities of one document.
#[derive(Debug, Default)]
pub(super) struct Entities {
    values: HashMap<Vec<u8>, String>,
}

/// A piece of decoded text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece<'a> {
    Char(char),
    /// A reference to an entity that nobody declared, without its delimiters.
    Unknown(&'a str),
}

impl Entities {
    /// Remembers a declared entity; the first declaration counts.
    pub(super) fn declare(&mut self, name: &[u8], value: String) {
        self.values.entry(name.to_vec()).or_insert(value);
    }

    /// The characters that `text` stands for.
    pub(super) fn decode<'a>(&'a self, text: &'a str) -> Decode<'a> {
        Decode {
            entities: self,
            rest: text,
            expansion: "",
        }
    }

    /// All of `text` decoded, unknown references as written. What declared entities add to the length is taken out of
    /// `budget`; none once that is spent.
    pub(super) fn decode_all<'a>(
        &self,
        text: &'a [u8],
        budget: &mut usize,
    ) -> Option<Cow<'a, str>> {
        let text = String::from_utf8_lossy(text);
        if !text.contains('&') {
            return Some(text);
        }
        let mut out = String::with_capacity(text.len());
        for piece in self.decode(&text) {
            match piece {
                Piece::Char(c) => out.push(c),
                Piece::Unknown(name) => {
                    out.push('&');
                    out.push_str(name);
                    out.push(';');
                }
            }
            if out.len() > text.len().saturating_add(*budget) {
                *budget = 0;
                return None;
            }
        }
        *budget -= out.len().saturating_sub(text.len());
        Some(Cow::Owned(out))
    }
}

/// Iterates over decoded text.
#[derive(Clone, Debug)]
pub(super) struct Decode<'a> {
    entities: &'a Entities,
    rest: &'a str,
    expansion: &'a str,
}

impl<'a> Iterator for Decode<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(c) = take_char(&mut self.expansion) {
                return Some(Piece::Char(c));
            }
            let text = self.rest;
            let c = take_char(&mut self.rest)?;
            if c != '&' {
                return Some(Piece::Char(c));
            }
            let Some((reference, rest)) = split_reference(text) else {
                return Some(Piece::Char('&'));
            };
            self.rest = rest;
            match reference {
                Reference::Char(c) => return Some(Piece::Char(c)),
                Reference::Named(name) => {
                    if let Some(c) = predefined(name) {
                        return Some(Piece::Char(c));
                    }
                    match self.entities.values.get(name.as_bytes()) {
                        Some(value) => self.expansion = value,
                        None => return Some(Piece::Unknown(name)),
                    }
                }
            }
        }
    }
}

/// A reference as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reference<'a> {
    /// `&#…;`.
    Char(char),
    /// `&name;`.
    Named(&'a str),
}

/// Splits off the reference that `text` starts with. A number need not end in `;`, as in HTML.
pub(super) fn split_reference(text: &str) -> Option<(Reference<'_>, &str)> {
    let body = text.strip_prefix('&')?;
    if let Some(number) = body.strip_prefix('#') {
        let (digits, radix) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16),
            None => (number, 10),
        };
        let end = digits.find(|c: char| !c.is_digit(radix));
        let (digits, rest) = digits.split_at_checked(end.unwrap_or(digits.len()))?;
        if digits.is_empty() {
            return None;
        }
        // Too many digits for a number is a character that does not exist.
        let code = u32::from_str_radix(digits, radix).ok();
        let c = code
            .and_then(char::from_u32)
            .unwrap_or(char::REPLACEMENT_CHARACTER);
        return Some((Reference::Char(c), rest.strip_prefix(';').unwrap_or(rest)));
    }
    let end = body.find(|c: char| c.is_ascii_whitespace() || "&;<>\"'=/#(){}".contains(c))?;
    let (name, rest) = body.split_at_checked(end)?;
    let rest = rest.strip_prefix(';')?;
    (!name.is_empty()).then_some((Reference::Named(name), rest))
}

/// The entities that XML itself declares.
pub(super) fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

fn take_char(text: &mut &str) -> Option<char> {
    let mut chars = text.chars();
    let c = chars.next()?;
    *text = chars.as_str();
    Some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes() {
        let mut entities = Entities::default();
        entities.declare(b"e", "x&#60;".into());
        entities.declare(b"e", "second".into());
        for (text, expected) in [
            ("plain é", "plain é"),
            ("&#106;&#x6A;&#X6a;", "jjj"),
            ("&#106a&#106", "jaj"),
            ("&#0;&#xD800;&#99999999999;", "\0\u{FFFD}\u{FFFD}"),
            ("&amp;lt;&lt;&gt;&quot;&apos;", "&lt;<>\"'"),
            ("a&e;b", "ax&#60;b"),
            ("&unknown; &Tab;", "&unknown; &Tab;"),
            (
                "& && &; &#; &#x; &a b; ?a=1&b=2;",
                "& && &; &#; &#x; &a b; ?a=1&b=2;",
            ),
        ] {
            let mut budget = 100;
            assert_eq!(
                entities.decode_all(text.as_bytes(), &mut budget).unwrap(),
                expected
            );
        }
    }

    #[test]
    fn expansion_is_bounded() {
        let mut entities = Entities::default();
        entities.declare(b"e", "x".repeat(1000));
        let mut budget = 2000;
        assert!(entities.decode_all(b"&e;&e;", &mut budget).is_some());
        assert!(budget < 10);
        assert!(entities.decode_all(b"&e;", &mut budget).is_none());
        assert!(entities.decode_all(b"&e;", &mut budget).is_none());
        assert!(entities.decode_all(b"&#120;", &mut budget).is_some());
    }
}
