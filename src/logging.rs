//! Log lines: one formatter for the four formats, and the level filter. Rule: `spec/monitoring.md` A4.
//!
//! Modules log through `tracing` and know nothing of formats. Everything from outside is escaped here, so that a
//! request cannot forge a line.

use std::fmt::{self, Write};
use std::time::SystemTime;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{DefaultFields, FormatEvent, Writer};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogConfig;
use crate::config::datetime::{Civil, civil};
use crate::config::logging::LogFormat;
use crate::telemetry::log::Lines;

/// Writes log lines to standard output from now on, and where `exported` is given, those of that level also to the
/// integration that asks for them. The first call in a process counts.
pub fn init(config: &LogConfig, exported: Option<Level>) {
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(DefaultFields::new())
        .event_format(LineFormat::new(config.format));
    let exported = exported.map(|level| Lines.with_filter(filter(config, level)));
    // An error says that a host program has set up its own subscriber, which is its right.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter(config, config.level)))
        .with(exported)
        .try_init();
}

/// Logs why the program cannot go on, at the level CRITICAL, which `tracing` does not have.
pub fn critical(message: &str) {
    tracing::error!(target: CRITICAL, "{message}");
}

/// Writes an event as one line.
#[derive(Clone, Copy, Debug)]
pub struct LineFormat {
    format: LogFormat,
    now: fn() -> SystemTime,
}

impl LineFormat {
    /// A formatter that uses the system's clock, in UTC.
    pub fn new(format: LogFormat) -> Self {
        Self {
            format,
            now: SystemTime::now,
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, DefaultFields> for LineFormat {
    fn format_event(
        &self,
        _: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut record = Record::default();
        event.record(&mut record);
        record.fields.sort_by_key(|(name, _)| last_rank(name));
        let severity = Severity::of(event);
        let time = civil((self.now)());
        let line = match self.format {
            LogFormat::Pretty => pretty(&record, severity, time),
            LogFormat::Structured => structured(&record, severity, time),
            LogFormat::Json => json(&record, severity, time, ("level", "msg")),
            LogFormat::Gcp => json(&record, severity, time, ("severity", "message")),
        };
        writeln!(writer, "{line}")
    }
}

/// What an event says.
#[derive(Default)]
struct Record {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Record {
    fn push(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            // The canonical form of options is an object; it comes as text because events have no nested values.
            (name @ OPTIONS_FIELD, Value::String(text)) => {
                let object = serde_json::from_str(&text).ok().filter(Value::is_object);
                self.fields
                    .push((name, object.unwrap_or(Value::String(text))));
            }
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value.into());
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

/// How a level is spelled and coloured.
#[derive(Clone, Copy)]
struct Severity {
    name: &'static str,
    short: &'static str,
    color: &'static str,
}

impl Severity {
    fn of(event: &Event<'_>) -> Self {
        let (name, short, color) = match *event.metadata().level() {
            Level::ERROR if event.metadata().target() == CRITICAL => ("CRITICAL", "CRT", "1;31"),
            Level::ERROR => ("ERROR", "ERR", "31"),
            Level::WARN => ("WARNING", "WRN", "33"),
            Level::INFO => ("INFO", "INF", "36"),
            Level::DEBUG | Level::TRACE => ("DEBUG", "DBG", "35"),
        };
        Self { name, short, color }
    }
}

fn filter(config: &LogConfig, level: Level) -> Targets {
    // Libraries are chatty below warnings and talk about their own affairs.
    let mut targets = Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target("imgforge", level);
    for (module, level) in &config.modules {
        targets = targets.with_target(module, *level);
    }
    targets.with_target(CRITICAL, Level::ERROR)
}

/// Fields that always come last, in this order; the others keep theirs.
fn last_rank(name: &str) -> usize {
    ["error", "error_docs_url", "source", "stack"]
        .iter()
        .position(|last| *last == name)
        .map_or(0, |at| at + 1)
}

fn pretty(record: &Record, severity: Severity, time: Civil) -> String {
    let Severity { short, color, .. } = severity;
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
    let mut line = format!("time=\"{}\" level={} msg=", spaced(time), severity.name);
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
        severity.name,
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

/// Appends `text` with everything escaped that could end a line or steer a terminal.
fn escape(line: &mut String, text: &str) {
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

/// Control characters, line separators, and marks that turn the direction of writing.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Target of [`critical`].
const CRITICAL: &str = "imgforge::critical";

/// The field that may hold an object as JSON text.
const OPTIONS_FIELD: &str = "processing_options";

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(format: LogFormat, level: Level, body: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let config = LogConfig {
            format,
            level,
            modules: vec![("quiet".to_owned(), Level::ERROR)],
        };
        let now = || UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(DefaultFields::new())
            .event_format(LineFormat { format, now })
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry()
            .with(layer)
            .with(filter(&config, config.level));
        tracing::subscriber::with_default(subscriber, body);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn request() {
        tracing::info!(
            error = "e",
            request_id = "r 1",
            status = 200_u64,
            processing_options = r#"{"width":20,"format":"webp"}"#,
            "Completed in {}ms /a",
            3
        );
    }

    #[test]
    fn the_four_formats() {
        for (format, expected) in [
            (
                LogFormat::Structured,
                "time=\"2026-01-01 00:00:00\" level=INFO msg=\"Completed in 3ms /a\" request_id=\"r 1\" status=200 \
                 processing_options.format=webp processing_options.width=20 error=e\n",
            ),
            (
                LogFormat::Json,
                "{\"time\":\"2026-01-01T00:00:00Z\",\"level\":\"INFO\",\"msg\":\"Completed in 3ms /a\",\
                 \"request_id\":\"r 1\",\"status\":200,\
                 \"processing_options\":{\"format\":\"webp\",\"width\":20},\"error\":\"e\"}\n",
            ),
            (
                LogFormat::Gcp,
                "{\"time\":\"2026-01-01T00:00:00Z\",\"severity\":\"INFO\",\"message\":\"Completed in 3ms /a\",\
                 \"request_id\":\"r 1\",\"status\":200,\
                 \"processing_options\":{\"format\":\"webp\",\"width\":20},\"error\":\"e\"}\n",
            ),
            (
                LogFormat::Pretty,
                "\x1b[90m2026-01-01 00:00:00\x1b[0m \x1b[36m[INF]\x1b[0m Completed in 3ms /a  \
                 \x1b[36mrequest_id\x1b[0m=\"r 1\"  \x1b[36mstatus\x1b[0m=200  \
                 \x1b[36mprocessing_options\x1b[0m={ format=webp width=20 }  \x1b[36merror\x1b[0m=e\n",
            ),
        ] {
            assert_eq!(lines(format, Level::INFO, request), expected);
        }
    }

    #[test]
    fn levels() {
        let all = || {
            tracing::debug!("d");
            tracing::warn!("w");
            tracing::error!("e");
            critical("c");
            tracing::info!(target: "hyper", "a library");
            tracing::warn!(target: "quiet::inside", "a module with its own level");
        };
        let levels = |level| {
            let text = lines(LogFormat::Structured, level, all);
            let name = |line: &str| line.split("level=").nth(1).unwrap().to_owned();
            text.lines().map(name).collect::<Vec<_>>()
        };
        assert_eq!(
            levels(Level::DEBUG),
            [
                "DEBUG msg=\"d\"",
                "WARNING msg=\"w\"",
                "ERROR msg=\"e\"",
                "CRITICAL msg=\"c\""
            ]
        );
        assert_eq!(
            levels(Level::ERROR),
            ["ERROR msg=\"e\"", "CRITICAL msg=\"c\""]
        );
    }

    #[test]
    fn nothing_from_outside_makes_a_line() {
        let evil = "a\nlevel=ERROR \"b\\\x1b[31m\u{7f}\u{9b}\u{2028}\u{202e}";
        for format in [
            LogFormat::Pretty,
            LogFormat::Structured,
            LogFormat::Json,
            LogFormat::Gcp,
        ] {
            let line = lines(format, Level::INFO, || {
                tracing::info!(image_url = evil, "{evil}")
            });
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            if format != LogFormat::Pretty {
                assert!(!line.contains('\x1b'), "{line:?}");
            }
            assert!(!line.contains("\x1b[31m"), "{line:?}");
        }
        let line = lines(LogFormat::Structured, Level::INFO, || {
            tracing::info!("{evil}")
        });
        assert!(
            line.ends_with(
                "msg=\"a\\nlevel=ERROR \\\"b\\\\\\u001b[31m\\u007f\\u009b\\u2028\\u202e\"\n"
            ),
            "{line:?}"
        );
    }

    #[test]
    fn options_that_are_no_object_stay_text() {
        let line = lines(LogFormat::Structured, Level::INFO, || {
            tracing::info!(processing_options = "width:20/height:30", empty = "", "m");
        });
        assert!(
            line.ends_with("msg=\"m\" processing_options=width:20/height:30 empty=\"\"\n"),
            "{line}"
        );
    }
}
