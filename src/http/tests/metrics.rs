//! The metrics listener and the metric contract.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Reply, TestServer, read_one, read_to_end};
use crate::config::MonitoringConfig;
use crate::config::monitoring::MetricsBind;
use crate::format::ImageFormat;
use crate::http::metrics::{self, MetricsServer};
use crate::monitoring::{self, CacheKind, Facts, METRICS};

const HTTP: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 7.5,
    10.0, 15.0, 30.0,
];

/// The main address of these tests; it equals no metrics address.
const MAIN: &str = "127.0.0.1:8080";

fn config(bind: MetricsBind) -> MonitoringConfig {
    MonitoringConfig {
        bind,
        namespace: "ns".to_owned(),
        buckets_http: HTTP.to_vec(),
        buckets_processing: vec![0.0025, 0.5, 30.0],
        buckets_fetch: vec![0.001, 0.5, 30.0],
    }
}

/// Starts a listener; the recorder is the process's, whichever test comes first.
fn start() -> MetricsServer {
    let config = config(MetricsBind::Explicit("127.0.0.1:0".to_owned()));
    let facts = Facts {
        formats: vec![ImageFormat::Jpeg, ImageFormat::Png],
        caches: vec![CacheKind::Memory],
        cache_tiers: vec![CacheKind::Memory],
        schemes: Vec::new(),
        report_services: Vec::new(),
        workers: 4,
        libvips: "8.14.1".to_owned(),
    };
    monitoring::register_metrics(&config, &facts).unwrap();
    monitoring::set_vips_probe(|| (11, 22, 33));
    metrics::bind(&config, MAIN)
        .unwrap()
        .unwrap()
        .start()
        .unwrap()
}

async fn send(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await
}

async fn scrape(address: SocketAddr) -> String {
    Reply::parse(&send(address, "GET /metrics").await).body
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| {
        line.strip_prefix(series)
            .is_some_and(|rest| rest.starts_with(' '))
    });
    let line = line.unwrap_or_else(|| panic!("{series} is missing"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn contract() {
    let server = start();
    let text = scrape(server.address().unwrap()).await;
    let mut types = HashMap::new();
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let words: Vec<_> = line.split(' ').collect();
        assert!(types.insert(words[2], words[3]).is_none(), "{line} twice");
        let help = format!("# HELP {} ", words[2]);
        assert!(text.contains(&help), "{help}");
    }
    assert!(!types.values().any(|kind| *kind == "summary"), "{types:?}");
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let Some(metric) = METRICS.iter().find(|metric| {
            let name = name.strip_prefix("ns_").unwrap_or(name);
            let suffix = name.strip_prefix(metric.name);
            suffix.is_some_and(|suffix| ["", "_bucket", "_sum", "_count"].contains(&suffix))
        }) else {
            assert!(name.starts_with("process_"), "{line} is not in the table");
            continue;
        };
        let labels: Vec<_> = rest
            .split('"')
            .step_by(2)
            .filter_map(|part| part.strip_suffix('='))
            .collect();
        let labels: Vec<_> = labels
            .iter()
            .map(|label| label.trim_start_matches(['{', ',']))
            .collect();
        let labels: Vec<_> = labels.into_iter().filter(|label| *label != "le").collect();
        assert_eq!(labels, metric.labels, "{line}");
    }
    let rows = [
        ("http_requests_duration_seconds", "histogram"),
        ("image_processing_duration_seconds", "histogram"),
        ("source_image_fetch_duration_seconds", "histogram"),
        ("processed_images_total", "counter"),
        ("source_images_fetched_total", "counter"),
        ("cache_hits_total", "counter"),
        ("cache_misses_total", "counter"),
        ("status_codes_total", "counter"),
        ("vips_tracked_mem_bytes", "gauge"),
        ("vips_tracked_mem_highwater_bytes", "gauge"),
        ("vips_tracked_allocs", "gauge"),
        ("ns_status_codes_total", "counter"),
        ("ns_requests_total", "counter"),
        ("ns_errors_total", "counter"),
        ("ns_request_duration_seconds", "histogram"),
        ("ns_request_span_duration_seconds", "histogram"),
        ("ns_workers", "gauge"),
        ("ns_requests_in_progress", "gauge"),
        ("ns_images_in_progress", "gauge"),
        ("ns_workers_utilization", "gauge"),
        ("ns_vips_memory_bytes", "gauge"),
        ("ns_vips_max_memory_bytes", "gauge"),
        ("ns_vips_allocs", "gauge"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_cpu_seconds_total", "counter"),
        ("process_open_fds", "gauge"),
        ("process_start_time_seconds", "gauge"),
        ("imgforge_build_info", "gauge"),
        ("imgforge_ready", "gauge"),
        ("imgforge_queue_length", "gauge"),
    ];
    for (name, kind) in rows {
        assert_eq!(types.get(name), Some(&kind), "{name}");
    }
    let series = [
        "http_requests_duration_seconds_count{method=\"GET\",path=\"/{*path}\"}",
        "http_requests_duration_seconds_count{method=\"GET\",path=\"/.well-known/{*path}\"}",
        "http_requests_duration_seconds_count{method=\"GET\",path=\"unmatched\"}",
        "http_requests_duration_seconds_bucket{method=\"GET\",path=\"/health\",le=\"0.075\"}",
        "http_requests_duration_seconds_bucket{method=\"GET\",path=\"/health\",le=\"+Inf\"}",
        "processed_images_total{format=\"png\"}",
        "image_processing_duration_seconds_bucket{format=\"jpeg\",le=\"0.0025\"}",
        "source_images_fetched_total{status=\"success\"}",
        "source_images_fetched_total{status=\"error\"}",
        "cache_hits_total{cache_type=\"memory\"}",
        "cache_misses_total{cache_type=\"memory\"}",
        "status_codes_total{status=\"504\"}",
        "ns_errors_total{type=\"path_parsing\"}",
        "ns_request_span_duration_seconds_bucket{span=\"queue\",le=\"10\"}",
    ];
    for series in series {
        assert!(value(&text, series) >= 0.0);
    }
    assert_eq!(value(&text, "vips_tracked_mem_highwater_bytes"), 22.0);
    assert_eq!(value(&text, "ns_vips_allocs"), 33.0);
    assert!(text.contains("libvips=\"8.14.1\""));
}

#[tokio::test]
async fn requests_are_counted() {
    let (server, listener) = (TestServer::start(|_| ()), start());
    let address = listener.address().unwrap();
    let before = scrape(address).await;
    server.get("/unsafe/a/b").await;
    server.get("/unsafe/internal/b").await;
    server.get("/unsafe/collapsed/b").await;
    server.request("POST", "/x", &[]).await;
    server.request("HEAD", "/x/y", &[]).await;
    server.request("BREW", "/x/y", &[]).await;
    monitoring::image_processed(ImageFormat::Png, 0.1);
    monitoring::source_fetched(true, 0.1);
    let after = scrape(address).await;
    let rows = [
        (
            "http_requests_duration_seconds_count{method=\"GET\",path=\"/{*path}\"}",
            3.0,
        ),
        (
            "http_requests_duration_seconds_count{method=\"HEAD\",path=\"/{*path}\"}",
            1.0,
        ),
        (
            "http_requests_duration_seconds_count{method=\"POST\",path=\"unmatched\"}",
            1.0,
        ),
        (
            "http_requests_duration_seconds_count{method=\"OTHER\",path=\"unmatched\"}",
            1.0,
        ),
        ("status_codes_total{status=\"200\"}", 2.0),
        ("status_codes_total{status=\"404\"}", 2.0),
        ("status_codes_total{status=\"500\"}", 1.0),
        ("ns_status_codes_total{status=\"500\"}", 1.0),
        ("ns_requests_total", 3.0),
        ("ns_errors_total{type=\"unexpected\"}", 1.0),
        ("ns_request_duration_seconds_count", 3.0),
        ("imgforge_collapsed_requests_total", 1.0),
        ("imgforge_response_bytes_total", 14.0),
        ("processed_images_total{format=\"png\"}", 1.0),
        (
            "image_processing_duration_seconds_count{format=\"png\"}",
            1.0,
        ),
        ("source_images_fetched_total{status=\"success\"}", 1.0),
        ("source_image_fetch_duration_seconds_count", 1.0),
    ];
    for (series, least) in rows {
        // Other tests share the recorder, and series outside the initial ones may have been absent.
        let old = if before.contains(series) {
            value(&before, series)
        } else {
            0.0
        };
        let new = value(&after, series);
        assert!(new - old >= least, "{series}: {old} then {new}");
    }
}

#[tokio::test]
async fn a_client_that_goes_is_counted_as_499() {
    let (server, listener) = (TestServer::start(|_| ()), start());
    let address = listener.address().unwrap();
    let series = "ns_status_codes_total{status=\"499\"}";
    let before = value(&scrape(address).await, series);
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /unsafe/hang/a HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(stream);
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if value(&scrape(address).await, series) > before {
            return;
        }
    }
    panic!("not counted");
}

#[tokio::test]
async fn buckets_and_counts_agree() {
    let listener = start();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let recording = {
        let stop = std::sync::Arc::clone(&stop);
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                monitoring::source_fetched(true, 0.2);
            }
        })
    };
    for _ in 0..5 {
        let text = scrape(listener.address().unwrap()).await;
        let count = value(&text, "source_image_fetch_duration_seconds_count");
        assert_eq!(
            value(
                &text,
                "source_image_fetch_duration_seconds_bucket{le=\"+Inf\"}"
            ),
            count
        );
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    recording.join().unwrap();
}

#[tokio::test]
async fn every_path_and_only_reading_methods() {
    let listener = start();
    let address = listener.address().unwrap();
    for path in ["/metrics", "/", "/a/b?c"] {
        for (method, has_body) in [("GET", true), ("HEAD", false)] {
            let reply = Reply::parse(&send(address, &format!("{method} {path}")).await);
            assert_eq!(reply.status, 200);
            assert_eq!(
                reply.header("content-type"),
                Some("text/plain; version=0.0.4; charset=utf-8")
            );
            assert_eq!(!reply.body.is_empty(), has_body, "{method} {path}");
        }
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let reply = Reply::parse(&send(address, &format!("{method} /metrics")).await);
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some("GET, HEAD"))
        );
    }
}

#[tokio::test]
async fn gzip_where_accepted() {
    let listener = start();
    let mut stream = TcpStream::connect(listener.address().unwrap())
        .await
        .unwrap();
    let head =
        "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let bytes = read_to_end(&mut stream).await;
    let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    assert_eq!(
        Reply::parse(&bytes[..split]).header("content-encoding"),
        Some("gzip")
    );
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[split + 4..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("# TYPE status_codes_total counter"));
    let refused = send(
        listener.address().unwrap(),
        "GET / HTTP/1.1\r\nAccept-Encoding: gzip;q=0\r\nX: y",
    )
    .await;
    assert_eq!(Reply::parse(&refused).header("content-encoding"), None);
}

#[tokio::test]
async fn binding() {
    let bind = |bind, main| metrics::bind(&config(bind), main);
    let explicit = |address: &str| MetricsBind::Explicit(address.to_owned());
    assert!(bind(MetricsBind::Off, MAIN).unwrap().is_none());
    let listener = start();
    let taken = listener.address().unwrap().to_string();
    assert!(bind(explicit(&taken), MAIN).is_err());
    assert!(bind(explicit("nonsense"), MAIN).is_err());
    let same = bind(explicit(":0"), ":0").unwrap_err();
    assert!(same.to_string().contains("cannot both"), "{same}");
    for address in ["0", ":0", "127.0.0.1:0"] {
        assert!(
            bind(explicit(address), MAIN).unwrap().is_some(),
            "{address}"
        );
    }
}

/// Port 9000 may or may not be free on the machine that runs the tests; neither may stop the start.
#[tokio::test]
async fn the_default_address_never_fails() {
    let first = metrics::bind(&config(MetricsBind::Default), ":9000").unwrap();
    let second = metrics::bind(&config(MetricsBind::Default), ":9000").unwrap();
    assert!(second.is_none() || first.is_none());
}

#[tokio::test]
async fn scrapes_go_on_while_the_main_listener_stops() {
    let (server, listener) = (TestServer::start(|_| ()), start());
    let mut busy = server.connect().await;
    busy.write_all(b"GET /unsafe/slow/a HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.cancel();
    assert!(
        scrape(listener.address().unwrap())
            .await
            .contains("status_codes_total")
    );
    assert_eq!(read_one(&mut busy).await.status, 200);
}

#[tokio::test]
async fn the_thread_ends_with_its_owner() {
    let listener = start();
    let address = listener.address().unwrap();
    drop(listener);
    for _ in 0..50 {
        if TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still listening");
}
