//! Log format and level, what is left out of lines, syslog.

use std::io::IsTerminal;

use tracing::Level;

use super::draft::Draft;
use super::errors::ConfigError;
use super::types::format::{BOOL, INT, STRING};
use super::types::{boolean, choice, non_negative};
use super::var::{Invalid, Scope, Var};

/// Shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// `key=value`.
    #[default]
    Structured,
    /// One JSON object a line.
    Json,
    /// JSON with Google Cloud's field names.
    Gcp,
}

/// `spec/configuration.md` section 3.8.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `LOG_FORMAT`; pretty on a terminal, else structured.
    pub format: LogFormat,
    /// `LOG_LEVEL`: the least severe level that is written.
    pub level: Level,
    /// Levels of single modules, from the filter form of `LOG_LEVEL`.
    pub modules: Vec<(String, Level)>,
    /// `IMGFORGE_LOG_BURST`: warnings and errors of one kind that are written in a second; 0 is unlimited.
    pub burst: u32,
    /// `IMGFORGE_LOG_REDACT_SIGNATURE`.
    pub redact_signature: bool,
    /// The copy for a syslog daemon.
    pub syslog: SyslogConfig,
}

/// Where lines go beside standard output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyslogConfig {
    /// `SYSLOG_ENABLE`.
    pub enabled: bool,
    /// `SYSLOG_LEVEL`; the level of the log where it is not set.
    pub threshold: Threshold,
    /// `SYSLOG_NETWORK`: `udp`, `tcp`, with `4` or `6` behind, `unix`, `unixgram`; empty is the local daemon.
    pub network: String,
    /// `SYSLOG_ADDRESS`: `host:port` or a path.
    pub address: String,
    /// `SYSLOG_TAG`.
    pub tag: String,
}

/// The least severe level of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// From this level on.
    Level(Level),
    /// Only what ends the program.
    Critical,
}

impl Default for Threshold {
    fn default() -> Self {
        Self::Level(Level::INFO)
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: Level::INFO,
            modules: Vec::new(),
            burst: 0,
            redact_signature: true,
            syslog: SyslogConfig::default(),
        }
    }
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "LOG_FORMAT",
        "",
        "pretty|structured|json|gcp",
        "Shape of a log line: for people, `key=value`, JSON, or JSON with the field names of Google Cloud.",
        |d, v| choice(v, FORMATS).map(|format| d.log_format = Some(format)),
    )
    .computed("`pretty` on a terminal, else `structured`", |c| {
        let name = FORMATS.iter().find(|(_, f)| *f == c.logging.format);
        name.map_or_else(String::new, |(name, _)| (*name).to_owned())
    }),
    Var::new(
        "LOG_LEVEL",
        "info",
        "debug|info|warn|error",
        "Least severe level that is logged; `warning` is `warn`. Also a filter such as `warn,imgforge::source=debug`, \
         where single modules have levels of their own.",
        |d, v| {
            let (level, modules) = filter(v)?;
            d.config.logging.level = level;
            d.config.logging.modules = modules;
            Ok(())
        },
    ),
    Var::new(
        "LOG_BURST",
        "100",
        INT,
        "How many warnings and errors of one kind are written in a second, and ten times as many of all kinds together. \
         What is beyond is counted in `imgforge_log_lines_suppressed_total` and summed up in one line. 0 writes all.",
        |d, v| non_negative(v).map(|n| d.config.logging.burst = n),
    )
    .scope(Scope::Own),
    Var::new(
        "LOG_REDACT_SIGNATURE",
        "true",
        BOOL,
        "Write `***` instead of the signature of a URL where signatures are checked. Passwords in source URLs, signatures \
         of presigned URLs, tokens and keys are never written.",
        |d, v| boolean(v).map(|b| d.config.logging.redact_signature = b),
    )
    .scope(Scope::Own),
    Var::new(
        "SYSLOG_ENABLE",
        "false",
        BOOL,
        "Send log lines to a syslog daemon as well. It has to be there when the server starts, but for UDP.",
        |d, v| boolean(v).map(|b| d.config.logging.syslog.enabled = b),
    ),
    Var::new(
        "SYSLOG_LEVEL",
        "",
        "debug|info|warn|error|crit",
        "Least severe level that is sent to syslog; `warning` is `warn`.",
        |d, v| choice(v, THRESHOLDS).map(|t| d.syslog_threshold = Some(t)),
    )
    .computed("the log level", |c| {
        let threshold = c.logging.syslog.threshold;
        let name = THRESHOLDS.iter().find(|(_, t)| *t == threshold);
        name.map_or_else(String::new, |(name, _)| (*name).to_owned())
    }),
    Var::new(
        "SYSLOG_NETWORK",
        "",
        STRING,
        "How the daemon is reached: `udp`, `udp4`, `udp6`, `tcp`, `tcp4`, `tcp6`, `unix`, `unixgram`. Not set, it is the \
         local one at `/dev/log`, `/var/run/syslog` or `/var/run/log`.",
        |d, v| {
            d.config.logging.syslog.network = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "SYSLOG_ADDRESS",
        "",
        STRING,
        "Where the daemon is: `host:port`, or the path of its socket. Required with `SYSLOG_NETWORK`.",
        |d, v| {
            d.config.logging.syslog.address = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "SYSLOG_TAG",
        "imgproxy",
        STRING,
        "Name of the program in syslog.",
        |d, v| {
            d.config.logging.syslog.tag = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "FAIL_ON_DEPRECATION",
        "false",
        BOOL,
        "Refuse to start where a deprecated variable is set.",
        |d, v| boolean(v).map(|b| d.fail_on_deprecation = b),
    ),
];

/// The default format, and what belongs together for syslog.
pub(super) fn complete(draft: &mut Draft) {
    let logging = &mut draft.config.logging;
    logging.format = draft.log_format.unwrap_or_else(|| {
        if std::io::stdout().is_terminal() {
            LogFormat::Pretty
        } else {
            LogFormat::Structured
        }
    });
    let syslog = &mut logging.syslog;
    syslog.threshold = draft
        .syslog_threshold
        .unwrap_or(Threshold::Level(logging.level));
    if syslog.enabled && !syslog.network.is_empty() && syslog.address.is_empty() {
        draft.errors.push(ConfigError::Together(
            "syslog address is required if syslog network is set, set IMGPROXY_SYSLOG_ADDRESS"
                .to_owned(),
        ));
    }
}

/// A level, or a comma-separated filter in which every part but one names a module.
fn filter(text: &str) -> Result<(Level, Vec<(String, Level)>), Invalid> {
    if !text.contains('=') {
        return choice(text, LEVELS).map(|level| (level, Vec::new()));
    }
    let mut level = Level::INFO;
    let mut modules = Vec::new();
    for part in text.split(',').map(str::trim) {
        match part.split_once('=') {
            Some((module, of_module)) if !module.is_empty() => {
                modules.push((module.to_owned(), choice(of_module, LEVELS)?));
            }
            Some(_) => return Err(Invalid::parse(format!("no module in {part:?}"))),
            None => level = choice(part, LEVELS)?,
        }
    }
    Ok((level, modules))
}

const FORMATS: &[(&str, LogFormat)] = &[
    ("pretty", LogFormat::Pretty),
    ("structured", LogFormat::Structured),
    ("json", LogFormat::Json),
    ("gcp", LogFormat::Gcp),
];

const LEVELS: &[(&str, Level)] = &[
    ("debug", Level::DEBUG),
    ("info", Level::INFO),
    ("warn", Level::WARN),
    ("warning", Level::WARN),
    ("error", Level::ERROR),
];

const THRESHOLDS: &[(&str, Threshold)] = &[
    ("debug", Threshold::Level(Level::DEBUG)),
    ("info", Threshold::Level(Level::INFO)),
    ("warn", Threshold::Level(Level::WARN)),
    ("warning", Threshold::Level(Level::WARN)),
    ("error", Threshold::Level(Level::ERROR)),
    ("crit", Threshold::Critical),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_filters() {
        let modules = |list: &[(&str, Level)]| -> Vec<(String, Level)> {
            list.iter().map(|(m, l)| ((*m).to_owned(), *l)).collect()
        };
        for (text, level, list) in [
            ("info", Level::INFO, modules(&[])),
            ("WARNING", Level::WARN, modules(&[])),
            (
                "imgforge=debug",
                Level::INFO,
                modules(&[("imgforge", Level::DEBUG)]),
            ),
            (
                "warn, a::b=error,c=debug",
                Level::WARN,
                modules(&[("a::b", Level::ERROR), ("c", Level::DEBUG)]),
            ),
        ] {
            assert_eq!(filter(text), Ok((level, list)), "{text}");
        }
        for text in [
            "crit",
            "0",
            "trace",
            "info,debug",
            "=debug",
            "a=loud",
            "a=debug,",
            "info ",
        ] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}
