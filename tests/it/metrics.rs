//! The metric contract of port 9000: names, types, labels, and what each event counts. A process of its own per test,
//! because metrics are counted per process.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, client};

const HISTOGRAM: &str = "histogram";
const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

/// Name, type, labels without `le`.
const CONTRACT: &[(&str, &str, &[&str])] = &[
    (
        "http_requests_duration_seconds",
        HISTOGRAM,
        &["method", "path"],
    ),
    ("image_processing_duration_seconds", HISTOGRAM, &["format"]),
    ("source_image_fetch_duration_seconds", HISTOGRAM, &[]),
    ("processed_images_total", COUNTER, &["format"]),
    ("source_images_fetched_total", COUNTER, &["status"]),
    ("cache_hits_total", COUNTER, &["cache_type"]),
    ("cache_misses_total", COUNTER, &["cache_type"]),
    ("status_codes_total", COUNTER, &["status"]),
    ("vips_tracked_mem_bytes", GAUGE, &[]),
    ("vips_tracked_mem_highwater_bytes", GAUGE, &[]),
    ("vips_tracked_allocs", GAUGE, &[]),
];

const CACHE: (&str, &str) = ("IMGFORGE_CACHE_TYPE", "memory");

/// A parsed scrape.
pub struct Scrape {
    types: BTreeMap<String, String>,
    helped: BTreeSet<String>,
    /// `name{labels}` as written, and the value.
    pub samples: BTreeMap<String, f64>,
}

impl Scrape {
    fn parse(text: &str) -> Self {
        let mut scrape = Self {
            types: BTreeMap::new(),
            helped: BTreeSet::new(),
            samples: BTreeMap::new(),
        };
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let again = scrape.types.insert(name.to_owned(), kind.to_owned());
                assert!(again.is_none(), "{name} has two types");
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                scrape
                    .helped
                    .insert(rest.split(' ').next().unwrap().to_owned());
            } else {
                let (key, value) = line.rsplit_once(' ').unwrap();
                let again = scrape
                    .samples
                    .insert(key.to_owned(), value.parse().unwrap());
                assert!(again.is_none(), "{key} stands twice");
            }
        }
        scrape
    }

    /// The value of a sample; 0 where it is absent.
    pub fn value(&self, key: &str) -> f64 {
        self.samples.get(key).copied().unwrap_or_default()
    }

    /// The label names of every sample of a family, without `le`.
    fn labels(&self, family: &str) -> BTreeSet<Vec<String>> {
        let suffixes = ["", "_bucket", "_sum", "_count"];
        self.samples
            .keys()
            .filter(|key| {
                let name = key.split('{').next().unwrap();
                suffixes
                    .iter()
                    .any(|suffix| name == format!("{family}{suffix}"))
            })
            .map(|key| label_names(key))
            .collect()
    }
}

/// Label names in order, without `le`. Values hold no comma followed by a name and `="`, being from closed lists.
fn label_names(key: &str) -> Vec<String> {
    let Some((_, labels)) = key.trim_end_matches('}').split_once('{') else {
        return Vec::new();
    };
    let mut names: Vec<String> = labels
        .split("\",")
        .map(|label| label.split('=').next().unwrap().to_owned())
        .filter(|name| name != "le")
        .collect();
    names.sort();
    names
}

pub async fn scrape(process: &Process) -> Scrape {
    Scrape::parse(&process.scrape().await)
}

#[tokio::test]
async fn the_eleven_families_are_there_from_the_start() {
    let process = Process::start(&[CACHE]).await;
    let seen = scrape(&process).await;
    for (name, kind, labels) in CONTRACT {
        assert_eq!(
            seen.types.get(*name).map(String::as_str),
            Some(*kind),
            "{name}"
        );
        assert!(seen.helped.contains(*name), "{name} has no help");
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        assert_eq!(seen.labels(name), BTreeSet::from([labels]), "{name}");
    }
    for (key, value) in [
        ("status_codes_total{status=\"503\"}", 0.0),
        ("source_images_fetched_total{status=\"error\"}", 0.0),
        ("processed_images_total{format=\"jpeg\"}", 0.0),
        ("cache_hits_total{cache_type=\"memory\"}", 0.0),
    ] {
        assert_eq!(seen.samples.get(key), Some(&value), "{key}");
    }
    let summaries: Vec<_> = seen
        .types
        .iter()
        .filter(|(_, kind)| *kind == "summary")
        .collect();
    assert!(summaries.is_empty(), "{summaries:?}");
}

#[tokio::test]
async fn every_event_counts_what_it_should() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let process = Process::start(&[CACHE]).await;
    let image = image_path("w:10", &origin.url("/a.png"));
    let missing = image_path("w:10", &origin.url("/missing.png"));
    let http = "http_requests_duration_seconds_count{method=\"GET\",path=\"/{*path}\"}";
    let fetches = "source_image_fetch_duration_seconds_count";
    let fetched = "source_images_fetched_total{status=\"success\"}";
    let failed = "source_images_fetched_total{status=\"error\"}";
    let processed = "processed_images_total{format=\"png\"}";
    let processing = "image_processing_duration_seconds_count{format=\"png\"}";
    let (hits, misses) = (
        "cache_hits_total{cache_type=\"memory\"}",
        "cache_misses_total{cache_type=\"memory\"}",
    );
    // What is asked for, and how the contract's counters grow by it. Everything not named stays as it is.
    let cases: [(&str, &str, &[&str]); 4] = [
        (
            "a fresh image",
            &image,
            &[
                http,
                fetches,
                fetched,
                processed,
                processing,
                misses,
                "status_codes_total{status=\"200\"}",
            ],
        ),
        (
            "a cache hit",
            &image,
            &[http, hits, "status_codes_total{status=\"200\"}"],
        ),
        (
            "a source that is gone",
            &missing,
            &[
                http,
                fetches,
                failed,
                misses,
                "status_codes_total{status=\"404\"}",
            ],
        ),
        (
            "a bad URL",
            "/unsafe/w:x/plain/x",
            &[http, "status_codes_total{status=\"404\"}"],
        ),
    ];
    let watched = [
        http,
        fetches,
        fetched,
        failed,
        processed,
        processing,
        hits,
        misses,
        "status_codes_total{status=\"200\"}",
        "status_codes_total{status=\"404\"}",
    ];
    for (name, target, grown) in cases {
        let before = scrape(&process).await;
        process.get(target).await;
        let after = settled(&process, http, before.value(http) + 1.0).await;
        for key in watched {
            let expected = if grown.contains(&key) { 1.0 } else { 0.0 };
            assert_eq!(
                after.value(key) - before.value(key),
                expected,
                "{name}: {key}"
            );
        }
    }
}

/// A scrape in which `key` has reached `value`: a request is counted when its last byte is out, which the client sees first.
async fn settled(process: &Process, key: &str, value: f64) -> Scrape {
    for _ in 0..200 {
        let seen = scrape(process).await;
        if seen.value(key) >= value {
            return seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{key} does not reach {value}");
}

#[tokio::test]
async fn histograms_are_consistent_and_labels_closed() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let process = Process::start(&[CACHE]).await;
    for target in [
        "/health",
        "/",
        "/favicon.ico",
        "/x/y/z",
        "/.well-known/a",
        &image_path("", &origin.url("/a.png")),
    ] {
        process.get(target).await;
    }
    for method in ["BREW", "POST", "HEAD"] {
        client::request(process.addr, method, "/secret-in-the-path", &[]).await;
    }
    let text = process.scrape().await;
    let seen = Scrape::parse(&text);
    assert!(
        !text.contains("secret-in-the-path") && !text.contains("BREW"),
        "labels come from closed lists"
    );
    for (key, value) in seen
        .samples
        .iter()
        .filter(|(key, _)| key.contains("le=\"+Inf\""))
    {
        let (name, labels) = key.split_once('{').unwrap();
        let labels = labels
            .replace(",le=\"+Inf\"", "")
            .replace("le=\"+Inf\"", "");
        let labels = if labels == "}" {
            String::new()
        } else {
            format!("{{{labels}")
        };
        let count = format!("{}_count{labels}", name.trim_end_matches("_bucket"));
        assert_eq!(seen.samples.get(&count), Some(value), "{count}");
    }
    let paths: BTreeSet<&str> = seen
        .samples
        .keys()
        .filter_map(|key| key.split("path=\"").nth(1)?.split('"').next())
        .collect();
    let known = [
        "/",
        "/health",
        "/status",
        "/ready",
        "/favicon.ico",
        "/.well-known/{*path}",
        "/info/{*path}",
        "/{*path}",
        "/metrics",
        "unmatched",
    ];
    assert!(paths.iter().all(|path| known.contains(path)), "{paths:?}");
    let bounds: Vec<&str> = seen
        .samples
        .keys()
        .filter(|key| key.starts_with("source_image_fetch_duration_seconds_bucket"))
        .filter_map(|key| key.split("le=\"").nth(1)?.split('"').next())
        .collect();
    assert_eq!(bounds.len(), 18, "17 bounds and +Inf: {bounds:?}");
}

#[tokio::test]
async fn the_listener_serves_metrics_and_nothing_else() {
    let process = Process::start(&[]).await;
    let reply = client::request(process.metrics, "GET", "/metrics", &[]).await;
    assert_eq!(
        reply.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(
        client::request(process.metrics, "GET", "/anything", &[])
            .await
            .status,
        200
    );
    assert_eq!(
        client::request(process.metrics, "POST", "/metrics", &[])
            .await
            .status,
        405
    );
    assert_eq!(
        process.get("/metrics").await.status,
        404,
        "the main listener has none"
    );
}

#[tokio::test]
async fn a_cache_that_is_off_counts_nothing() {
    let process = Process::start(&[]).await;
    let seen = scrape(&process).await;
    assert!(
        !seen.samples.keys().any(|key| key.starts_with("cache_")),
        "{:?}",
        seen.samples.keys()
    );
}
