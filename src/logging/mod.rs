//! Log lines: which are written, and where to. Rule: `spec/monitoring.md` A4.
//!
//! Modules log through `tracing` and know nothing of formats. Lines go to standard output and, where it is on, to a
//! syslog daemon, which can hold nobody up.

mod line;
mod sample;
mod stdout;
mod syslog;
#[cfg(test)]
mod tests;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogConfig;
use crate::config::logging::{LogFormat, Threshold};
use crate::monitoring;
use crate::telemetry::log;
use line::{CRITICAL, Record, Severity};
use sample::{Sampler, kind};
use stdout::Stdout;
use syslog::Syslog;

pub use syslog::SyslogError;

/// Writes log lines from now on. The first call in a process counts. Lines of the level `exported` also go to the
/// integration that asks for them.
///
/// # Errors
/// Syslog is on and its daemon is not there. Lines go to standard output all the same.
pub fn init(config: &LogConfig, exported: Option<Level>) -> Result<(), SyslogError> {
    let mut outputs = vec![Output {
        filter: filter(config, Threshold::Level(config.level)),
        format: config.format,
        write: Box::new(|severity, line| {
            STDOUT
                .get_or_init(|| Stdout::open(stdout::print))
                .line(severity, line);
        }),
    }];
    let connected = if config.syslog.enabled {
        Syslog::connect(&config.syslog).map(Some)
    } else {
        Ok(None)
    };
    if let Ok(Some(syslog)) = &connected {
        let syslog = syslog.clone();
        let _ = SYSLOG.set(syslog.clone());
        outputs.push(Output {
            filter: filter(config, config.syslog.threshold),
            format: match config.format {
                // Colours mean nothing to a daemon.
                LogFormat::Pretty => LogFormat::Structured,
                other => other,
            },
            write: Box::new(move |severity, line| syslog.send(severity, line)),
        });
    }
    let exported = exported.map(|level| filter(config, Threshold::Level(level)));
    let mut lines = Lines::new(outputs, config.burst, SystemTime::now);
    lines.elsewhere.clone_from(&exported);
    // An error says that a host program has set up its own subscriber, which is its right.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(exported.map(|filter| log::Lines.with_filter(filter)))
        .try_init();
    std::panic::set_hook(Box::new(panicked));
    connected.map(|_| ())
}

/// A panic as a line like any other, instead of text on standard error.
fn panicked(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let error = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let source = info.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let stack = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(error, source, stack, "panic");
}

/// Writes the lines so far, and waits until they have been given to syslog, at most `limit`.
pub fn flush(limit: Duration) {
    if let Some(stdout) = STDOUT.get() {
        stdout.flush();
    }
    if let Some(syslog) = SYSLOG.get() {
        syslog.flush(limit);
    }
}

/// Logs why the program cannot go on, at the level CRITICAL, which `tracing` does not have.
pub fn critical(message: &str) {
    tracing::error!(target: CRITICAL, "{message}");
    flush(LAST_WORDS);
}

/// One place where lines go.
struct Output {
    filter: Targets,
    format: LogFormat,
    write: Write,
}

/// Takes a line without its end. Waits for nothing but a reader of standard output that is far behind.
type Write = Box<dyn Fn(Severity, &str) + Send + Sync>;

/// Turns events into lines.
struct Lines {
    outputs: Vec<Output>,
    sampler: Mutex<Sampler>,
    now: fn() -> SystemTime,
    /// What another layer wants.
    elsewhere: Option<Targets>,
}

impl Lines {
    fn new(outputs: Vec<Output>, burst: u32, now: fn() -> SystemTime) -> Self {
        Self {
            outputs,
            sampler: Mutex::new(Sampler::new(burst)),
            now,
            elsewhere: None,
        }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        self.outputs.iter().any(|output| output.wants(metadata))
    }

    /// Whether the line is to be written; writes what became of the lines of the second before.
    fn admits(&self, event: &Event<'_>, record: &Record, severity: Severity) -> bool {
        let kind = match severity {
            Severity::Warning | Severity::Error => Some(kind(event.metadata(), record)),
            _ => None,
        };
        let verdict = self
            .sampler
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admit(kind, Instant::now());
        if verdict.suppressed_before > 0 {
            let count = verdict.suppressed_before;
            let summary =
                Record::text(format!("{count} more warnings and errors were not written"));
            for output in &self.outputs {
                output.emit(&summary, Severity::Warning, (self.now)());
            }
        }
        if !verdict.write {
            monitoring::log_line_suppressed();
        }
        verdict.write
    }
}

impl Output {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        self.filter
            .would_enable(metadata.target(), metadata.level())
    }

    fn emit(&self, record: &Record, severity: Severity, time: SystemTime) {
        (self.write)(severity, &record.line(self.format, severity, time));
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let elsewhere = self.elsewhere.as_ref();
        let is_wanted = |filter: &Targets| filter.would_enable(metadata.target(), metadata.level());
        self.wants(metadata) || elsewhere.is_some_and(is_wanted)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if !self.wants(metadata) {
            return;
        }
        let severity = Severity::of(metadata);
        let record = Record::of(event);
        if !self.admits(event, &record, severity) {
            return;
        }
        let time = (self.now)();
        for output in &self.outputs {
            if output.wants(metadata) {
                output.emit(&record, severity, time);
            }
        }
    }
}

fn filter(config: &LogConfig, threshold: Threshold) -> Targets {
    let level = match threshold {
        Threshold::Level(level) => level,
        Threshold::Critical => return Targets::new().with_target(CRITICAL, Level::ERROR),
    };
    // Libraries are chatty below warnings and talk about their own affairs.
    let mut targets = Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target("imgforge", level);
    for (module, level) in &config.modules {
        targets = targets.with_target(module, *level);
    }
    targets.with_target(CRITICAL, Level::ERROR)
}

/// How long the last line may take to reach syslog.
const LAST_WORDS: Duration = Duration::from_secs(1);

static STDOUT: OnceLock<Arc<Stdout>> = OnceLock::new();
static SYSLOG: OnceLock<Syslog> = OnceLock::new();
