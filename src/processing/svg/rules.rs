//! What may not stay in a file: elements, attributes, addresses, processing instructions. Rules: `spec/formats.md`
//! section 8 with the gaps that it names closed.
//!
//! Names are compared by their local part and without regard to case, values after decoding, as browsers do.

use super::entities::{Entities, Piece};
use crate::format::xml::{Attribute, Attributes, local_name};

/// Whether an element goes with all it contains. `html` tells that it may be an element of HTML.
pub(super) fn is_removed(
    name: &[u8],
    html: bool,
    attributes: Attributes<'_>,
    entities: &Entities,
) -> bool {
    let local = local_name(name);
    is_one_of(local, REMOVED)
        || (html && is_one_of(local, REMOVED_HTML))
        || (is_animation(local) && targets_script(attributes, entities))
}

/// Whether the children of an element may be elements of HTML: its own kind, or one of its namespaces, says so.
pub(super) fn opens_html(name: &[u8], attributes: Attributes<'_>, entities: &Entities) -> bool {
    local_name(name).eq_ignore_ascii_case(b"foreignobject")
        || attributes
            .filter(|attribute| is_namespace(attribute.name))
            .any(|attribute| {
                let value = String::from_utf8_lossy(attribute.value);
                let decoded: String = characters(entities, &value).take(XHTML.len() + 1).collect();
                decoded == XHTML
            })
}

/// Whether an attribute stays. Rules 2 and 3.
pub(super) fn keeps_attribute(
    element: &[u8],
    attribute: &Attribute<'_>,
    entities: &Entities,
) -> bool {
    if is_namespace(attribute.name) {
        return true;
    }
    let (element, name) = (local_name(element), local_name(attribute.name));
    if starts_with(name, b"on") {
        return false;
    }
    if name.eq_ignore_ascii_case(b"href") {
        return keeps_address(element, attribute.value, entities);
    }
    // Other attributes hold addresses in HTML (`action`, `formaction`, `src`, `data`), and no value of a harmless one
    // looks like a script.
    !is_script(attribute.value, entities)
}

/// Whether the value of an attribute is CSS that may hold an address: a style, or a property written as an attribute.
pub(super) fn is_css(name: &[u8]) -> bool {
    is_one_of(local_name(name), CSS)
}

/// Whether a processing instruction stays. A style sheet may be a program that writes HTML, or an address to call.
pub(super) fn keeps_instruction(instruction: &[u8], entities: &Entities) -> bool {
    let (target, rest) = split_target(instruction);
    if !target.eq_ignore_ascii_case(b"xml-stylesheet") {
        return true;
    }
    let mut attributes = Attributes::new(rest);
    let harmless = attributes.by_ref().all(|attribute| {
        if attribute.name.eq_ignore_ascii_case(b"type") {
            return attribute.value == b"text/css";
        }
        let value = String::from_utf8_lossy(attribute.value);
        let address: String = characters(entities, &value).take(LONGEST_ADDRESS).collect();
        !attribute.name.eq_ignore_ascii_case(b"href")
            || (address.len() < LONGEST_ADDRESS
                && is_local_address(&address)
                && scheme(attribute.value, entities) == Scheme::None)
    });
    harmless && attributes.is_finished()
}

/// Whether this is the XML declaration.
pub(super) fn is_declaration(instruction: &[u8]) -> bool {
    split_target(instruction).0.eq_ignore_ascii_case(b"xml")
}

fn split_target(instruction: &[u8]) -> (&[u8], &[u8]) {
    let end = instruction.iter().position(u8::is_ascii_whitespace);
    instruction
        .split_at_checked(end.unwrap_or(instruction.len()))
        .unwrap_or_default()
}

/// Whether CSS may load an address: a part of this document, data, a neighbour of it, or what can never be loaded.
pub(super) fn is_local_address(address: &str) -> bool {
    let mut start = address.chars().filter(|c| !is_ignored(*c));
    if matches!(
        (start.next(), start.next()),
        (Some('/' | '\\'), Some('/' | '\\'))
    ) {
        return false;
    }
    match scheme_of(address.chars().map(Piece::Char), address.len()) {
        Scheme::Named(scheme) => {
            scheme == "data" || address == "about:invalid" || address == "about:invalid#removed"
        }
        Scheme::None => true,
        Scheme::Unclear => false,
    }
}

fn keeps_address(element: &[u8], value: &[u8], entities: &Entities) -> bool {
    if element.eq_ignore_ascii_case(b"use") {
        return value.first().is_none_or(|byte| *byte == b'#');
    }
    let data = element.eq_ignore_ascii_case(b"image");
    match scheme(value, entities) {
        Scheme::None => true,
        Scheme::Named(scheme) => match scheme.as_str() {
            "http" | "https" => true,
            "data" => data,
            _ => false,
        },
        Scheme::Unclear => false,
    }
}

/// What an address starts with.
#[derive(Debug, PartialEq)]
enum Scheme {
    /// No scheme: empty, a fragment, or relative.
    None,
    /// A scheme in lower case, cut where it is longer than any that matters.
    Named(String),
    /// It cannot be told, or not cheaply.
    Unclear,
}

fn scheme(value: &[u8], entities: &Entities) -> Scheme {
    let text = String::from_utf8_lossy(value);
    scheme_of(entities.decode(&text), text.len() + LONGEST_EXPANSION)
}

/// Reads at most `limit` characters.
fn scheme_of<'a>(pieces: impl Iterator<Item = Piece<'a>>, limit: usize) -> Scheme {
    let mut scheme = String::new();
    for (index, piece) in pieces.enumerate() {
        let c = match piece {
            _ if index >= limit => return Scheme::Unclear,
            Piece::Char(c) if is_ignored(c) => continue,
            Piece::Char(c) => c,
            Piece::Unknown(_) => return Scheme::Unclear,
        };
        match c {
            ':' if !scheme.is_empty() => return Scheme::Named(scheme),
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if !scheme.is_empty() => {}
            _ => return Scheme::None,
        }
        if scheme.len() < LONGEST_SCHEME {
            scheme.push(c.to_ascii_lowercase());
        }
    }
    Scheme::None
}

/// Whether a value is an address that is a program. Gives up on values that no longer look like one.
fn is_script(value: &[u8], entities: &Entities) -> bool {
    let text = String::from_utf8_lossy(value);
    let mut start = String::new();
    for (index, piece) in entities.decode(&text).enumerate() {
        if index >= text.len() + LONGEST_EXPANSION {
            return true;
        }
        let c = match piece {
            Piece::Char(c) => c,
            // Entities of HTML, in case somebody copies the file into a page.
            Piece::Unknown("colon") => ':',
            Piece::Unknown(_) => continue,
        };
        if is_ignored(c) {
            continue;
        }
        start.push(c.to_ascii_lowercase());
        if SCRIPT_SCHEMES.contains(&start.as_str()) {
            return true;
        }
        if !SCRIPT_SCHEMES
            .iter()
            .any(|scheme| scheme.starts_with(&start))
        {
            return false;
        }
    }
    false
}

/// Characters that browsers drop from an address, and those that nobody sees.
fn is_ignored(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(
            c,
            '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}'
        )
}

/// Whether an animation changes an address or a handler.
fn targets_script(mut attributes: Attributes<'_>, entities: &Entities) -> bool {
    attributes.any(|attribute| {
        if !local_name(attribute.name).eq_ignore_ascii_case(b"attributeName") {
            return false;
        }
        let value = String::from_utf8_lossy(attribute.value);
        let target: Vec<char> = characters(entities, &value)
            .take(LONGEST_EXPANSION)
            .collect();
        if target.len() == LONGEST_EXPANSION || target.contains(&'&') {
            return true;
        }
        let target: String = target.into_iter().filter(|c| !is_ignored(*c)).collect();
        let target = local_name(target.as_bytes());
        target.eq_ignore_ascii_case(b"href") || starts_with(target, b"on")
    })
}

/// Decoded text, with `&` for references to unknown entities.
fn characters<'a>(entities: &'a Entities, text: &'a str) -> impl Iterator<Item = char> {
    entities.decode(text).map(|piece| match piece {
        Piece::Char(c) => c,
        Piece::Unknown(_) => '&',
    })
}

fn is_namespace(name: &[u8]) -> bool {
    name == b"xmlns" || name.starts_with(b"xmlns:")
}

fn is_animation(local: &[u8]) -> bool {
    local.eq_ignore_ascii_case(b"set") || starts_with(local, b"animate")
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len())
        .is_some_and(|part| part.eq_ignore_ascii_case(start))
}

fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    names
        .iter()
        .any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
}

/// Elements that run scripts or ask for input; `handler` is the script element of SVG Tiny.
const REMOVED: &[&str] = &["script", "iframe", "form", "handler"];

/// Elements of HTML that run other documents, or change where this one's addresses lead.
const REMOVED_HTML: &[&str] = &[
    "applet", "base", "embed", "frame", "frameset", "link", "meta", "object", "portal",
];

/// Attributes whose value is CSS and may hold an address.
const CSS: &[&str] = &[
    "style",
    "fill",
    "stroke",
    "filter",
    "mask",
    "clip-path",
    "cursor",
    "marker",
    "marker-start",
    "marker-mid",
    "marker-end",
    "color-profile",
];

/// Schemes whose addresses are programs.
const SCRIPT_SCHEMES: &[&str] = &["javascript:", "livescript:", "vbscript:"];

const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// Characters kept of a scheme; more than any known one has.
const LONGEST_SCHEME: usize = 32;

/// Characters that entities may add to a value that is searched for a name, so that they cannot make it long work.
const LONGEST_EXPANSION: usize = 256;

/// Bytes of a style sheet's address.
const LONGEST_ADDRESS: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes() {
        let mut entities = Entities::default();
        entities.declare(b"j", "javascript:alert(1)".into());
        entities.declare(b"ok", "http://a/".into());
        entities.declare(b"long", "a".repeat(100_000));
        let named = |name: &str| Scheme::Named(name.into());
        let value = |text: &str| scheme(text.as_bytes(), &entities);
        for (text, expected) in [
            ("", Scheme::None),
            ("#a:b", Scheme::None),
            ("a/b:c", Scheme::None),
            ("1a:b", Scheme::None),
            (":a", Scheme::None),
            ("é:b", Scheme::None),
            ("?javascript:", Scheme::None),
            ("HTTP://a", named("http")),
            (" \n JaVaScRiPt:x", named("javascript")),
            ("java\tscr\nipt:", named("javascript")),
            ("\u{1}java&#10;script&#58;", named("javascript")),
            ("java&#x09;script&#x3A", named("javascript")),
            ("java\u{200B}script:", named("javascript")),
            ("&j;", named("javascript")),
            ("&ok;", named("http")),
            ("javascript&colon;x", Scheme::Unclear),
            ("&x;", Scheme::Unclear),
            ("a/&x;", Scheme::None),
            ("http:&x;", named("http")),
            ("a+b-c.d0:", named("a+b-c.d0")),
            ("&long;&long;", Scheme::Unclear),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        assert_eq!(
            value(&format!("{}:", "a".repeat(40))),
            named(&"a".repeat(32))
        );
    }

    #[test]
    fn css_addresses() {
        for address in [
            "#a",
            "",
            "a.png",
            "/a",
            "../a",
            "data:image/png;base64,AA",
            "?a:b",
        ] {
            assert!(is_local_address(address), "{address}");
        }
        for address in [
            "//a",
            " //a",
            "\\\\a",
            "/\\a",
            "/\t/a",
            "http://a",
            "HTTPS:a",
            "javascript:1",
            "file:///a",
            "x\ny:z",
        ] {
            assert!(!is_local_address(address), "{address}");
        }
    }

    #[test]
    fn instructions() {
        for (text, kept) in [
            ("xml version='1.0'", true),
            ("php echo", true),
            ("xml-stylesheet", true),
            ("xml-stylesheet type='text/css' href='style.css'", true),
            ("xml-stylesheet href='#style' type=\"text/css\"", true),
            ("xml-stylesheet type='text/xsl' href='#x'", false),
            ("xml-stylesheet type='text/&#120;sl' href='#x'", false),
            ("XML-Stylesheet type='text/css' href='http://a/'", false),
            ("xml-stylesheet href='//a'", false),
            ("xml-stylesheet href='&#47;/a'", false),
            ("xml-stylesheet ' type='text/xsl'", false),
            ("xml-stylesheet href='data:text/css,'", false),
            ("xml-stylesheet href='java&#10;script:a'", false),
        ] {
            assert_eq!(
                keeps_instruction(text.as_bytes(), &Entities::default()),
                kept,
                "{text}"
            );
        }
    }
}
