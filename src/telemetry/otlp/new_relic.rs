//! New Relic: spans and gauges to its OTLP endpoint, because there is no agent for Rust. Rule: `spec/monitoring.md` A3.

use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;

use super::super::Setup;
use super::super::TelemetryError;
use super::super::propagation::Format;
use super::super::queue::Batching;
use super::super::tls::Material;
use super::exporters::{self, Target};
use super::metrics::{self, Gauge};
use super::spans::Names;
use crate::config::telemetry::NewRelicConfig;
use crate::config::telemetry::open_telemetry::{Propagator, Protocol};
use crate::monitoring::{self, Integration, Load};

/// Sets up spans and gauges.
pub(in crate::telemetry) fn start(
    config: &NewRelicConfig,
    setup: &mut Setup,
) -> Result<(), TelemetryError> {
    let format = Format::Open(Propagator::TraceContext);
    setup.extract.push(format);
    if config.propagate_external {
        setup.inject.push(format);
    }
    let target = |path: &str| Target {
        integration: "New Relic",
        protocol: Protocol::Http,
        url: format!("{}{path}", base(config)),
        timeout: TIMEOUT,
        headers: vec![("api-key".to_owned(), config.key.clone())],
        gzip: true,
        authority: None,
    };
    let tls = Material::default();
    let resource = super::resource(&config.app_name, &config.labels);
    let spans = exporters::spans(&target("/v1/traces"), &tls)?;
    let names = Names {
        root: "request",
        part: |span| match span {
            monitoring::Span::Queue => "Queue",
            monitoring::Span::DownloadingSourceImage => "Downloading source image",
            monitoring::Span::ProcessingImage => "Processing image",
            monitoring::Span::StreamingImage => "Streaming image",
        },
    };
    super::add_spans(
        spans,
        &resource,
        names,
        Integration::NewRelic,
        BATCHING,
        setup,
    );
    let exporter = exporters::delta_metrics(&target("/v1/metrics"), &tls)?;
    let interval = super::super::gauges::INTERVAL;
    let provider = metrics::provider(exporter, resource, interval, Integration::NewRelic, setup);
    metrics::observe(&provider.meter("imgproxy"), GAUGES);
    Ok(())
}

/// The key says in which region its account is.
fn base(config: &NewRelicConfig) -> &str {
    match config.endpoint.as_str() {
        "" if config.key.starts_with("eu") => "https://otlp.eu01.nr-data.net",
        "" => "https://otlp.nr-data.net",
        endpoint => endpoint,
    }
}

const GAUGES: &[Gauge] = &[
    ("imgproxy/workers", "1", |l| monitoring::float(l.workers)),
    ("imgproxy/requests_in_progress", "1", |l| {
        monitoring::float(l.requests)
    }),
    ("imgproxy/images_in_progress", "1", |l| {
        monitoring::float(l.images)
    }),
    ("imgproxy/workers_utilization", "%", Load::utilization),
    ("imgproxy/vips/memory", "By", |l| {
        monitoring::float(l.vips.0)
    }),
    ("imgproxy/vips/max_memory", "By", |l| {
        monitoring::float(l.vips.1)
    }),
    ("imgproxy/vips/allocs", "1", |l| monitoring::float(l.vips.2)),
];

const BATCHING: Batching = Batching {
    queue: 2048,
    batch: 256,
    delay: Duration::from_secs(5),
};
const TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_know_their_region() {
        let of = |key: &str, endpoint: &str| {
            let config = NewRelicConfig {
                key: key.to_owned(),
                endpoint: endpoint.to_owned(),
                ..NewRelicConfig::default()
            };
            base(&config).to_owned()
        };
        assert_eq!(of("eu01xxabc", ""), "https://otlp.eu01.nr-data.net");
        assert_eq!(of("0123", ""), "https://otlp.nr-data.net");
        assert_eq!(of("eu01xxabc", "http://own"), "http://own");
    }
}
