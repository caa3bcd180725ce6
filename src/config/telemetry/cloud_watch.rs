//! Amazon CloudWatch.

use super::super::draft::Draft;
use super::super::errors::ConfigError;
use super::super::types::format::STRING;
use super::super::var::Var;

/// Amazon CloudWatch. Rule: `spec/monitoring.md` A3.
#[derive(Clone, Debug, Default)]
pub struct CloudWatchConfig {
    /// `CLOUD_WATCH_SERVICE_NAME`: the dimension; empty is off.
    pub service_name: String,
    /// `CLOUD_WATCH_NAMESPACE`.
    pub namespace: String,
    /// `CLOUD_WATCH_REGION`; empty follows the AWS settings.
    pub region: String,
}

pub(in crate::config) const VARS: &[Var] = &[
    Var::new(
        "CLOUD_WATCH_SERVICE_NAME",
        "",
        STRING,
        "Value of the dimension `ServiceName`; turns the integration on. Not built yet: the server does not start with it.",
        |d, v| {
            d.config.telemetry.cloud_watch.service_name = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "CLOUD_WATCH_NAMESPACE",
        "imgproxy",
        STRING,
        "Namespace of the metrics in CloudWatch.",
        |d, v| {
            d.config.telemetry.cloud_watch.namespace = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "CLOUD_WATCH_REGION",
        "",
        STRING,
        "Region of CloudWatch. Default: that of the AWS settings, else `us-west-1`.",
        |d, v| {
            d.config.telemetry.cloud_watch.region = v.to_owned();
            Ok(())
        },
    ),
];

/// Not built yet, and not to be ignored silently.
pub(super) fn complete(draft: &mut Draft) {
    if !draft.config.telemetry.cloud_watch.service_name.is_empty() {
        draft.errors.push(ConfigError::Together(
            "IMGPROXY_CLOUD_WATCH_SERVICE_NAME: metrics for CloudWatch are not built yet, unset it"
                .to_owned(),
        ));
    }
}
