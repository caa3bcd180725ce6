//! The lines of a file of recordings.
//!
//! ```text
//! # a comment
//! server IMGPROXY_QUALITY=60                           starts a server for what follows; `server` alone has defaults
//! w:100/rot:90 rgb.png@jpg accept=image/webp ~9        a case: options (`-` is none), source, perhaps `Accept`, tolerance,
//!                                                      `before=8.15` where a later libvips gives something else
//!   -> 200 jpeg 67x100 rgb 0a1b2c...                   its recording, on the same line: status, facts, cells
//! ```

use super::picture::Picture;

/// One line.
#[derive(Debug, PartialEq)]
pub enum Line {
    /// Empty, or a comment.
    Plain,
    /// Variables of the server for the cases that follow. `{scene}` is the folder of the pictures, `{origin}` the address
    /// that serves them, and `base64:NAME` the contents of one.
    Server(Vec<(String, String)>),
    /// One request.
    Case(Case),
}

/// One request and what is recorded of its result.
#[derive(Debug, PartialEq)]
pub struct Case {
    pub options: String,
    /// Name of the picture, with `@format` where one is asked for.
    pub source: String,
    pub accept: Option<String>,
    /// The minor version of libvips 8 from which on its colour arithmetic gives something else: not compared there.
    before: Option<u32>,
    /// Most that a cell may be off, in levels of 255, where it is not the usual.
    within: Option<u8>,
    pub recorded: Option<Picture>,
}

impl Line {
    /// Reads one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.starts_with('#') {
            return Ok(Self::Plain);
        }
        if let Some(variables) = text.strip_prefix("server") {
            let pair = |word: &str| {
                let (name, value) = word.split_once('=').ok_or(format!("no value: {word}"))?;
                Ok((name.to_owned(), value.to_owned()))
            };
            return variables
                .split_whitespace()
                .map(pair)
                .collect::<Result<_, String>>()
                .map(Self::Server);
        }
        let (request, recorded) = match text.split_once(" -> ") {
            Some((request, recorded)) => (request, Some(recorded)),
            None => (text, None),
        };
        let mut words = request.split_whitespace();
        let options = words.next().ok_or("no options")?;
        let source = words.next().ok_or("no source")?.to_owned();
        let (mut accept, mut within, mut before) = (None, None, None);
        for word in words {
            if let Some(value) = word.strip_prefix("accept=") {
                accept = Some(value.to_owned());
            } else if let Some(version) = word.strip_prefix("before=8.") {
                before = Some(version.parse().map_err(|_| format!("what is {word}?"))?);
            } else {
                let level = word.strip_prefix('~').and_then(|level| level.parse().ok());
                within = Some(level.ok_or(format!("what is {word}?"))?);
            }
        }
        Ok(Self::Case(Case {
            options: if options == "-" { "" } else { options }.to_owned(),
            source,
            accept,
            before,
            within,
            recorded: recorded.map(Picture::parse).transpose()?,
        }))
    }
}

impl Case {
    /// Whether this libvips gives what is recorded.
    pub fn holds_for(&self, version: (u32, u32, u32)) -> bool {
        self.before.is_none_or(|minor| version < (8, minor, 0))
    }

    /// Most that a cell may be off, in levels of 255.
    pub fn within(&self) -> u8 {
        let lossy = self.recorded.as_ref().is_some_and(Picture::is_lossy);
        self.within
            .unwrap_or(if lossy { WITHIN_LOSSY } else { WITHIN })
    }

    /// The line with another recording.
    pub fn with(&self, picture: &Picture) -> String {
        let options = if self.options.is_empty() {
            "-"
        } else {
            &self.options
        };
        let mut line = format!("{options} {}", self.source);
        if let Some(accept) = &self.accept {
            line.push_str(&format!(" accept={accept}"));
        }
        if let Some(minor) = self.before {
            line.push_str(&format!(" before=8.{minor}"));
        }
        if let Some(within) = self.within {
            line.push_str(&format!(" ~{within}"));
        }
        format!("{line} -> {picture}")
    }
}

/// Rounding, and what one libvips resamples differently from another.
const WITHIN: u8 = 2;

/// What an encoder makes of such a difference, or another version of it of the same pixels.
const WITHIN_LOSSY: u8 = 5;

#[test]
fn lines_are_read_and_written() {
    for text in [
        "w:10 a.png@jpg -> 200 jpeg 8x4 rgb 0102ff",
        "- a.png accept=image/webp before=8.15 ~7 -> 422",
        "w:1/h:2 a.png -> 200 gif 2x2 rgba pages=2 delay=10,20 loop=3 0102ff80 00000000",
    ] {
        let Ok(Line::Case(case)) = Line::parse(text) else {
            panic!("{text}")
        };
        assert_eq!(case.with(case.recorded.as_ref().unwrap()), text);
    }
    assert_eq!(Line::parse("# w:1 a"), Ok(Line::Plain));
    assert_eq!(
        Line::parse("server A=b C="),
        Ok(Line::Server(vec![
            ("A".into(), "b".into()),
            ("C".into(), String::new())
        ]))
    );
    for text in [
        "w:1",
        "w:1 a ~x",
        "w:1 a b",
        "server A",
        "w:1 a -> x",
        "w:1 a -> 200 png 1x1 rgb 0",
    ] {
        assert!(Line::parse(text).is_err(), "{text}");
    }
}
