//! The integrations against a local recorder: what is sent is decoded, not only counted.

mod datadog;
mod new_relic;
mod open_telemetry;

use std::time::{Duration, Instant};

use crate::common::server::image_path;
use crate::common::{Origin, Process, Recorder, Script, Server};

/// An origin with one picture.
async fn origin() -> Origin {
    let origin = Origin::start().await;
    origin.on("/grid.png", Script::image("grid.png"));
    origin
}

/// A collector that takes everything and answers nothing holds neither requests nor the end.
#[tokio::test]
async fn a_collector_that_hangs_holds_nobody() {
    let (origin, recorder) = (origin().await, Recorder::mute().await);
    let url = recorder.url();
    let server = Server::start(&[
        ("IMGPROXY_OPEN_TELEMETRY_ENABLE", "true"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "2"),
    ])
    .await;
    for _ in 0..6 {
        let reply = server.image("w:8", &origin.url("/grid.png")).await;
        assert_eq!(reply.status, 200);
    }
    recorder
        .wait("/v1/traces", |sent| (!sent.is_empty()).then_some(()))
        .await;
    let stopping = Instant::now();
    server.stop().await;
    assert!(
        stopping.elapsed() < Duration::from_secs(20),
        "{:?}",
        stopping.elapsed()
    );
    assert_eq!(recorder.at("/v1/traces").len(), 1);
}

/// What cannot be sent is counted, and requests do not notice.
#[tokio::test]
async fn a_collector_that_is_gone_is_counted() {
    let origin = origin().await;
    // Port 9 of loopback: nobody listens.
    let process = Process::start(&[
        ("IMGPROXY_OPEN_TELEMETRY_ENABLE", "true"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
    ])
    .await;
    let reply = process
        .get(&image_path("w:8", &origin.url("/grid.png")))
        .await;
    assert_eq!(reply.status, 200);
    let end = Instant::now() + crate::common::PATIENCE;
    let line = "imgforge_telemetry_dropped_total{integration=\"open_telemetry\"} 1\n";
    while !process.scrape().await.contains(line) {
        assert!(Instant::now() < end, "{}", process.scrape().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
