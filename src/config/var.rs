//! One environment variable as data. Parsing, documentation, masking and error texts all come from these rows.

use super::Config;
use super::draft::Draft;

/// One variable: its names, its documentation, and the function that stores its value.
#[derive(Clone, Copy, Debug)]
pub struct Var {
    /// Name without prefix.
    pub name: &'static str,
    /// Which prefixes are looked up, and in which order.
    pub scope: Scope,
    /// What holds where the variable is not set.
    pub default: DefaultValue,
    /// Text of `<format>` in messages and documentation.
    pub format: &'static str,
    /// Markdown: meaning, units, ranges.
    pub help: &'static str,
    /// Whether the value is hidden in messages and dumps.
    pub secret: bool,
    /// Whether SIGHUP reads it again.
    pub reloaded: bool,
    /// Which blank values count as "not set".
    pub blank: Blank,
    /// Other names that are still read; the first name that is set wins.
    pub aliases: &'static [Alias],
    /// Where the value in effect is not the text of the variable: how to write it down.
    pub(super) show: Option<fn(&Config) -> String>,
    /// Parses, checks and stores. Only files named by the value are read.
    pub(super) apply: fn(&mut Draft, &str) -> Result<(), Invalid>,
}

/// Which prefixes a variable has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A variable of imgproxy: `IMGPROXY_` first, then `IMGFORGE_`.
    Shared,
    /// A variable of imgforge alone: `IMGFORGE_` first, then `IMGPROXY_`.
    Own,
    /// No prefix.
    Bare,
}

/// The value of a variable that is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// Goes through the variable's own parser; empty stores nothing.
    Text(&'static str),
    /// Computed at start; the text describes it.
    Computed(&'static str),
}

/// Which blank values count as "not set". Rule: `spec/configuration.md` section 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blank {
    /// Empty and white space.
    Unset,
    /// Only empty.
    EmptyUnset,
    /// None: every value that is there counts.
    Kept,
}

/// An older name of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Name without prefix.
    pub name: &'static str,
    /// Whether `FAIL_ON_DEPRECATION` refuses it.
    pub deprecated: bool,
}

/// Why a value was refused. Neither variant repeats the whole value: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The text is not of the variable's type.
    Parse(String),
    /// The type is right, the value is not.
    Value(String),
}

impl Invalid {
    /// The text is not of the variable's type.
    pub(super) fn parse(detail: impl Into<String>) -> Self {
        Self::Parse(detail.into())
    }

    /// The type is right, the value is not.
    pub(super) fn value(reason: impl Into<String>) -> Self {
        Self::Value(reason.into())
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parse(detail) => write!(f, "parse error: {detail}"),
            Self::Value(reason) => f.write_str(reason),
        }
    }
}

impl Var {
    /// A variable of imgproxy that is not secret and has no other names.
    pub(super) const fn new(
        name: &'static str,
        default: &'static str,
        format: &'static str,
        help: &'static str,
        apply: fn(&mut Draft, &str) -> Result<(), Invalid>,
    ) -> Self {
        Self {
            name,
            scope: Scope::Shared,
            default: DefaultValue::Text(default),
            format,
            help,
            secret: false,
            reloaded: false,
            blank: Blank::Unset,
            aliases: &[],
            show: None,
            apply,
        }
    }

    /// The same with other prefixes.
    pub(super) const fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The same with a default that is computed: what it is in words, and the value in effect.
    pub(super) const fn computed(
        mut self,
        text: &'static str,
        show: fn(&Config) -> String,
    ) -> Self {
        self.default = DefaultValue::Computed(text);
        self.show = Some(show);
        self
    }

    /// The same with a value in effect that other variables may decide.
    pub(super) const fn show(mut self, show: fn(&Config) -> String) -> Self {
        self.show = Some(show);
        self
    }

    /// The same, hidden in messages and dumps.
    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The same, read again on SIGHUP.
    pub(super) const fn reloaded(mut self) -> Self {
        self.reloaded = true;
        self
    }

    /// The same with another rule for blank values.
    pub(super) const fn blank(mut self, blank: Blank) -> Self {
        self.blank = blank;
        self
    }

    /// The same with older names.
    pub(super) const fn aliases(mut self, aliases: &'static [Alias]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The name that documentation and examples use.
    pub fn documented_name(&self) -> String {
        let prefix = self.scope.prefixes().first().copied().unwrap_or_default();
        format!("{prefix}{}", self.name)
    }

    /// Whether `value` counts as set.
    pub(super) fn counts(&self, value: &str) -> bool {
        match self.blank {
            Blank::Unset => !value.trim().is_empty(),
            Blank::EmptyUnset => !value.is_empty(),
            Blank::Kept => true,
        }
    }
}

impl Scope {
    /// Prefixes in the order of look-up.
    pub fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Shared => &PREFIXES,
            Self::Own => &OWN_PREFIXES,
            Self::Bare => &[""],
        }
    }
}

impl Alias {
    /// A name that is as good as the documented one.
    pub(super) const fn synonym(name: &'static str) -> Self {
        Self {
            name,
            deprecated: false,
        }
    }

    /// A name that will go.
    pub(super) const fn deprecated(name: &'static str) -> Self {
        Self {
            name,
            deprecated: true,
        }
    }
}

/// Prefixes of imgproxy's variables in the order of look-up; unknown names are looked for under both.
pub const PREFIXES: [&str; 2] = ["IMGPROXY_", "IMGFORGE_"];

/// Prefixes of imgforge's own variables in the order of look-up.
const OWN_PREFIXES: [&str; 2] = ["IMGFORGE_", "IMGPROXY_"];
