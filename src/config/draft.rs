//! The configuration while it is being read: what is stored already, and values that only make sense together.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::errors::{ConfigError, Warning};
use super::logging::{LogFormat, Threshold};
use super::{AssetSource, Config};
use crate::format::ImageFormat;

/// A half-read configuration. The variables write into it one by one; the sections then complete it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// What is final.
    pub(super) config: Config,
    /// Names (without prefix) of the variables that are set.
    pub(super) set: BTreeSet<&'static str>,
    /// `KEY`.
    pub(super) keys: Vec<Vec<u8>>,
    /// `SALT`.
    pub(super) salts: Vec<Vec<u8>>,
    /// Lines of `KEY_PATH`.
    pub(super) key_lines: Option<Vec<Vec<u8>>>,
    /// Lines of `SALT_PATH`.
    pub(super) salt_lines: Option<Vec<Vec<u8>>>,
    /// `ALLOW_UNSIGNED`.
    pub(super) allow_unsigned: bool,
    /// `DEFAULT_FORMAT`; `None` is `source`.
    pub(super) default_format: Option<ImageFormat>,
    /// `PORT`.
    pub(super) port: Option<i64>,
    /// `GRACEFUL_STOP_TIMEOUT`.
    pub(super) graceful_stop_timeout: Option<Duration>,
    /// `WORKERS`.
    pub(super) workers: Option<usize>,
    /// `MAX_DOWNLOADS_PER_HOST`.
    pub(super) max_downloads_per_host: Option<usize>,
    /// `MAX_DECODED_MEMORY`.
    pub(super) max_decoded_memory: Option<u64>,
    /// `AWS_LAMBDA_FUNCTION_NAME` is set.
    pub(super) lambda: bool,
    /// `LOG_FORMAT`.
    pub(super) log_format: Option<LogFormat>,
    /// `SYSLOG_LEVEL`.
    pub(super) syslog_threshold: Option<Threshold>,
    /// `FAIL_ON_DEPRECATION`.
    pub(super) fail_on_deprecation: bool,
    /// `PRESETS` before it is split.
    pub(super) presets: String,
    /// `PRESETS_SEPARATOR`.
    pub(super) presets_separator: String,
    /// Lines of `PRESETS_PATH`.
    pub(super) preset_lines: Vec<String>,
    /// `WATERMARK_DATA`, `_PATH`, `_URL`.
    pub(super) watermark: AssetDraft,
    /// `FALLBACK_IMAGE_DATA`, `_PATH`, `_URL`.
    pub(super) fallback: AssetDraft,
    /// What the operator should know.
    pub(super) warnings: Vec<Warning>,
    /// What stops the start.
    pub(super) errors: Vec<ConfigError>,
}

/// The three places that a server-side picture may come from.
#[derive(Debug, Default)]
pub(super) struct AssetDraft {
    /// Decoded `_DATA`.
    pub(super) data: Option<Bytes>,
    /// `_PATH`.
    pub(super) path: Option<PathBuf>,
    /// `_URL`.
    pub(super) url: Option<String>,
}

impl AssetDraft {
    /// The place that counts: data before path before URL.
    pub(super) fn take(&mut self) -> Option<AssetSource> {
        self.data
            .take()
            .map(AssetSource::Data)
            .or_else(|| self.path.take().map(AssetSource::Path))
            .or_else(|| self.url.take().map(AssetSource::Url))
    }
}
