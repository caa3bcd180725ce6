//! One URL option as data, and the lenient argument readers of the URL grammar. Rule: `spec/options.md` section 1.

use thiserror::Error;

/// Who may use an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Only where `IMGPROXY_ALLOW_SECURITY_OPTIONS` is on.
    Security,
}

/// Heading of an option in the generated documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Sizes and positions.
    Geometry,
    /// Colours and filters.
    Effects,
    /// Format, quality and metadata.
    Output,
    /// Delivery of the response.
    Handling,
    /// Limits.
    Security,
}

/// One URL option: its names, its documentation, and the function that stores its arguments in a `T`.
#[derive(Debug)]
pub struct OptionDef<T: 'static> {
    /// Long name.
    pub name: &'static str,
    /// Short names, in order of preference.
    pub aliases: &'static [&'static str],
    /// Argument pattern, such as `resize:%type:%width`.
    pub usage: &'static str,
    /// An option segment that parses with the default configuration (for `Access::Security`: where allowed).
    pub example: &'static str,
    /// Heading in the documentation.
    pub group: Group,
    /// One line, no full stop.
    pub summary: &'static str,
    /// Markdown: meaning, units, ranges, defaults.
    pub docs: &'static str,
    /// Who may use it.
    pub access: Access,
    /// Validates and stores; no I/O, no clock.
    pub apply: fn(&mut T, &Args<'_>) -> Result<(), ArgError>,
}

/// The arguments of one option segment, as written.
#[derive(Clone, Debug)]
pub struct Args<'a> {
    values: Vec<&'a str>,
}

/// Why arguments were refused. `key` is the storage key of `spec/options.md`, not the name used in the URL.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ArgError {
    /// Wrong number of arguments, or arguments that are wrong together.
    #[error("Invalid {key} arguments: [{args}]")]
    Arguments {
        /// Storage key.
        key: String,
        /// The arguments, joined by single spaces.
        args: String,
    },
    /// One bad value.
    #[error("Invalid {key}: {value}{}", expectation(.expected))]
    Value {
        /// Storage key.
        key: String,
        /// The value as written.
        value: String,
        /// What would have been right; empty for no expectation.
        expected: String,
    },
    /// A sentence of its own.
    #[error("{0}")]
    Other(String),
}

fn expectation(expected: &str) -> String {
    if expected.is_empty() {
        String::new()
    } else {
        format!(" (expected {expected})")
    }
}
