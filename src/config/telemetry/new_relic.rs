//! New Relic.

use super::super::draft::Draft;
use super::super::errors::ConfigError;
use super::super::lists::format::MAP;
use super::super::lists::map;
use super::super::types::boolean;
use super::super::types::format::{BOOL, STRING};
use super::super::var::{Invalid, Scope, Var};

/// New Relic's OTLP endpoint. Rule: `spec/monitoring.md` A3.
#[derive(Clone, Default)]
pub struct NewRelicConfig {
    /// `NEW_RELIC_KEY`; empty is off.
    pub key: String,
    /// `NEW_RELIC_APP_NAME`.
    pub app_name: String,
    /// `NEW_RELIC_LABELS`: attributes of everything that is sent.
    pub labels: Vec<(String, String)>,
    /// `NEW_RELIC_PROPAGATE_EXTERNAL`: source requests carry the trace.
    pub propagate_external: bool,
    /// `IMGFORGE_NEW_RELIC_ENDPOINT`: base of the OTLP endpoint; empty follows the key's region.
    pub endpoint: String,
}

impl std::fmt::Debug for NewRelicConfig {
    // The key is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewRelicConfig")
            .field("is_on", &!self.key.is_empty())
            .field("app_name", &self.app_name)
            .field("labels", &self.labels)
            .field("propagate_external", &self.propagate_external)
            .field("endpoint", &self.endpoint)
            .finish()
    }
}

pub(in crate::config) const VARS: &[Var] = &[
    Var::new(
        "NEW_RELIC_KEY",
        "",
        STRING,
        "License key of New Relic, 40 characters; turns the integration on.",
        |d, v| {
            d.config.telemetry.new_relic.key = v.to_owned();
            Ok(())
        },
    )
    .secret(),
    Var::new(
        "NEW_RELIC_APP_NAME",
        "imgproxy",
        STRING,
        "Name of the service in New Relic.",
        |d, v| {
            d.config.telemetry.new_relic.app_name = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "NEW_RELIC_LABELS",
        "",
        MAP,
        "Attributes of everything that is sent to New Relic.",
        |d, v| map(v).map(|labels| d.config.telemetry.new_relic.labels = labels),
    ),
    Var::new(
        "NEW_RELIC_PROPAGATE_EXTERNAL",
        "false",
        BOOL,
        "Send the trace's identity on to sources, in `traceparent`.",
        |d, v| boolean(v).map(|b| d.config.telemetry.new_relic.propagate_external = b),
    ),
    Var::new(
        "NEW_RELIC_ENDPOINT",
        "",
        "URL",
        "Where New Relic takes OTLP over HTTP. Default: `https://otlp.nr-data.net`, for keys that begin with `eu` \
         `https://otlp.eu01.nr-data.net`.",
        |d, v| {
            if !v.starts_with("http://") && !v.starts_with("https://") {
                return Err(Invalid::value("must begin with http:// or https://"));
            }
            d.config.telemetry.new_relic.endpoint = v.trim_end_matches('/').to_owned();
            Ok(())
        },
    )
    .scope(Scope::Own),
];

/// The agent's own check of the key; whether New Relic knows it shows only later.
pub(super) fn complete(draft: &mut Draft) {
    let key = &draft.config.telemetry.new_relic.key;
    if !key.is_empty() && key.len() != KEY_LENGTH {
        draft.errors.push(ConfigError::Together(format!(
            "invalid IMGPROXY_NEW_RELIC_KEY: can't init New Relic agent: license length is not {KEY_LENGTH}"
        )));
    }
}

const KEY_LENGTH: usize = 40;
