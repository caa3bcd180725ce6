//! Makes an SVG that goes out as it came safe to open: no scripts, no handlers, no addresses that run or call.
//!
//! Rule: `spec/formats.md` section 8. Owns the walk over the document and how it is written again; what is removed is
//! in [`rules`], [`css`] and [`doctype`]. A file without anything to remove keeps its text; only tags are written
//! uniformly. Time and memory are linear in the source, depth costs no stack, entities are not expanded into the result.

mod css;
mod doctype;
mod entities;
mod rules;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::{Error, Kind};
use crate::format::xml::{
    Attributes, Lexer, Malformed, Token, UnknownEncoding, local_name, to_utf8, write_attribute,
};
use entities::Entities;

/// Why a document cannot be sanitised.
#[derive(Debug, thiserror::Error)]
pub(super) enum SvgError {
    /// It breaks the grammar.
    #[error(transparent)]
    Syntax(#[from] Malformed),
    /// A closing tag that closes nothing, or not the element that is open.
    #[error("closing tag </{0}> does not match")]
    Mismatch(String),
    /// The text cannot be read.
    #[error(transparent)]
    Encoding(#[from] UnknownEncoding),
}

impl From<SvgError> for Error {
    fn from(error: SvgError) -> Self {
        Self::new(Kind::BrokenSvg, error.to_string())
    }
}

/// The document without what could harm who opens it, in UTF-8.
pub(super) fn sanitise(source: &[u8]) -> Result<Bytes, SvgError> {
    let text = to_utf8(source)?;
    let mut walk = Walk {
        out: Vec::with_capacity(text.len()),
        open: Vec::new(),
        unfinished_tag: false,
        removed_from: None,
        styles: Vec::new(),
        root_seen: false,
        entities: Entities::default(),
        budget: EXPANSION_BUDGET,
    };
    if source.starts_with(BYTE_ORDER_MARK) {
        walk.out.extend_from_slice(BYTE_ORDER_MARK);
    }
    for (index, token) in Lexer::new(&text).enumerate() {
        match token? {
            // Where it is not the first thing it is an error, unless what stands before it goes: then it would come to
            // name the encoding.
            Token::Instruction(text) if index > 0 && rules::is_declaration(text) => {}
            token => walk.token(token)?,
        }
    }
    while let Some(element) = walk.open.pop() {
        walk.close(&element);
    }
    // Where something went, the bytes at the beginning may now read as the mark of another encoding, in which the rest
    // says something else. No text that is well-formed gets here.
    match to_utf8(&walk.out) {
        Ok(Cow::Borrowed(_)) => Ok(walk.out.into()),
        _ => Err(Malformed.into()),
    }
}

struct Walk<'a> {
    out: Vec<u8>,
    open: Vec<Element<'a>>,
    /// Whether the last tag written lacks its `>`: it is an empty element unless something follows in it.
    unfinished_tag: bool,
    /// The depth of the element that is being left out.
    removed_from: Option<usize>,
    /// Open `style` elements.
    styles: Vec<Style>,
    root_seen: bool,
    entities: Entities,
    /// Characters that entities may still add to what is checked.
    budget: usize,
}

struct Element<'a> {
    name: &'a [u8],
    /// Whether it, and what it contains, may be HTML.
    html: bool,
}

struct Style {
    /// Number of open elements, this one included.
    depth: usize,
    /// Where in the output its tag lacks its `>`.
    start: usize,
    /// Its text so far; none if entities make it too long.
    css: Option<String>,
}

impl<'a> Walk<'a> {
    fn token(&mut self, token: Token<'a>) -> Result<(), SvgError> {
        match token {
            Token::Start {
                name,
                attributes,
                empty,
            } => self.start(name, &attributes, empty),
            Token::End(name) => {
                let element = self.open.pop().filter(|open| open.name == name);
                let Some(element) = element else {
                    return Err(SvgError::Mismatch(
                        String::from_utf8_lossy(name).into_owned(),
                    ));
                };
                self.close(&element);
            }
            Token::Text(text) => {
                if self.write(&[text]) {
                    self.style_text(text, true);
                }
            }
            Token::CData(data) => {
                if self.write(&[b"<![CDATA[", data, b"]]>"]) {
                    self.style_text(data, false);
                }
            }
            Token::Comment(comment) => {
                self.write(&[b"<!--", comment, b"-->"]);
            }
            Token::Instruction(instruction) => {
                if rules::keeps_instruction(instruction, &self.entities) {
                    self.write(&[b"<?", instruction, b"?>"]);
                }
            }
            // A declaration anywhere else is an error to a strict parser, which then declares nothing.
            Token::Declaration(text) if !self.root_seen => {
                doctype::filter(text, &mut self.out, &mut self.entities);
            }
            Token::Declaration(_) => return Err(Malformed.into()),
        }
        Ok(())
    }

    fn start(&mut self, name: &'a [u8], attributes: &Attributes<'a>, empty: bool) {
        self.root_seen = true;
        let inherited = self.open.last().is_some_and(|parent| parent.html);
        let html = inherited || rules::opens_html(name, attributes.clone(), &self.entities);
        let removed = self.removed_from.is_some()
            || rules::is_removed(name, html, attributes.clone(), &self.entities);
        if !removed {
            self.write(&[b"<", name]);
            self.unfinished_tag = true;
            for attribute in attributes.clone() {
                if rules::keeps_attribute(name, &attribute, &self.entities) {
                    self.attribute(attribute.name, attribute.value);
                }
            }
        }
        let element = Element { name, html };
        let depth = self.open.len() + 1;
        if empty {
            if !removed {
                self.close(&element);
            }
            return;
        }
        self.open.push(element);
        if removed {
            self.removed_from.get_or_insert(depth);
        } else if local_name(name).eq_ignore_ascii_case(b"style") {
            self.styles.push(Style {
                depth,
                start: self.out.len(),
                css: Some(String::new()),
            });
        }
    }

    fn attribute(&mut self, name: &[u8], value: &[u8]) {
        if !rules::is_css(name) {
            write_attribute(&mut self.out, name, value);
            return;
        }
        let Some(css) = self.entities.decode_all(value, &mut self.budget) else {
            return;
        };
        match css::scrub(&css) {
            Some(clean) => write_attribute(&mut self.out, name, escape(&clean).as_bytes()),
            None => write_attribute(&mut self.out, name, value),
        }
    }

    /// Closes an element that has been taken off the open ones.
    fn close(&mut self, element: &Element<'a>) {
        if let Some(depth) = self.removed_from {
            if depth == self.open.len() + 1 {
                self.removed_from = None;
            }
            return;
        }
        if let Some(style) = self.styles.pop_if(|style| style.depth > self.open.len()) {
            self.close_style(style);
        }
        if self.unfinished_tag {
            self.out.extend_from_slice(b"/>");
            self.unfinished_tag = false;
        } else {
            self.write(&[b"</", element.name, b">"]);
        }
    }

    /// Writes the text of a style sheet again if something had to be taken out.
    fn close_style(&mut self, style: Style) {
        let Some(clean) = style
            .css
            .map_or(Some(String::new()), |css| css::scrub(&css))
        else {
            return;
        };
        self.out.truncate(style.start);
        self.unfinished_tag = true;
        if !clean.is_empty() {
            self.write(&[escape(&clean).as_bytes()]);
        }
    }

    /// Adds to the style sheet that the text stands in, if any. Pieces count as one: browsers join them too.
    fn style_text(&mut self, text: &[u8], has_references: bool) {
        let depth = self.open.len();
        let Some(style) = self.styles.last_mut().filter(|style| style.depth == depth) else {
            return;
        };
        let Some(css) = &mut style.css else {
            return;
        };
        if !has_references {
            css.push_str(&String::from_utf8_lossy(text));
        } else if let Some(text) = self.entities.decode_all(text, &mut self.budget) {
            css.push_str(&text);
        } else {
            style.css = None;
        }
    }

    /// Writes something that is not part of a tag, unless it stands in an element that is left out.
    fn write(&mut self, parts: &[&[u8]]) -> bool {
        if self.removed_from.is_some() {
            return false;
        }
        if self.unfinished_tag {
            self.out.push(b'>');
            self.unfinished_tag = false;
        }
        for part in parts {
            self.out.extend_from_slice(part);
        }
        true
    }
}

/// Character data as it may stand in text and in a value.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Characters that entities may add to style sheets before those are dropped instead of checked.
const EXPANSION_BUDGET: usize = 1 << 20;
