//! Attack cases of the running program as a whole: `spec/security.md`, by number.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::process::run;
use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, client};

/// Names and labels of all series, and the number of requests.
async fn series(process: &Process) -> (BTreeSet<String>, f64) {
    let text = process.scrape().await;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples: Vec<(&str, &str)> = samples.filter_map(|l| l.rsplit_once(' ')).collect();
    let requests = samples
        .iter()
        .filter(|(key, _)| key.starts_with("http_requests_duration_seconds_count"));
    let requests = requests
        .map(|(_, value)| value.parse::<f64>().unwrap())
        .sum();
    (
        samples.iter().map(|(key, _)| (*key).to_owned()).collect(),
        requests,
    )
}

/// Requests that differ in everything that a client chooses: method, path, option, preset, format, extension, source's
/// host and name, and headers. Nobody listens at the hosts.
async fn all_different(process: &Process, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let (a, b) = (n / 250, n % 250 + 1);
        let agent = format!("agent-{n}");
        let client_ip = format!("10.9.{a}.{b}");
        let headers = [
            ("User-Agent", agent.as_str()),
            ("X-Forwarded-For", &client_ip),
            ("X-Request-ID", &agent),
            ("Accept", &agent),
        ];
        let method = format!("M{n}");
        let targets = [
            (method.as_str(), format!("/path-{n}")),
            ("GET", format!("/path-{n}/{n}/{n}")),
            (
                "GET",
                format!("/unsafe/pr:preset{n}/plain/http://127.7.{a}.{b}:1/a"),
            ),
            (
                "GET",
                format!("/unsafe/option{n}:1/plain/http://127.7.{a}.{b}:1/a"),
            ),
            (
                "GET",
                format!("/unsafe/w:{n}/plain/http://127.7.{a}.{b}:1/{n}.png@png"),
            ),
            (
                "GET",
                format!("/unsafe/w:1/plain/scheme{n}://host{n}/a@format{n}"),
            ),
        ];
        for (method, target) in targets {
            client::request(process.addr, method, &target, &headers).await;
        }
    }
}

/// Case 84.
#[tokio::test]
async fn no_client_makes_new_series() {
    let process = Process::start(&[]).await;
    all_different(&process, 0..3).await;
    let (before, few) = series(&process).await;
    all_different(&process, 3..150).await;
    let (after, many) = series(&process).await;
    assert!(many >= few + 147.0 * 6.0, "{few} {many}");
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:?}");
}

/// Case 88: whoever has been let in gets a whole answer, also from the queue, and then the connection ends in order.
#[tokio::test]
async fn a_stop_under_load_loses_nobody() {
    let origin = Origin::start().await;
    for n in 0..REQUESTS {
        let script = Script::image("grid.png").delay(Duration::from_millis(300));
        origin.on(&format!("/{n}.png"), script);
    }
    let env = [
        ("IMGPROXY_WORKERS", "2"),
        ("IMGFORGE_MAX_DOWNLOADS_PER_HOST", "8"),
    ];
    let mut process = Process::start(&env).await;
    let mut running = Vec::new();
    for n in 0..REQUESTS {
        let path = image_path("w:10", &origin.url(&format!("/{n}.png")));
        // Kept alive, so that it is the stop that ends the connection.
        let head = format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n");
        let mut stream = client::connect(process.addr).await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes())
            .await
            .unwrap();
        running.push(stream);
    }
    let mut inside = 0.0;
    for _ in 0..500 {
        let text = process.scrape().await;
        let gauge = text
            .lines()
            .find_map(|line| line.strip_prefix("requests_in_progress "));
        inside = gauge.map_or(0.0, |value| value.parse().unwrap());
        if inside == REQUESTS as f64 || origin.asked(&format!("/{}.png", REQUESTS - 1)).len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        inside > 8.0,
        "{inside} requests are inside, so none of them waits"
    );
    process.signal("TERM");
    for (n, stream) in running.iter_mut().enumerate() {
        // Reads up to the end of the connection: a reset would be an error.
        let reply = client::read(stream, "GET").await;
        assert_eq!(reply.status, 200, "{n}: {}", reply.text());
        assert!(reply.body.starts_with(b"\x89PNG"), "{n}");
    }
    assert!(process.exit().await.success());
}

/// `spec/http.md` section 17: two programs on one port, and one of them goes.
#[tokio::test]
async fn two_programs_share_a_port() {
    let shared = [("IMGPROXY_SO_REUSEPORT", "true")];
    let mut first = Process::start(&shared).await;
    let bind = first.addr.to_string();
    let (status, text) = run(
        &[],
        &[
            ("IMGPROXY_BIND", bind.as_str()),
            ("IMGPROXY_PROMETHEUS_BIND", "off"),
        ],
    );
    assert_eq!(status.code(), Some(1), "{text}");
    let second = Process::start_beside(&first, &shared).await;
    let counts = async |process: &Process| series(process).await.1;
    let before = (counts(&first).await, counts(&second).await);
    for _ in 0..60 {
        assert_eq!(first.get("/health").await.status, 200);
    }
    eventually_counted(&first, before.0).await;
    eventually_counted(&second, before.1).await;
    first.signal("TERM");
    assert!(first.exit().await.success());
    for _ in 0..20 {
        assert_eq!(second.get("/health").await.status, 200);
    }
}

async fn eventually_counted(process: &Process, before: f64) {
    for _ in 0..200 {
        if series(process).await.1 > before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it was asked nothing");
}

/// Enough that most of them wait.
const REQUESTS: usize = 40;
