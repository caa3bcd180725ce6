//! Log format and level.

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// `key=value`.
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
    /// `LOG_LEVEL`.
    pub level: tracing::Level,
}
