//! Amazon CloudWatch: gauges by `PutMetricData`. Rule: `spec/monitoring.md` A3.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::gauges;
use super::{Setup, TelemetryError};
use crate::cloud::Cloud;
use crate::cloud::aws::{Aws, AwsSigner, dns_suffix, sign};
use crate::config::telemetry::CloudWatchConfig;
use crate::monitoring::{self, Integration, Load};
use crate::source::cloud_client;

/// Starts to send gauges.
pub(super) fn start(config: &CloudWatchConfig, setup: &mut Setup) -> Result<(), TelemetryError> {
    let text = |error: &dyn std::fmt::Display| TelemetryError::CloudWatch(error.to_string());
    let client = cloud_client().map_err(|error| text(&error))?;
    let cloud = Cloud::new(config.environment.0.clone(), Arc::new(client));
    let aws = Aws::new(cloud).map_err(|error| text(&error))?;
    let wanted = Some(config.region.as_str()).filter(|region| !region.is_empty());
    let region = aws.region(wanted);
    let endpoint = aws.endpoint("CLOUDWATCH").map_or_else(
        || format!("https://monitoring.{region}.{}", dns_suffix(&region)),
        |endpoint| endpoint.trim_end_matches('/').to_owned(),
    );
    let metrics = Metrics {
        url: format!("{endpoint}/"),
        signer: aws.signer("monitoring", &region, None),
        cloud: aws.cloud().clone(),
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
    cloud: Cloud,
    signer: AwsSigner,
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
        sign(&self.signer, &mut head)
            .await
            .map_err(|error| error.to_string())?;
        let sent = self.cloud.send(head, body.into()).await;
        let answer = sent.map_err(|error| error.to_string())?;
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
