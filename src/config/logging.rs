//! Log format and level.

use std::io::IsTerminal;

use tracing::Level;

use super::draft::Draft;
use super::types::format::BOOL;
use super::types::{boolean, choice};
use super::var::{Invalid, Var};

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
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: Level::INFO,
            modules: Vec::new(),
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
        "FAIL_ON_DEPRECATION",
        "false",
        BOOL,
        "Refuse to start where a deprecated variable is set.",
        |d, v| boolean(v).map(|b| d.fail_on_deprecation = b),
    ),
];

/// The default format.
pub(super) fn complete(draft: &mut Draft) {
    draft.config.logging.format = draft.log_format.unwrap_or_else(|| {
        if std::io::stdout().is_terminal() {
            LogFormat::Pretty
        } else {
            LogFormat::Structured
        }
    });
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
