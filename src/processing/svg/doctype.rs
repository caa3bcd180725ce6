//! Takes out of a DOCTYPE what can put markup or attributes into the document, and reads the entities that remain.
//!
//! An internal subset can declare entities whose text is markup, entities that multiply, entities that are files, and
//! default values for attributes. A file that does none of that keeps its DOCTYPE as written.

use super::entities::{Entities, Reference, predefined, split_reference};

/// Appends the filtered declaration (without `<!` and `>`) and fills `entities`. Nothing is appended for a declaration
/// that is no DOCTYPE.
pub(super) fn filter(declaration: &[u8], out: &mut Vec<u8>, entities: &mut Entities) {
    let keyword = declaration.get(..7).unwrap_or_default();
    if !keyword.eq_ignore_ascii_case(b"doctype") {
        return;
    }
    out.extend_from_slice(b"<!");
    match subset_start(declaration).and_then(|at| declaration.split_at_checked(at)) {
        Some((head, subset)) => {
            out.extend_from_slice(head);
            filter_subset(subset, out, entities);
        }
        None => out.extend_from_slice(declaration),
    }
    out.push(b'>');
}

/// Where the contents of the internal subset begin.
fn subset_start(declaration: &[u8]) -> Option<usize> {
    let mut quote = None;
    declaration.iter().enumerate().find_map(|(index, byte)| {
        match (quote, byte) {
            (Some(open), _) if open == *byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'[') => return Some(index + 1),
            _ => {}
        }
        None
    })
}

fn filter_subset(mut rest: &[u8], out: &mut Vec<u8>, entities: &mut Entities) {
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'<' => {
                let Some((kept, after)) = markup(after, entities) else {
                    break;
                };
                out.extend_from_slice(&kept);
                rest = after;
            }
            b']' => break,
            space if space.is_ascii_whitespace() => out.push(*space),
            // References to parameter entities, whose text would be declarations.
            _ => {}
        }
    }
    out.push(b']');
}

/// What is kept of the markup after a `<`, and what follows it.
fn markup<'a>(text: &'a [u8], entities: &mut Entities) -> Option<(Vec<u8>, &'a [u8])> {
    let whole = |body: &[u8]| [b"<", body, b">"].concat();
    if let Some(comment) = text.strip_prefix(b"!--") {
        let end = find(comment, b"-->")?;
        let (comment, rest) = comment.split_at_checked(end)?;
        let kept = match find(comment, b"--") {
            Some(_) => Vec::new(),
            None => [b"<!--", comment, b"-->"].concat(),
        };
        return Some((kept, rest.get(3..)?));
    }
    if let Some(instruction) = text.strip_prefix(b"?") {
        let rest = instruction.get(find(instruction, b"?>")? + 2..)?;
        return Some((Vec::new(), rest));
    }
    let end = declaration_end(text)?;
    let (body, rest) = text.split_at_checked(end)?;
    let rest = rest.get(1..)?;
    let kept = if let Some(entity) = body.strip_prefix(b"!ENTITY") {
        self::entity(entity, entities).map_or_else(Vec::new, |kept| match kept {
            Kept::AsWritten => whole(body),
            Kept::Emptied(name) => [b"<!ENTITY ", name, b" \"\">"].concat(),
        })
    } else {
        let harmless = if body.starts_with(b"!ATTLIST") {
            !body.iter().any(|byte| matches!(byte, b'"' | b'\''))
        } else {
            body.starts_with(b"!ELEMENT") || body.starts_with(b"!NOTATION")
        };
        match harmless && !body.iter().any(|byte| matches!(byte, b'%' | b'<')) {
            true => whole(body),
            false => Vec::new(),
        }
    };
    Some((kept, rest))
}

enum Kept<'a> {
    AsWritten,
    Emptied(&'a [u8]),
}

/// Judges what follows `<!ENTITY`; none where nothing is left to declare.
fn entity<'a>(text: &'a [u8], entities: &mut Entities) -> Option<Kept<'a>> {
    let text = text
        .first()?
        .is_ascii_whitespace()
        .then(|| text.trim_ascii())?;
    let end = text.iter().position(u8::is_ascii_whitespace)?;
    let (name, literal) = text.split_at_checked(end)?;
    let is_name = name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_:-.".contains(byte) || !byte.is_ascii());
    if !is_name || std::str::from_utf8(name).is_ok_and(|name| predefined(name).is_some()) {
        return None;
    }
    if let Some(value) = plain_value(literal.trim_ascii_start()) {
        entities.declare(name, value);
        return Some(Kept::AsWritten);
    }
    entities.declare(name, String::new());
    Some(Kept::Emptied(name))
}

/// The text of an entity that is nothing but text.
fn plain_value(literal: &[u8]) -> Option<String> {
    let (quote, rest) = literal.split_first()?;
    let inside = rest.strip_suffix(&[*quote])?;
    if !matches!(quote, b'"' | b'\'') || inside.contains(quote) {
        return None;
    }
    let mut rest = std::str::from_utf8(inside).ok()?;
    let mut value = String::with_capacity(rest.len());
    while let Some(c) = rest.chars().next() {
        match c {
            '<' | '%' => return None,
            '&' => {
                // A character reference becomes text that is parsed again, so that neither `<` nor `&` may come out.
                let (c, after) = match split_reference(rest)? {
                    (Reference::Char('<' | '&'), _) => return None,
                    (Reference::Char(c), after) => (c, after),
                    (Reference::Named(name), after) => (predefined(name)?, after),
                };
                value.push(c);
                rest = after;
            }
            c => {
                value.push(c);
                rest = rest.get(c.len_utf8()..)?;
            }
        }
    }
    Some(value)
}

/// Where the `>` of a declaration is; quotes may hold others.
fn declaration_end(text: &[u8]) -> Option<usize> {
    let mut quote = None;
    text.iter().position(|byte| {
        match (quote, byte) {
            (Some(open), _) if open == *byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'>') => return true,
            _ => {}
        }
        false
    })
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(declaration: &str) -> String {
        let mut out = Vec::new();
        filter(declaration.as_bytes(), &mut out, &mut Entities::default());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn harmless_declarations_stay() {
        for text in [
            "DOCTYPE svg",
            "DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" 'http://www.w3.org/[svg].dtd'",
            "DOCTYPE svg [\n  <!ENTITY ns \"http://www.w3.org/2000/svg\">\n <!ENTITY st0 'fill:#FFF;'> ]",
            "DOCTYPE svg [<!-- note --><!ELEMENT a (b)*><!NOTATION n PUBLIC \"x\"><!ATTLIST a b CDATA #IMPLIED>]",
            "DOCTYPE svg [<!ENTITY a \"a &amp; b &#233; ]>\">]",
        ] {
            assert_eq!(filtered(text), format!("<!{text}>"));
        }
    }

    #[test]
    fn dangerous_declarations_go() {
        for (subset, expected) in [
            ("<!ENTITY a '<script/>'>", "<!ENTITY a \"\">"),
            ("<!ENTITY a '&#60;script/>'>", "<!ENTITY a \"\">"),
            ("<!ENTITY a '&#x3c;script/>'>", "<!ENTITY a \"\">"),
            ("<!ENTITY a '&#38;b;'>", "<!ENTITY a \"\">"),
            ("<!ENTITY a '&b;&b;'>", "<!ENTITY a \"\">"),
            (
                "<!ENTITY a SYSTEM \"file:///etc/passwd\">",
                "<!ENTITY a \"\">",
            ),
            ("<!ENTITY a PUBLIC 'b' 'c'>", "<!ENTITY a \"\">"),
            ("<!ENTITY a 'b' 'c'>", "<!ENTITY a \"\">"),
            ("<!ENTITY % p SYSTEM 'http://127.0.0.1/'>%p;", ""),
            ("<!ENTITY % p \"<!ENTITY x '<b/>'>\"> %p; ", "  "),
            ("<!ENTITY lt 'x'>", ""),
            ("<!ENTITY>", ""),
            ("<!ENTITYa 'b'>", ""),
            ("<!ATTLIST svg onload CDATA 'alert(1)'>", ""),
            ("<!ELEMENT a (%p;)>", ""),
            ("<?xml-stylesheet href='a'?>", ""),
            ("<!-- a -- b -->", ""),
            ("<![INCLUDE[ ]]>", "]"),
            ("<!OTHER>", ""),
            ("text", ""),
        ] {
            let expected = format!("<!DOCTYPE svg [{expected}]>").replace("]]", "]");
            assert_eq!(
                filtered(&format!("DOCTYPE svg [{subset}]")),
                expected,
                "{subset}"
            );
        }
    }

    #[test]
    fn other_declarations_go() {
        for text in ["ENTITY a 'b'", "", "[CDATA[", "doc"] {
            assert_eq!(filtered(text), "");
        }
    }
}
