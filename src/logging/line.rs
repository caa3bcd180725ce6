//! The four shapes of a log line. Rule: `spec/monitoring.md` A4.
//!
//! Everything from outside is escaped and rid of secrets here, so that a request can neither forge a line nor put a
//! password into one.

use std::fmt::{self, Write};
use std::time::SystemTime;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use crate::config::datetime::{Civil, civil};
use crate::config::logging::LogFormat;
use crate::redact;

/// What an event says, without secrets.
#[derive(Default)]
pub(super) struct Record {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Record {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut record = Self::default();
        event.record(&mut record);
        record.fields.sort_by_key(|(name, _)| last_rank(name));
        record
    }

    /// A message of our own.
    pub(super) fn text(message: String) -> Self {
        Self {
            message,
            fields: Vec::new(),
        }
    }

    /// The message.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The value of a field.
    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        let found = self.fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, value)| value)
    }

    /// The record as one line without its end.
    pub(super) fn line(&self, format: LogFormat, severity: Severity, time: SystemTime) -> String {
        let time = civil(time);
        match format {
            LogFormat::Pretty => pretty(self, severity, time),
            LogFormat::Structured => structured(self, severity, time),
            LogFormat::Json => json(self, severity, time, ("level", "msg")),
            LogFormat::Gcp => json(self, severity, time, ("severity", "message")),
        }
    }

    fn push(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            // Events have no nested values.
            (name @ OPTIONS_FIELD, Value::String(text)) => {
                self.fields.push((name, options(&text)));
            }
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, redact::text(value).into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value.into());
    }
}

/// How bad a line is, from harmless to fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl Severity {
    pub(super) fn of(metadata: &Metadata<'_>) -> Self {
        match *metadata.level() {
            Level::ERROR if metadata.target() == CRITICAL => Self::Critical,
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warning,
            Level::INFO => Self::Info,
            Level::DEBUG | Level::TRACE => Self::Debug,
        }
    }

    /// Number in syslog. Rule: RFC 3164 section 4.1.1.
    pub(super) fn syslog(self) -> u8 {
        match self {
            Self::Critical => 2,
            Self::Error => 3,
            Self::Warning => 4,
            Self::Info => 6,
            Self::Debug => 7,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }

    /// Abbreviation and terminal colour.
    fn short(self) -> (&'static str, &'static str) {
        match self {
            Self::Critical => ("CRT", "1;31"),
            Self::Error => ("ERR", "31"),
            Self::Warning => ("WRN", "33"),
            Self::Info => ("INF", "36"),
            Self::Debug => ("DBG", "35"),
        }
    }
}

/// Fields that always come last, in this order; the others keep theirs.
fn last_rank(name: &str) -> usize {
    ["error", "error_docs_url", "source", "stack"]
        .iter()
        .position(|last| *last == name)
        .map_or(0, |at| at + 1)
}

fn pretty(record: &Record, severity: Severity, time: Civil) -> String {
    let (short, color) = severity.short();
    let mut line = format!(
        "\x1b[90m{}\x1b[0m \x1b[{color}m[{short}]\x1b[0m ",
        spaced(time)
    );
    escape(&mut line, &record.message);
    for (name, value) in &record.fields {
        line.push_str("  \x1b[");
        line.push_str(color);
        line.push('m');
        line.push_str(name);
        line.push_str("\x1b[0m=");
        if let Value::Object(members) = value {
            line.push_str("{ ");
            for (key, value) in members {
                push_pair(&mut line, key, value);
                line.push(' ');
            }
            line.push('}');
        } else {
            push_value(&mut line, value);
        }
    }
    line
}

fn structured(record: &Record, severity: Severity, time: Civil) -> String {
    let mut line = format!("time=\"{}\" level={} msg=", spaced(time), severity.name());
    push_quoted(&mut line, &record.message);
    for (name, value) in &record.fields {
        if let Value::Object(members) = value {
            for (key, value) in members {
                line.push(' ');
                push_pair(&mut line, &format!("{name}.{key}"), value);
            }
        } else {
            line.push(' ');
            push_pair(&mut line, name, value);
        }
    }
    line
}

fn json(record: &Record, severity: Severity, time: Civil, keys: (&str, &str)) -> String {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = time;
    let mut line = format!(
        "{{\"time\":\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z\",\"{}\":\"{}\",\"{}\":{}",
        keys.0,
        severity.name(),
        keys.1,
        Value::from(record.message.as_str()),
    );
    for (name, value) in &record.fields {
        // Written by hand because a map would lose the order of the fields.
        line.push(',');
        line.push_str(&Value::from(*name).to_string());
        line.push(':');
        line.push_str(&value.to_string());
    }
    line.push('}');
    line
}

fn spaced(time: Civil) -> String {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = time;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

fn push_pair(line: &mut String, key: &str, value: &Value) {
    escape(line, key);
    line.push('=');
    push_value(line, value);
}

fn push_value(line: &mut String, value: &Value) {
    match value {
        Value::String(text) if is_plain(text) => line.push_str(text),
        Value::String(text) => push_quoted(line, text),
        Value::Array(_) | Value::Object(_) => push_quoted(line, &value.to_string()),
        other => line.push_str(&other.to_string()),
    }
}

fn push_quoted(line: &mut String, text: &str) {
    line.push('"');
    if is_harmless(text) && !text.contains(['"', '\\']) {
        line.push_str(text);
        line.push('"');
        return;
    }
    for part in text.split_inclusive(['"', '\\']) {
        match part.strip_suffix(['"', '\\']) {
            Some(before) => {
                escape(line, before);
                line.push('\\');
                line.push(if part.ends_with('"') { '"' } else { '\\' });
            }
            None => escape(line, part),
        }
    }
    line.push('"');
}

/// Whether a value can stand without quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| !c.is_whitespace() && !is_dangerous(c) && !matches!(c, '"' | '\\' | '='))
}

/// The canonical form of options, `name:value/name:a:b`, as an object, as imgproxy logs it.
fn options(text: &str) -> Value {
    let segments = text.split('/').filter(|segment| !segment.is_empty());
    let pairs = segments.map(|segment| {
        let (name, value) = segment.split_once(':').unwrap_or((segment, ""));
        let number = value.parse::<i64>().map(Value::from);
        (name.to_owned(), number.unwrap_or_else(|_| value.into()))
    });
    Value::Object(pairs.collect())
}

/// Appends `text` with everything escaped that could end a line or steer a terminal.
fn escape(line: &mut String, text: &str) {
    if is_harmless(text) {
        line.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if is_dangerous(c) => {
                // Writing to a string cannot fail.
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
}

/// Whether nothing of it has to be escaped. Most texts are of such characters only.
fn is_harmless(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Control characters, line separators, and marks that turn the direction of writing.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Target of [`super::critical`].
pub(super) const CRITICAL: &str = "imgforge::critical";

/// The field that holds options in their canonical form.
const OPTIONS_FIELD: &str = "processing_options";
