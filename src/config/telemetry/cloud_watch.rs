//! Amazon CloudWatch.

use std::collections::HashMap;

use super::super::draft::Draft;
use super::super::env::Env;
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
    /// The environment, where the integration is on.
    pub environment: Environment,
}

/// Names and values; they hold secrets of others, so they are not shown.
#[derive(Clone, Default)]
pub struct Environment(pub HashMap<String, String>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment(..)")
    }
}

pub(in crate::config) const VARS: &[Var] = &[
    Var::new(
        "CLOUD_WATCH_SERVICE_NAME",
        "",
        STRING,
        "Value of the dimension `ServiceName`; turns the integration on.",
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

/// The tools of AWS have variables of their own, which the integration reads like them.
pub(super) fn keep_environment(draft: &mut Draft, env: &dyn Env) {
    let config = &mut draft.config.telemetry.cloud_watch;
    if !config.service_name.is_empty() {
        let pairs = env.names().into_iter();
        let pairs = pairs.filter_map(|name| Some((name.clone(), env.get(&name)?)));
        config.environment = Environment(pairs.collect());
    }
}
