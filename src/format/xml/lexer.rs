//! Cuts text into tags, text, comments, CDATA sections, processing instructions and declarations.
//!
//! Lenient about what SVG files in the wild get wrong and browsers repair: attributes without quotes or value. Time is
//! linear in the text, memory constant: attributes are read again each time they are asked for.

/// A piece of the text. All slices are the bytes as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Token<'a> {
    /// Character data with its references.
    Text(&'a [u8]),
    /// `<name attributes>` or, if `empty`, `<name attributes/>`.
    Start {
        /// The name with its prefix.
        name: &'a [u8],
        /// The attributes in order.
        attributes: Attributes<'a>,
        /// Whether the element ends here.
        empty: bool,
    },
    /// `</name>`.
    End(&'a [u8]),
    /// What `<!--` and `-->` enclose.
    Comment(&'a [u8]),
    /// What `<![CDATA[` and `]]>` enclose.
    CData(&'a [u8]),
    /// What `<?` and `?>` enclose.
    Instruction(&'a [u8]),
    /// What `<!` and `>` enclose: a DOCTYPE with its internal subset, or a stray declaration.
    Declaration(&'a [u8]),
}

/// The text breaks the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("XML syntax error")]
pub struct Malformed;

/// Iterates over the tokens; ends after the first error.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    rest: &'a [u8],
}

impl<'a> Lexer<'a> {
    /// Reads UTF-8 text without a byte-order mark.
    pub fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Result<Token<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((token, rest)) = token(self.rest) else {
            self.rest = &[];
            return Some(Err(Malformed));
        };
        self.rest = rest;
        Some(Ok(token))
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The name with its prefix.
    pub name: &'a [u8],
    /// The value without its quotes, references as written; empty where there is none.
    pub value: &'a [u8],
}

/// Iterates over the attributes of one tag, or over what a processing instruction writes like them.
#[derive(Clone, Debug, PartialEq)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads what follows a name. Ends at the end of the text, of the tag, and at a syntax error.
    pub fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// Whether nothing but white space is left.
    pub fn is_finished(&self) -> bool {
        self.rest.trim_ascii_start().is_empty()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (attribute, rest) = attribute(self.rest.trim_ascii_start())?;
        self.rest = rest;
        Some(attribute)
    }
}

fn token(text: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let Some(markup) = text.strip_prefix(b"<") else {
        let end = text.iter().position(|byte| *byte == b'<');
        let (text, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
        return Some((Token::Text(text), rest));
    };
    if let Some(comment) = markup.strip_prefix(b"!--") {
        let (comment, rest) = split_at(comment, b"-->")?;
        return Some((Token::Comment(comment), rest));
    }
    if let Some(data) = markup.strip_prefix(b"![CDATA[") {
        let (data, rest) = split_at(data, b"]]>")?;
        return Some((Token::CData(data), rest));
    }
    if let Some(instruction) = markup.strip_prefix(b"?") {
        let (instruction, rest) = split_at(instruction, b"?>")?;
        return Some((Token::Instruction(instruction), rest));
    }
    if let Some(declaration) = markup.strip_prefix(b"!") {
        let (declaration, rest) = split_declaration(declaration)?;
        return Some((Token::Declaration(declaration), rest));
    }
    if let Some(end) = markup.strip_prefix(b"/") {
        let (name, rest) = split_name(end)?;
        let rest = rest.trim_ascii_start().strip_prefix(b">")?;
        return Some((Token::End(name), rest));
    }
    start_tag(markup)
}

fn start_tag(markup: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let (name, inside) = split_name(markup)?;
    let mut rest = inside;
    loop {
        rest = rest.trim_ascii_start();
        let (empty, after) = match (rest.strip_prefix(b">"), rest.strip_prefix(b"/>")) {
            (Some(after), _) => (false, after),
            (_, Some(after)) => (true, after),
            _ => {
                (_, rest) = attribute(rest)?;
                continue;
            }
        };
        let (inside, _) = inside.split_at_checked(inside.len() - rest.len())?;
        let attributes = Attributes::new(inside);
        return Some((
            Token::Start {
                name,
                attributes,
                empty,
            },
            after,
        ));
    }
}

fn attribute(text: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let (name, rest) = split_name(text)?;
    let Some(value) = rest.trim_ascii_start().strip_prefix(b"=") else {
        return Some((Attribute { name, value: &[] }, rest));
    };
    let value = value.trim_ascii_start();
    let (value, rest) = match value.first() {
        Some(b'"') => split_at(value.get(1..)?, b"\"")?,
        Some(b'\'') => split_at(value.get(1..)?, b"'")?,
        _ => {
            let end = value
                .iter()
                .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'<'))
                .unwrap_or(value.len());
            let (bare, rest) = value.split_at_checked(end)?;
            match bare.strip_suffix(b"/") {
                // `<a b=c/>` is an empty element, `<a b=c/ >` is not.
                Some(shorter) if rest.starts_with(b">") => (shorter, value.get(shorter.len()..)?),
                _ => (bare, rest),
            }
        }
    };
    Some((Attribute { name, value }, rest))
}

/// Splits after a declaration whose `<!` has been read. Quotes, and comments and instructions in the internal subset,
/// may hold any of its delimiters.
fn split_declaration(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = text;
    let mut subset = false;
    let mut inner = false;
    loop {
        let (byte, after) = rest.split_first()?;
        rest = match byte {
            b'>' if inner => {
                inner = false;
                after
            }
            b'>' if !subset => {
                let (declaration, _) = text.split_at_checked(text.len() - rest.len())?;
                return Some((declaration, after));
            }
            b'"' | b'\'' if inner || !subset => split_at(after, &[*byte])?.1,
            b'[' if !subset => {
                subset = true;
                after
            }
            b']' if !inner => {
                subset = false;
                after
            }
            b'<' if subset && !inner => {
                if let Some(comment) = after.strip_prefix(b"!--") {
                    split_at(comment, b"-->")?.1
                } else if let Some(instruction) = after.strip_prefix(b"?") {
                    split_at(instruction, b"?>")?.1
                } else {
                    inner = true;
                    after
                }
            }
            _ => after,
        };
    }
}

/// Splits a name off.
fn split_name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if matches!(text.first()?, b'-' | b'.' | b'0'..=b'9') {
        return None;
    }
    let end = text.iter().position(|byte| !is_name_byte(*byte));
    match end {
        Some(0) => None,
        end => text.split_at_checked(end.unwrap_or(text.len())),
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-' | b'.') || !byte.is_ascii()
}

/// What stands before and after the first `end`.
fn split_at<'a>(text: &'a [u8], end: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(end.len()).position(|part| part == end)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.get(end.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens in a short notation.
    fn tokens(text: &str) -> Vec<String> {
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Lexer::new(text.as_bytes())
            .map(|token| match token {
                Ok(Token::Text(text)) => show(text),
                Ok(Token::Start {
                    name,
                    attributes,
                    empty,
                }) => {
                    let attributes: String = attributes
                        .map(|a| format!(" {}=[{}]", show(a.name), show(a.value)))
                        .collect();
                    format!(
                        "<{}{attributes}{}>",
                        show(name),
                        if empty { "/" } else { "" }
                    )
                }
                Ok(Token::End(name)) => format!("</{}>", show(name)),
                Ok(Token::Comment(text)) => format!("comment:{}", show(text)),
                Ok(Token::CData(text)) => format!("cdata:{}", show(text)),
                Ok(Token::Instruction(text)) => format!("pi:{}", show(text)),
                Ok(Token::Declaration(text)) => format!("declaration:{}", show(text)),
                Err(Malformed) => "error".into(),
            })
            .collect()
    }

    #[test]
    fn cuts() {
        let cases: &[(&str, &[&str])] = &[
            ("<a/>", &["<a/>"]),
            (
                "<x:a b='c>' d = \"e\" >t</x:a >",
                &["<x:a b=[c>] d=[e]>", "t", "</x:a>"],
            ),
            ("<a b c=d e='f'g=h/>", &["<a b=[] c=[d] e=[f] g=[h]/>"]),
            ("<a b=c/d/ >", &["<a b=[c/d/]>"]),
            ("<a b=/>", &["<a b=[]/>"]),
            ("<a b=>", &["<a b=[]>"]),
            ("<a b= c=d>", &["<a b=[c=d]>"]),
            ("<a b=x\"y'z>", &["<a b=[x\"y'z]>"]),
            ("<!-- <b> - -- --><a/>", &["comment: <b> - -- ", "<a/>"]),
            ("<![CDATA[<b>]]]]><a/>", &["cdata:<b>]]", "<a/>"]),
            ("<?xml a='?' ?> <a/>", &["pi:xml a='?' ", " ", "<a/>"]),
            (
                "<!DOCTYPE svg PUBLIC \"a>[b\" [<!ENTITY a ']>'><!-- ' ]> --><?p ']>?> %x; ] ><a/>",
                &[
                    "declaration:DOCTYPE svg PUBLIC \"a>[b\" [<!ENTITY a ']>'><!-- ' ]> --><?p ']>?> %x; ] ",
                    "<a/>",
                ],
            ),
            ("a > b ]]> &c; &", &["a > b ]]> &c; &"]),
        ];
        for (text, expected) in cases {
            assert_eq!(tokens(text), *expected, "{text}");
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "<",
            "<a",
            "<a b",
            "<a b=",
            "<a b='c",
            "<a / >",
            "<1>",
            "< a>",
            "<a =b>",
            "<a b=c<d>",
            "<a \"b\">",
            "</a",
            "</>",
            "</a b>",
            "<!--",
            "<!-- -",
            "<![CDATA[",
            "<?a",
            "<!DOCTYPE",
            "<!DOCTYPE a [",
            "<!DOCTYPE a [<!ENTITY b 'c>]>",
            "<a;b>",
        ] {
            assert_eq!(tokens(text), ["error"], "{text}");
        }
    }
}
