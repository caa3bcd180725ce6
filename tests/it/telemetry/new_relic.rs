//! New Relic's OTLP endpoint.

use std::io::Read as _;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::origin;
use crate::common::{Recorder, Sent, Server};

const KEY: &str = "0123456789012345678901234567890123456789";

fn plain(sent: &Sent) -> Vec<u8> {
    assert_eq!(sent.header("api-key"), KEY);
    assert_eq!(sent.header("content-encoding"), "gzip");
    let mut plain = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&*sent.body);
    decoder.read_to_end(&mut plain).unwrap();
    plain
}

#[tokio::test]
async fn spans_and_gauges_arrive() {
    let (origin, recorder) = (origin().await, Recorder::start().await);
    let url = recorder.url();
    let server = Server::start(&[
        ("IMGPROXY_NEW_RELIC_KEY", KEY),
        ("IMGFORGE_NEW_RELIC_ENDPOINT", &url),
        ("IMGPROXY_NEW_RELIC_APP_NAME", "pictures"),
        ("IMGPROXY_NEW_RELIC_LABELS", "team=x;stage=test"),
        ("IMGPROXY_NEW_RELIC_PROPAGATE_EXTERNAL", "true"),
    ])
    .await;
    assert_eq!(
        server.image("w:8", &origin.url("/grid.png")).await.status,
        200
    );
    server.stop().await;

    let sent = recorder.at("/v1/traces");
    let message = ExportTraceServiceRequest::decode(&*plain(&sent[0])).unwrap();
    let group = &message.resource_spans[0];
    let attributes = format!("{:?}", group.resource.as_ref().unwrap().attributes);
    for text in ["pictures", "team", "stage"] {
        assert!(attributes.contains(text), "{attributes}");
    }
    let spans = &group.scope_spans[0].spans;
    let names: Vec<_> = spans.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "request",
            "Downloading source image",
            "Queue",
            "Processing image"
        ]
    );
    let asked = &origin.asked("/grid.png")[0];
    assert!(asked.header("traceparent").is_some());

    // The last reading goes out at the end.
    let sent = recorder.at("/v1/metrics");
    let message = ExportMetricsServiceRequest::decode(&*plain(&sent[0])).unwrap();
    let metrics = &message.resource_metrics[0].scope_metrics[0].metrics;
    let names: Vec<_> = metrics.iter().map(|m| m.name.as_str()).collect();
    for name in [
        "imgproxy/workers",
        "imgproxy/requests_in_progress",
        "imgproxy/images_in_progress",
        "imgproxy/workers_utilization",
        "imgproxy/vips/memory",
        "imgproxy/vips/max_memory",
        "imgproxy/vips/allocs",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
}
