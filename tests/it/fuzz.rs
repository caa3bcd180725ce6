//! Random request targets over real sockets: whatever is asked, there is an answer, and it is not the server's fault.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use proptest::test_runner::Config;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::common::{Origin, Script, Server, client};

/// What targets are made of. `@` stands for the URL of a picture.
const PARTS: &[&str] = &[
    "/",
    ":",
    "@",
    "plain",
    "plain/",
    "/plain/@",
    "unsafe",
    "_",
    "-",
    ".",
    "..",
    "%",
    "%2F",
    "%3A",
    "%00",
    "%0d%0a",
    "%ff",
    "?",
    "#",
    "=",
    "@png",
    "@jpg",
    "@svg",
    ".png",
    "w",
    "0",
    "1",
    "-1",
    "0.5",
    "1e9",
    "1e400",
    "nan",
    "inf",
    "2147483647",
    "9223372036854775808",
    "",
    "é",
    "\u{1F600}",
    "aHR0cDovL2E",
    "enc/",
    "info/",
    "local:///etc/passwd",
    "http://127.0.0.1:1/",
    "http:/",
    "data:,x",
    "\t",
    " ",
    "\x01",
    "\x7f",
    "\"",
    "<",
    "\\",
];

/// Options that are right, most of the time.
const OPTIONS: &[&str] = &[
    "w:10",
    "h:7",
    "s:5:5",
    "rs:fill:9:9",
    "rs:auto:8",
    "rt:force",
    "c:3:3:nowe",
    "c:0.5:0.2",
    "g:sm",
    "g:fp:0.5:1",
    "ex:1",
    "exar:1:sowe",
    "pd:1:2",
    "pd:3",
    "t:10",
    "t:10:f00:1:1",
    "ar:1",
    "rot:90",
    "fl:1:1",
    "bg:255:0:0",
    "bg:fff",
    "bl:1",
    "bl:0.1",
    "sh:1",
    "sh:3",
    "pix:3",
    "wm:1:re",
    "wm:0.5:soea:3:3:0.2",
    "q:1",
    "fq:jpg:3",
    "mb:100",
    "f:png",
    "f:jpg",
    "f:webp",
    "f:gif",
    "f:tiff",
    "sm:1",
    "kcr:1",
    "scp:0",
    "dpr:2",
    "z:2:3",
    "el:1",
    "mw:4",
    "mh:90",
    "eth:1",
    "raw:1",
    "skp:png",
    "cb:x",
    "exp:9999999999",
    "exp:1",
    "fn:eA:1",
    "att:1",
    "pr:x",
    "hs:md5:x",
    "phdr:1",
];

/// What stands in for one argument of an option.
const VALUES: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "7",
    "0.5",
    "-0.25",
    "100",
    "65536",
    "1e9",
    "1e400",
    "nan",
    "",
    "x",
    "t",
    "ce",
    "2147483648",
];

fn option(random: &mut StdRng) -> String {
    let option = *OPTIONS.choose(random).unwrap();
    if random.random_bool(0.7) {
        return option.to_owned();
    }
    let mut parts: Vec<&str> = option.split(':').collect();
    let at = random.random_range(1..=parts.len());
    parts.truncate(at);
    for _ in 0..random.random_range(1..3) {
        parts.push(VALUES.choose(random).unwrap());
    }
    parts.join(":")
}

fn target(random: &mut StdRng, url: &str) -> Vec<u8> {
    let mut text = String::from("/");
    // Most begin and end like a good request, so that what stands between gets further than the first check.
    if random.random_bool(0.8) {
        text.push_str("unsafe/");
    }
    for _ in 0..random.random_range(0..6) {
        if random.random_bool(0.8) {
            text.push_str(&option(random));
            text.push('/');
        } else {
            let part = PARTS.choose(random).unwrap();
            text.push_str(if *part == "@" { url } else { part });
        }
    }
    if random.random_bool(0.8) {
        text.push_str("plain/");
        text.push_str(url);
    }
    let mut bytes = text.into_bytes();
    if random.random_bool(0.2) {
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
    }
    // A line end would be another request.
    bytes.retain(|byte| !b"\r\n".contains(byte));
    bytes
}

async fn ask(server: &Server, target: &[u8]) -> Option<u16> {
    let head = [
        b"GET ",
        target,
        b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ]
    .concat();
    let answer = client::raw(server.addr, &head);
    let reply = tokio::time::timeout(Duration::from_secs(20), answer).await;
    reply.ok().map(|reply| reply.status)
}

#[tokio::test]
async fn every_target_has_an_answer() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let url = origin.url("/a.png");
    let env = [
        // Nothing but the origin is asked, whatever a target says.
        ("IMGPROXY_ALLOWED_SOURCES", url.as_str()),
        ("IMGPROXY_MAX_RESULT_DIMENSION", "300"),
    ];
    let server = Server::start(&env).await;
    // `PROPTEST_CASES` asks for more, as for all property tests.
    let cases = u64::from(Config::default().cases).max(2000);
    let answered = AtomicU32::new(0);
    let wrong: Vec<String> = futures_util::stream::iter(0..cases)
        .map(|seed| {
            let (server, answered) = (&server, &answered);
            let target = target(&mut StdRng::seed_from_u64(seed), &url);
            async move {
                let status = ask(server, &target).await;
                let fine = status.is_some_and(|status| (200..500).contains(&status));
                answered.fetch_add(u32::from(status == Some(200)), Ordering::Relaxed);
                (!fine).then(|| format!("{status:?} {}", target.escape_ascii()))
            }
        })
        .buffer_unordered(16)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        wrong.is_empty(),
        "{} targets:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // Requests at the same time share a download, so that fewer of those are seen.
    let answered = answered.into_inner();
    assert!(answered > 100, "only {answered} targets are good");
    assert_eq!(server.image("w:10", &url).await.status, 200);
}
