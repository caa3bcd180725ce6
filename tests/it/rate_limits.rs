//! Rate limits over real connections. The limits are so low that hardly a request comes back during a test.

use imgforge::sign;

use crate::common::client::{self, Reply};
use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, Server};
use crate::metrics::scrape;
use crate::signing::{KEY_A, SALT_A};

const LIMITED: (u16, &str) = (429, "Rate limit exceeded");

fn outcome(reply: &Reply) -> (u16, String) {
    (reply.status, reply.text())
}

fn is_limited(reply: &Reply) -> bool {
    let (status, text) = outcome(reply);
    (status, text.as_str()) == LIMITED
}

/// `RateLimit-Limit` and `-Remaining`; `-Reset` has to be there where they are.
fn quota(reply: &Reply) -> Option<(u32, u32)> {
    let number = |name: &str| {
        reply
            .header(name)
            .map(|value| value.parse::<u32>().unwrap())
    };
    let reset = number("ratelimit-reset");
    let limit = number("ratelimit-limit");
    assert_eq!(reset.is_some(), limit.is_some());
    assert_ne!(reset, Some(0));
    limit.zip(number("ratelimit-remaining"))
}

async fn origin() -> Origin {
    let origin = Origin::start().await;
    origin.otherwise(Script::image("grid.png"));
    origin
}

#[tokio::test]
async fn without_a_limit_no_header_says_so() {
    let origin = origin().await;
    let server = Server::start(&[]).await;
    for _ in 0..20 {
        let reply = server.image("raw:1", &origin.url("/a.png")).await;
        assert_eq!((reply.status, quota(&reply)), (200, None));
    }
}

#[tokio::test]
async fn signed_requests_share_one_limit() {
    let origin = origin().await;
    let server = Server::start(&[
        ("IMGFORGE_RATE_LIMIT_PER_MINUTE", "1"),
        ("IMGFORGE_RATE_LIMIT_BURST", "3"),
        ("IMGPROXY_KEY", KEY_A),
        ("IMGPROXY_SALT", SALT_A),
        ("IMGFORGE_CACHE_TYPE", "memory"),
        ("IMGFORGE_CACHE_DEFAULT_TTL", "60"),
        ("IMGPROXY_FALLBACK_IMAGE_PATH", FALLBACK),
        ("IMGPROXY_FALLBACK_IMAGE_HTTP_CODE", "200"),
    ])
    .await;
    let path = format!("/w:10/plain/{}", origin.url("/a.png"));
    for _ in 0..10 {
        let forged = server.get(&format!("/forged{path}")).await;
        assert_eq!((forged.status, quota(&forged)), (403, None));
    }
    let signed = signed(&path);
    for remaining in [2, 1, 0] {
        let reply = server.get(&signed).await;
        assert_eq!((reply.status, quota(&reply)), (200, Some((3, remaining))));
        assert_eq!(reply.header("retry-after"), None);
    }
    assert_eq!(origin.asked("/a.png").len(), 1, "hits count as requests");
    let refused = server.get(&signed).await;
    assert_eq!(outcome(&refused), (LIMITED.0, LIMITED.1.to_owned()));
    assert_eq!(quota(&refused), Some((3, 0)));
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    for page in ["/health", "/status", "/ready", "/"] {
        let reply = server.get(page).await;
        assert_eq!((reply.status, quota(&reply)), (200, None), "{page}");
    }
}

#[tokio::test]
async fn requests_come_back_with_time() {
    let origin = origin().await;
    let server = Server::start(&[
        ("IMGFORGE_RATE_LIMIT_PER_MINUTE", "60"),
        ("IMGFORGE_RATE_LIMIT_BURST", "1"),
    ])
    .await;
    let ask = || async { server.image("raw:1", &origin.url("/a.png")).await };
    assert_eq!(ask().await.status, 200);
    let mut refused = ask().await;
    // On a machine that slept for a second in between it is let pass; the next one is not.
    for _ in 0..5 {
        if !is_limited(&refused) {
            refused = ask().await;
        }
    }
    assert!(is_limited(&refused));
    assert_eq!(refused.header("retry-after"), Some("1"));
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(ask().await.status, 200);
}

#[tokio::test]
async fn every_client_behind_a_trusted_proxy_has_its_own() {
    let origin = origin().await;
    let server = Server::start(&[
        ("IMGFORGE_CLIENT_RATE_LIMIT_PER_MINUTE", "1"),
        ("IMGFORGE_CLIENT_RATE_LIMIT_BURST", "2"),
        ("IMGPROXY_MAX_SRC_RESOLUTION", "1"),
        ("IMGFORGE_TRUSTED_PROXIES", "127.0.0.0/8"),
    ])
    .await;
    let path = image_path("raw:1", &origin.url("/a.png"));
    for (forwarded, expected) in [
        ("192.0.2.1", Some(1)),
        ("192.0.2.1", Some(0)),
        ("192.0.2.1", None),
        // What the client has written itself stands in front of what the proxy adds.
        ("198.51.100.1, 192.0.2.1", None),
        ("198.51.100.2,127.0.0.1, 192.0.2.1", None),
        ("192.0.2.1, 127.0.0.9", None),
        ("192.0.2.2", Some(1)),
        ("2001:db8::1", Some(1)),
        ("2001:db8::2", Some(0)),
        ("2001:db8::ffff:ffff:ffff:ffff", None),
        ("2001:db8:0:1::1", Some(1)),
    ] {
        let reply = server
            .get_with(&path, &[("X-Forwarded-For", forwarded)])
            .await;
        match expected {
            Some(remaining) => {
                assert_eq!(reply.status, 200, "{forwarded}");
                assert_eq!(quota(&reply), Some((2, remaining)), "{forwarded}");
            }
            None => assert!(is_limited(&reply), "{forwarded}: {}", reply.status),
        }
    }
}

#[tokio::test]
async fn nobody_else_says_who_a_client_is() {
    let origin = origin().await;
    let server = Server::start(&[
        ("IMGFORGE_CLIENT_RATE_LIMIT_PER_MINUTE", "1"),
        ("IMGFORGE_CLIENT_RATE_LIMIT_BURST", "2"),
    ])
    .await;
    let path = image_path("raw:1", &origin.url("/a.png"));
    let ask = |path, number: u8| {
        let address = format!("192.0.2.{number}");
        let server = &server;
        async move {
            let headers = [
                ("X-Forwarded-For", address.as_str()),
                ("X-Real-IP", address.as_str()),
                ("CF-Connecting-IP", address.as_str()),
            ];
            server.get_with(path, &headers).await
        }
    };
    let broken = ask("/unsafe/w:x/plain/a", 1).await;
    assert_eq!((broken.status, quota(&broken)), (404, Some((2, 1))));
    assert_eq!(ask(&path, 2).await.status, 200);
    for number in 3..6 {
        assert!(is_limited(&ask(&path, number).await));
    }
    assert_eq!(origin.asked("/a.png").len(), 1);
}

#[tokio::test]
async fn limited_requests_count_by_their_reason_and_nowhere_else() {
    let origin = origin().await;
    let process = Process::start(&[
        ("IMGFORGE_RATE_LIMIT_PER_MINUTE", "1"),
        ("IMGFORGE_RATE_LIMIT_BURST", "2"),
        ("IMGFORGE_CLIENT_RATE_LIMIT_PER_MINUTE", "1"),
        ("IMGFORGE_CLIENT_RATE_LIMIT_BURST", "3"),
        ("IMGFORGE_TRUSTED_PROXIES", "127.0.0.1"),
        ("IMGFORGE_CACHE_TYPE", "memory"),
    ])
    .await;
    let path = image_path("w:10", &origin.url("/a.png"));
    // The second client finds the limit of all used up.
    for (client, statuses) in [
        ("192.0.2.1", [200, 200, 429, 429]),
        ("192.0.2.2", [429, 429, 429, 429]),
    ] {
        for status in statuses {
            let headers = [("X-Forwarded-For", client)];
            let reply = client::request(process.addr, "GET", &path, &headers).await;
            assert_eq!(reply.status, status);
        }
    }
    let scrape = scrape(&process).await;
    for (sample, expected) in [
        (
            "imgforge_rejected_requests_total{reason=\"rate_limit_global\"}",
            4.0,
        ),
        (
            "imgforge_rejected_requests_total{reason=\"rate_limit_client\"}",
            2.0,
        ),
        ("imgforge_rejected_requests_total{reason=\"queue\"}", 0.0),
        ("errors_total{type=\"queue\"}", 0.0),
        ("errors_total{type=\"security\"}", 6.0),
        ("status_codes_total{status=\"429\"}", 6.0),
        ("source_images_fetched_total{status=\"success\"}", 1.0),
    ] {
        assert_eq!(scrape.value(sample), expected, "{sample}");
    }
    let lookups: f64 = ["hits", "misses"]
        .iter()
        .map(|what| scrape.value(&format!("cache_{what}_total{{cache_type=\"memory\"}}")))
        .sum();
    assert_eq!(lookups, 2.0, "the two that were answered");
}

fn signed(path: &str) -> String {
    let bytes = |hex: &str| -> Vec<u8> {
        let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digits).collect()
    };
    format!("/{}{path}", sign(&bytes(KEY_A), &bytes(SALT_A), path, 32))
}

const FALLBACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images/grid.jpg");
