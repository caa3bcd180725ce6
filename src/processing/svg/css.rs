//! Takes out of CSS what calls another server or runs a program: `@import`, and addresses in `url()` and its kin.
//!
//! Cuts text into the tokens of CSS as far as that needs. Everything else stays as written.

use super::rules::is_local_address;

/// The text without what is dangerous; none if there is nothing to take out.
pub(super) fn scrub(css: &str) -> Option<String> {
    let clean = Scrubber::new(css).run()?;
    // Whatever would come together only now is no accident.
    match Scrubber::new(&clean).run() {
        None => Some(clean),
        Some(_) => Some(String::new()),
    }
}

struct Scrubber<'a> {
    rest: &'a str,
    out: String,
    changed: bool,
    /// Open brackets.
    open: Vec<Bracket>,
    /// The number of brackets open around the `@import` that is being left out.
    import: Option<usize>,
    /// Whether this is the head of an `@namespace`, whose address is a name.
    namespace: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Bracket {
    /// `(` of a function that takes addresses as strings.
    Address,
    /// Any other `(` or a `[`.
    Other,
    /// `{`.
    Block,
}

impl<'a> Scrubber<'a> {
    fn new(css: &'a str) -> Self {
        Self {
            rest: css,
            out: String::with_capacity(css.len()),
            changed: false,
            open: Vec::new(),
            import: None,
            namespace: false,
        }
    }

    fn run(mut self) -> Option<String> {
        while let Some(first) = self.rest.chars().next() {
            match first {
                '/' if self.rest.starts_with("/*") => {
                    let end = self.rest.get(2..).and_then(|rest| rest.find("*/"));
                    let comment = self.take(end.map_or(self.rest.len(), |end| end + 4));
                    self.emit(comment);
                }
                '"' | '\'' => self.string(),
                '@' => self.at_rule(),
                c if is_name_char(c) || is_escape(self.rest) => self.name(),
                c => self.delimiter(c),
            }
        }
        self.changed.then_some(self.out)
    }

    fn string(&mut self) {
        let length = string_length(self.rest);
        let token = self.take(length);
        let address = unescape(token.trim_matches(['"', '\'']));
        let loaded = self.open.last() == Some(&Bracket::Address) && !self.namespace;
        if loaded && !is_local_address(&address) {
            self.replace(&format!("\"{}\"", unloadable(&address)));
        } else {
            self.emit(token);
        }
    }

    fn at_rule(&mut self) {
        let sign = self.take(1);
        let name = self.take(name_length(self.rest));
        match unescape(name).to_ascii_lowercase().as_str() {
            "import" if self.import.is_none() => {
                // A space, so that what stands on either side does not grow together.
                self.replace(" ");
                self.import = Some(self.open.len());
                return;
            }
            "namespace" => self.namespace = true,
            _ => {}
        }
        self.emit(sign);
        self.emit(name);
    }

    fn name(&mut self) {
        let text = self.rest;
        let length = name_length(text);
        let name = self.take(length);
        if !self.rest.starts_with('(') {
            self.emit(name);
            return;
        }
        let function = unescape(name).to_ascii_lowercase();
        let inside = self.rest.get(1..).unwrap_or_default();
        let argument = inside.trim_start_matches(is_css_space);
        if function != "url" || argument.starts_with(['"', '\'']) {
            let bracket = match ADDRESS_FUNCTIONS.contains(&function.as_str()) {
                true => Bracket::Address,
                false => Bracket::Other,
            };
            self.open.push(bracket);
            self.emit(name);
            let parenthesis = self.take(1);
            self.emit(parenthesis);
            return;
        }
        let end = url_length(inside);
        let address = inside.get(..end).unwrap_or_default();
        let close = inside.get(end..).is_some_and(|rest| rest.starts_with(')'));
        self.rest = inside.get(end + usize::from(close)..).unwrap_or_default();
        let address = unescape(address.trim_matches(is_css_space));
        if self.namespace || is_local_address(&address) {
            let whole = text.len() - self.rest.len();
            self.emit(text.get(..whole).unwrap_or_default());
        } else {
            self.replace(&format!("url({})", unloadable(&address)));
        }
    }

    fn delimiter(&mut self, c: char) {
        let token = self.take(c.len_utf8());
        match c {
            '(' | '[' => self.open.push(Bracket::Other),
            '{' => {
                self.namespace = false;
                self.open.push(Bracket::Block);
            }
            ')' | ']' => {
                self.open.pop_if(|open| *open != Bracket::Block);
            }
            '}' => {
                // A block ends whatever was left open in it.
                while self.open.pop().is_some_and(|open| open != Bracket::Block) {}
                if self.import.is_some_and(|depth| self.open.len() < depth) {
                    self.import = None;
                } else if self.import == Some(self.open.len()) {
                    self.import = None;
                    return;
                }
            }
            ';' => {
                self.namespace = false;
                if self.import.is_some_and(|depth| self.open.len() <= depth) {
                    self.import = None;
                    return;
                }
            }
            _ => {}
        }
        self.emit(token);
    }

    /// Takes `length` bytes off the rest.
    fn take(&mut self, length: usize) -> &'a str {
        let (token, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.rest = rest;
        token
    }

    fn emit(&mut self, token: &str) {
        if self.import.is_none() {
            self.out.push_str(token);
        }
    }

    fn replace(&mut self, token: &str) {
        self.emit(token);
        self.changed = true;
    }
}

/// What CSS calls an address that cannot be loaded, with a fragment where the old one had one: to a renderer, the
/// reference to a gradient elsewhere is another error than that to no gradient at all.
fn unloadable(address: &str) -> &'static str {
    if address.contains('#') {
        "about:invalid#removed"
    } else {
        "about:invalid"
    }
}

/// Bytes of the string that `text` starts with. An unescaped line end ends it as well.
fn string_length(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    let Some((_, quote)) = chars.next() else {
        return 0;
    };
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => {
                let escaped = chars.next();
                if escaped.is_some_and(|(_, c)| c == '\r') {
                    chars.next_if(|(_, c)| *c == '\n');
                }
            }
            '\n' | '\r' | '\x0C' => return index,
            c if c == quote => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// Bytes of the name that `text` starts with.
fn name_length(text: &str) -> usize {
    let mut chars = text.chars();
    loop {
        let rest = chars.as_str();
        if is_escape(rest) {
            chars.next();
            chars.next();
        } else if !chars.next().is_some_and(is_name_char) {
            return text.len() - rest.len();
        } else {
            continue;
        }
        skip_escape(rest, &mut chars);
    }
}

/// Moves past the hexadecimal digits and the white space of the escape at the start of `text`.
fn skip_escape<'a>(text: &'a str, chars: &mut std::str::Chars<'a>) {
    let Some(body) = text.get(1..) else { return };
    let digits = body
        .chars()
        .take(6)
        .take_while(char::is_ascii_hexdigit)
        .count();
    if digits == 0 {
        return;
    }
    let rest = body.get(digits..).unwrap_or_default();
    let rest = rest
        .strip_prefix("\r\n")
        .unwrap_or_else(|| rest.strip_prefix(is_css_space).unwrap_or(rest));
    *chars = rest.chars();
}

/// Bytes up to the `)` that closes an unquoted address.
fn url_length(text: &str) -> usize {
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            ')' => return index,
            _ => {}
        }
    }
    text.len()
}

/// The text with its escapes resolved.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    loop {
        let rest = chars.as_str();
        match chars.next() {
            None => return out,
            Some('\\') => {}
            Some(c) => {
                out.push(c);
                continue;
            }
        }
        let body = chars.as_str();
        let digits = body
            .chars()
            .take(6)
            .take_while(char::is_ascii_hexdigit)
            .count();
        if digits == 0 {
            // An escaped line end is nothing, any other character itself.
            out.extend(chars.next().filter(|c| !matches!(c, '\n' | '\r' | '\x0C')));
            continue;
        }
        let code = u32::from_str_radix(body.get(..digits).unwrap_or_default(), 16).ok();
        let c = code
            .and_then(char::from_u32)
            .unwrap_or(char::REPLACEMENT_CHARACTER);
        out.push(c);
        skip_escape(rest, &mut chars);
    }
}

/// Whether `text` starts with an escape that may stand in a name.
fn is_escape(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('\\') && !matches!(chars.next(), Some('\n' | '\r' | '\x0C'))
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii()
}

fn is_css_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0C')
}

/// Functions that load the address in a string.
const ADDRESS_FUNCTIONS: &[&str] = &["url", "src", "image", "image-set", "-webkit-image-set"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_styles_stay() {
        for css in [
            "",
            "fill:rgb(0,0,0);stroke:url(#a)",
            ".st0{fill:url( '#SVGID_1_' );} @media print { a { b: c } }",
            "@font-face{font-family:'A';src:local(\"B: C\"),url(data:font/woff;base64,AA==) format(\"woff\")}",
            "@namespace svg url(http://www.w3.org/2000/svg); a{b:c}",
            "@namespace \"http://www.w3.org/1999/xlink\";",
            "a[href=\"http://b\"]{content:\"url(http://c) @import x;\"}",
            "/* @import url(http://a) */ b{c:d}",
            "@charset \"utf-8\"; @importance x; import y; url x",
            "a{b:url(c.png)} } ) ] ( {",
            "\\",
            "\"",
            "a:\"\\",
            "url(",
            "@",
            "url(\\",
            "/*",
            "/* a",
            "\u{0}",
        ] {
            assert_eq!(scrub(css), None, "{css}");
        }
    }

    #[test]
    fn dangerous_parts_go() {
        for (css, expected) in [
            ("@import 'a'; b{c:d}", "  b{c:d}"),
            ("@IMPORT url(//a;b) print;b{c:d}", " b{c:d}"),
            ("@\\69mport \"a\";b", " b"),
            ("@\\000069 mport \"a;\" ;b", " b"),
            ("@imp\\ort 'a'", " "),
            ("@import 'a", " "),
            ("@import a{b;c}d", " d"),
            ("a{@import 'b'}c", "a{ }c"),
            ("<!--@import 'a';-->b", "<!-- -->b"),
            ("@im@import 'a';port 'b';", "@im port 'b';"),
            ("\"a\n@import 'b';", "\"a\n "),
            ("/**/@import/**/'a';b", "/**/ b"),
            ("a:url(http://b/c?d=(e) f", "a:url(about:invalid) f"),
            ("a:url(http://b/\\)c)d", "a:url(about:invalid)d"),
            ("a:URL( \"https://b\" )", "a:URL( \"about:invalid\" )"),
            ("a:u\\72l(javascript:b)", "a:url(about:invalid)"),
            ("a:url(java\\\nscript:b)", "a:url(about:invalid)"),
            ("a:url(//b#c)", "a:url(about:invalid#removed)"),
            ("a:url(//b)", "a:url(about:invalid)"),
            ("a:url(/\\2f b)", "a:url(about:invalid)"),
            ("a:url('/\\\n/b')", "a:url(\"about:invalid\")"),
            (
                "a:image-set('//b' 1x, \"c\" 2x)",
                "a:image-set(\"about:invalid\" 1x, \"c\" 2x)",
            ),
            ("a:src(\"http://b\")", "a:src(\"about:invalid\")"),
            (
                "@namespace a url(x:y); b:url(x:y)",
                "@namespace a url(x:y); b:url(about:invalid)",
            ),
            ("@namespace{a:url(b:c)}", "@namespace{a:url(about:invalid)}"),
            ("a:url(http:b", "a:url(about:invalid)"),
            ("\"\\\r\n\" @import 'a'; \"", "\"\\\r\n\"   \""),
        ] {
            let clean = scrub(css);
            assert_eq!(clean.as_deref(), Some(expected), "{css}");
            assert_eq!(scrub(expected), None, "{css}");
        }
    }
}
