//! Where traces, metrics and logs are sent, apart from the metrics listener. Rule: `spec/configuration.md` sections 3.9
//! and 5.

pub mod cloud_watch;
pub mod datadog;
pub mod new_relic;
pub mod open_telemetry;

pub use self::cloud_watch::CloudWatchConfig;
pub use self::datadog::DatadogConfig;
pub use self::new_relic::NewRelicConfig;
pub use self::open_telemetry::OpenTelemetryConfig;

use super::draft::Draft;

/// Every integration; each is off unless its own variable turns it on.
#[derive(Clone, Debug, Default)]
pub struct TelemetryConfig {
    /// OTLP to a collector.
    pub open_telemetry: OpenTelemetryConfig,
    /// The Datadog agent.
    pub datadog: DatadogConfig,
    /// New Relic's OTLP endpoint.
    pub new_relic: NewRelicConfig,
    /// Amazon CloudWatch.
    pub cloud_watch: CloudWatchConfig,
}

impl TelemetryConfig {
    /// Whether anything is to be sent anywhere.
    pub fn is_on(&self) -> bool {
        self.has_traces()
    }

    /// Whether requests are traced.
    pub fn has_traces(&self) -> bool {
        self.open_telemetry.enable || self.datadog.enable || !self.new_relic.key.is_empty()
    }
}

/// Checks that only matter where an integration is on.
pub(super) fn complete(draft: &mut Draft) {
    cloud_watch::complete(draft);
    open_telemetry::complete(draft);
    new_relic::complete(draft);
}
