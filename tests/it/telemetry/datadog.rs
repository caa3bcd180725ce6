//! The agent's interface for traces, and DogStatsD.

use std::time::Duration;

use serde_json::Value;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::origin;
use crate::common::server::image_path;
use crate::common::{PATIENCE, Recorder, Server};

#[tokio::test]
async fn a_request_is_a_trace() {
    let (origin, recorder) = (origin().await, Recorder::start().await);
    let port = recorder.addr.port().to_string();
    let server = Server::start(&[
        ("IMGPROXY_DATADOG_ENABLE", "true"),
        ("IMGPROXY_DATADOG_PROPAGATE_EXTERNAL", "true"),
        ("DD_AGENT_HOST", "127.0.0.1"),
        ("DD_TRACE_AGENT_PORT", &port),
        ("DD_SERVICE", "pictures"),
        ("DD_ENV", "test"),
    ])
    .await;
    let path = image_path("w:8", &origin.url("/grid.png"));
    let headers = [
        ("x-datadog-trace-id", "11"),
        ("x-datadog-parent-id", "22"),
        ("x-datadog-sampling-priority", "2"),
    ];
    assert_eq!(server.get_with(&path, &headers).await.status, 200);
    let bad = origin.url("/none.png");
    assert_eq!(server.image("", &bad).await.status, 404);
    server.stop().await;

    let sent = recorder.at("/v0.4/traces");
    assert_eq!(sent[0].method, "PUT");
    assert_eq!(sent[0].header("content-type"), "application/msgpack");
    let traces: Vec<Vec<Value>> = sent
        .iter()
        .flat_map(|s| rmp_serde::from_slice::<Vec<Vec<Value>>>(&s.body).unwrap())
        .collect();
    assert_eq!(traces.len(), 2);
    let [root, children @ ..] = traces[0].as_slice() else {
        panic!("{traces:?}");
    };
    for (key, value) in [
        ("name", "request"),
        ("resource", "request"),
        ("service", "pictures"),
        ("type", "web"),
    ] {
        assert_eq!(root[key], value, "{root}");
    }
    assert_eq!(
        (&root["trace_id"], &root["parent_id"]),
        (&11.into(), &22.into())
    );
    assert_eq!(root["error"], 0);
    let meta = &root["meta"];
    for (key, value) in [
        ("http.method", "GET"),
        ("http.url", path.as_str()),
        ("http.status_code", "200"),
        ("env", "test"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("imgproxy.source_image_origin", &origin.url("")),
    ] {
        assert_eq!(meta[key], value, "{meta}");
    }
    assert_eq!(root["metrics"]["_dd.measured"], 1.0);
    assert_eq!(root["metrics"]["_sampling_priority_v1"], 1.0);
    let names: Vec<_> = children
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["downloading_source_image", "queue", "processing_image"]
    );
    for child in children {
        assert_eq!(
            (&child["parent_id"], &child["trace_id"]),
            (&root["span_id"], &root["trace_id"])
        );
        assert!(child["duration"].as_i64().unwrap() <= root["duration"].as_i64().unwrap());
    }
    let asked = &origin.asked("/grid.png")[0];
    assert_eq!(asked.header("x-datadog-trace-id"), Some("11"));
    let download = children[0]["span_id"].to_string();
    assert_eq!(asked.header("x-datadog-parent-id"), Some(download.as_str()));

    let failed = &traces[1][0];
    assert_eq!(failed["error"], 1);
    let kind = failed["meta"]["error.type"].as_str().unwrap();
    assert!(kind.starts_with("download_error ("), "{kind}");
    assert!(!failed["meta"]["error.stack"].as_str().unwrap().is_empty());
    let tid = failed["meta"]["_dd.p.tid"].as_str().unwrap();
    assert!(tid.len() == 16 && tid != "0000000000000000", "{tid}");
}

/// The last reading goes out at the end, so that a test need not wait ten seconds for the first.
#[tokio::test]
async fn gauges_are_datagrams() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let recorder = Recorder::start().await;
    let trace_port = recorder.addr.port().to_string();
    let server = Server::start(&[
        ("IMGPROXY_DATADOG_ENABLE", "true"),
        ("IMGPROXY_DATADOG_ENABLE_ADDITIONAL_METRICS", "true"),
        ("DD_AGENT_HOST", "127.0.0.1"),
        ("DD_TRACE_AGENT_PORT", &trace_port),
        ("DD_DOGSTATSD_PORT", &port),
        ("DD_TAGS", "team:x"),
    ])
    .await;
    server.stop().await;
    let mut buffer = [0; 2048];
    let length = timeout(PATIENCE, socket.recv(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    let text = std::str::from_utf8(&buffer[..length]).unwrap();
    let tags = format!(
        "|g|#service:imgproxy,version:{},team:x",
        env!("CARGO_PKG_VERSION")
    );
    let names: Vec<_> = text
        .lines()
        .map(|line| {
            let (name, rest) = line.split_once(':').unwrap();
            let value = rest.strip_suffix(&tags).unwrap_or_else(|| panic!("{line}"));
            assert!(value.parse::<f64>().unwrap() >= 0.0, "{line}");
            name
        })
        .collect();
    assert_eq!(
        names,
        [
            "imgproxy.workers",
            "imgproxy.requests_in_progress",
            "imgproxy.images_in_progress",
            "imgproxy.workers_utilization",
            "imgproxy.vips.memory",
            "imgproxy.vips.max_memory",
            "imgproxy.vips.allocs",
        ]
    );
}

/// Ports that are none start as well; only sending fails.
#[tokio::test]
async fn an_agent_that_cannot_be_there_holds_nobody() {
    let origin = origin().await;
    let server = Server::start(&[
        ("IMGPROXY_DATADOG_ENABLE", "true"),
        ("IMGPROXY_DATADOG_ENABLE_ADDITIONAL_METRICS", "true"),
        ("DD_AGENT_HOST", "127.0.0.1"),
        ("DD_TRACE_AGENT_PORT", "70000"),
        ("DD_DOGSTATSD_PORT", "0"),
    ])
    .await;
    assert_eq!(
        server.image("w:8", &origin.url("/grid.png")).await.status,
        200
    );
    timeout(Duration::from_secs(20), server.stop())
        .await
        .unwrap();
}
