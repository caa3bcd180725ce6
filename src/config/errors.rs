//! Mistakes and warnings about the environment.

use thiserror::Error;

use super::var::Invalid;

/// One reason not to start.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A variable has a value that it may not have. Rule: `spec/configuration.md` section 1.1.
    #[error("invalid {name} value (format: {format}): {reason} (got {shown}), see {link}")]
    Variable {
        /// The name that was read, with prefix.
        name: String,
        /// Expected format.
        format: &'static str,
        /// Why it was refused.
        reason: Invalid,
        /// The value, quoted, or a note that it is hidden.
        shown: String,
        /// Where the variable is documented.
        link: String,
    },
    /// Variables do not fit together.
    #[error("{0}")]
    Together(String),
    /// A deprecated name is used and `FAIL_ON_DEPRECATION` is on.
    #[error("{old} is deprecated, use {new} instead")]
    Deprecated {
        /// The name in use.
        old: String,
        /// The name to use.
        new: String,
    },
    /// The local environment file cannot be used.
    #[error("{0}")]
    EnvFile(String),
}

/// Every reason not to start, in the order of the tables; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Something that the operator should know and that does not stop the start.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Warning {
    /// A name with our prefix that no variable has.
    #[error("unknown variable {name} has no effect{}", suggestion(.nearest.as_deref()))]
    Unknown {
        /// The name as set.
        name: String,
        /// The known name most like it, if any is.
        nearest: Option<String>,
    },
    /// A name of older versions that nothing reads any more.
    #[error("{name} has no effect: {reason}")]
    Removed {
        /// The name as set.
        name: String,
        /// Why, and what to use instead.
        reason: &'static str,
    },
    /// A deprecated name that is still read.
    #[error("{old} is deprecated, use {new} instead")]
    Deprecated {
        /// The name in use.
        old: String,
        /// The name to use.
        new: String,
    },
    /// Another name of a variable, which is read but not documented.
    #[error("{old} is another name of {new}, prefer the latter")]
    Synonym {
        /// The name in use.
        old: String,
        /// The name to use.
        new: String,
    },
    /// Two names of one variable are set.
    #[error("{ignored} has no effect because {used} is set")]
    Shadowed {
        /// The name that is not read.
        ignored: String,
        /// The name that is.
        used: String,
    },
    /// Anything else.
    #[error("{0}")]
    Note(String),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean {name}?"))
}
