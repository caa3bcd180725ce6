//! Datadog.

use super::super::types::format::{BOOL, INT, STRING};
use super::super::types::{boolean, integer};
use super::super::var::{Scope, Var};

/// The Datadog agent. Rule: `spec/monitoring.md` A3.
#[derive(Clone, Debug, Default)]
pub struct DatadogConfig {
    /// `DATADOG_ENABLE`.
    pub enable: bool,
    /// `DATADOG_ENABLE_ADDITIONAL_METRICS`: gauges over DogStatsD.
    pub metrics: bool,
    /// `DATADOG_PROPAGATE_EXTERNAL`: source requests carry the trace.
    pub propagate_external: bool,
    /// `DD_SERVICE`.
    pub service: String,
    /// `DD_ENV`; empty is none.
    pub env: String,
    /// `DD_VERSION`; empty is this program's.
    pub version: String,
    /// `DD_TAGS`: further tags of every trace.
    pub tags: Vec<(String, String)>,
    /// `DD_AGENT_HOST`.
    pub agent_host: String,
    /// `DD_TRACE_AGENT_PORT`; not checked at start, an unusable one only makes sending fail.
    pub trace_port: i64,
    /// `DD_DOGSTATSD_PORT`, like `trace_port`.
    pub statsd_port: i64,
    /// `DD_TRACE_STARTUP_LOGS`: the settings are logged at start.
    pub startup_logs: bool,
}

pub(in crate::config) const VARS: &[Var] = &[
    Var::new(
        "DATADOG_ENABLE",
        "false",
        BOOL,
        "Send a trace of every image request to the Datadog agent.",
        |d, v| boolean(v).map(|b| d.config.telemetry.datadog.enable = b),
    ),
    Var::new(
        "DATADOG_ENABLE_ADDITIONAL_METRICS",
        "false",
        BOOL,
        "Send workers, requests in progress and libvips' memory to the agent over DogStatsD every 10 seconds. Works only \
         with `DATADOG_ENABLE`.",
        |d, v| boolean(v).map(|b| d.config.telemetry.datadog.metrics = b),
    ),
    Var::new(
        "DATADOG_PROPAGATE_EXTERNAL",
        "false",
        BOOL,
        "Send the trace's identity on to sources, in Datadog's headers and in `traceparent`.",
        |d, v| boolean(v).map(|b| d.config.telemetry.datadog.propagate_external = b),
    ),
    Var::new(
        "DD_SERVICE",
        "imgproxy",
        STRING,
        "Name of the service in Datadog.",
        |d, v| {
            d.config.telemetry.datadog.service = v.to_owned();
            Ok(())
        },
    )
    .scope(Scope::Bare),
    Var::new(
        "DD_ENV",
        "",
        STRING,
        "Datadog environment, such as `production`.",
        |d, v| {
            d.config.telemetry.datadog.env = v.to_owned();
            Ok(())
        },
    )
    .scope(Scope::Bare),
    Var::new(
        "DD_VERSION",
        "",
        STRING,
        "Version of the service in Datadog. Default: the version of imgforge.",
        |d, v| {
            d.config.telemetry.datadog.version = v.to_owned();
            Ok(())
        },
    )
    .scope(Scope::Bare),
    Var::new(
        "DD_TAGS",
        "",
        "key:value pairs separated by commas or blanks",
        "Tags of every trace and metric in Datadog. What is no pair is left out.",
        |d, v| {
            let pairs = v.split([',', ' ']).filter_map(|pair| pair.split_once(':'));
            d.config.telemetry.datadog.tags = pairs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            Ok(())
        },
    )
    .scope(Scope::Bare),
    Var::new(
        "DD_AGENT_HOST",
        "localhost",
        STRING,
        "Host of the Datadog agent.",
        |d, v| {
            d.config.telemetry.datadog.agent_host = v.to_owned();
            Ok(())
        },
    )
    .scope(Scope::Bare),
    Var::new(
        "DD_TRACE_AGENT_PORT",
        "8126",
        INT,
        "TCP port of the Datadog agent for traces.",
        |d, v| integer(v).map(|port| d.config.telemetry.datadog.trace_port = port),
    )
    .scope(Scope::Bare),
    Var::new(
        "DD_DOGSTATSD_PORT",
        "8125",
        INT,
        "UDP port of the Datadog agent for metrics.",
        |d, v| integer(v).map(|port| d.config.telemetry.datadog.statsd_port = port),
    )
    .scope(Scope::Bare),
    Var::new(
        "DD_TRACE_STARTUP_LOGS",
        "false",
        BOOL,
        "Log the Datadog settings at start.",
        |d, v| boolean(v).map(|b| d.config.telemetry.datadog.startup_logs = b),
    )
    .scope(Scope::Bare),
];
