//! Amazon CloudWatch: gauges by `PutMetricData`. Rule: `spec/monitoring.md` A3.

mod access;

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::gauges;
use super::{Setup, TelemetryError, tls};
use crate::config::telemetry::CloudWatchConfig;
use crate::monitoring::{self, Integration, Load};
use access::Settings;

/// Starts to send gauges.
pub(super) fn start(config: &CloudWatchConfig, setup: &mut Setup) -> Result<(), TelemetryError> {
    let environment = config.environment.0.clone();
    let settings = Settings::new(environment).map_err(TelemetryError::CloudWatch)?;
    let region = settings.region(&config.region);
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(
            tls::Material::default()
                .client_config(None)
                .map_err(TelemetryError::CloudWatch)?,
        )
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LIMIT)
        .build()
        .map_err(|error| TelemetryError::CloudWatch(error.to_string()))?;
    let metrics = Metrics {
        url: format!("{}/", settings.endpoint(&region)),
        signer: settings.signer(&region, client.clone()),
        client,
        namespace: config.namespace.clone(),
        service_name: config.service_name.clone(),
    };
    let stop = setup.stop.clone();
    let task = gauges::start(Integration::CloudWatch, gauges::INTERVAL, stop, metrics);
    setup.tasks.push(task);
    Ok(())
}

struct Metrics {
    url: String,
    client: reqwest::Client,
    signer: access::Signer,
    namespace: String,
    service_name: String,
}

impl gauges::Send for Metrics {
    async fn send(&mut self, load: Load) -> Result<(), String> {
        let sending = self.put(load);
        let sent = tokio::time::timeout(LIMIT, sending).await;
        sent.unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}")))
    }
}

impl Metrics {
    async fn put(&self, load: Load) -> Result<(), String> {
        let body = self.form(&load);
        let digest = Sha256::digest(&body);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(
                CONTENT_TYPE,
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .header("x-amz-content-sha256", digest)
            .body(())
            .map_err(|error| error.to_string())?;
        let (mut head, ()) = request.into_parts();
        self.signer
            .sign(&mut head, None)
            .await
            .map_err(|error| error.to_string())?;
        let request = self.client.post(&self.url).headers(head.headers).body(body);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("the service answered {status}"))
        }
    }

    /// The call as a form.
    fn form(&self, load: &Load) -> String {
        let mut pairs = vec![
            ("Action".to_owned(), "PutMetricData".to_owned()),
            ("Version".to_owned(), "2010-08-01".to_owned()),
            ("Namespace".to_owned(), self.namespace.clone()),
        ];
        for (position, (name, unit, value)) in METRICS.iter().enumerate() {
            let key = |rest: &str| format!("MetricData.member.{}.{rest}", position + 1);
            pairs.extend([
                (key("MetricName"), (*name).to_owned()),
                (key("Unit"), (*unit).to_owned()),
                (key("Value"), value(load).to_string()),
                (key("Dimensions.member.1.Name"), "ServiceName".to_owned()),
                (key("Dimensions.member.1.Value"), self.service_name.clone()),
            ]);
        }
        let encoded = pairs
            .iter()
            .map(|(key, value)| format!("{key}={}", utf8_percent_encode(value, ESCAPED)));
        encoded.collect::<Vec<_>>().join("&")
    }
}

type Metric = (&'static str, &'static str, fn(&Load) -> f64);

/// Name, unit, value. The first utilisation is the name of older versions.
const METRICS: &[Metric] = &[
    ("Workers", "Count", |l| monitoring::float(l.workers)),
    ("RequestsInProgress", "Count", |l| {
        monitoring::float(l.requests)
    }),
    ("ImagesInProgress", "Count", |l| monitoring::float(l.images)),
    ("ConcurrencyUtilization", "Percent", Load::utilization),
    ("WorkersUtilization", "Percent", Load::utilization),
    ("VipsMemory", "Bytes", |l| monitoring::float(l.vips.0)),
    ("VipsMaxMemory", "Bytes", |l| monitoring::float(l.vips.1)),
    ("VipsAllocs", "Count", |l| monitoring::float(l.vips.2)),
];

/// All but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// For one call, finding the credentials included.
const LIMIT: Duration = Duration::from_secs(30);
