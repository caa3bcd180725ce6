//! Attacks on the caches and on shared work: cases 74 to 78 of `spec/security.md`.

use std::time::Duration;

use crate::cache_disk::{Folder, entries};
use crate::common::client::Reply;
use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, Server, client, pictures};

const SLOW: Duration = Duration::from_millis(600);

fn picture(width: u32) -> Script {
    Script::file(pictures::noise_png(width, 30), "image/png").header("Cache-Control", "max-age=600")
}

fn is_hit(reply: &Reply) -> bool {
    let status = reply.header("cache-status");
    status.is_some_and(|status| status.starts_with("imgforge; hit"))
}

/// Case 74: what a request header changes is another entry, and what it does not change is not.
#[tokio::test]
async fn nobody_gets_the_variant_of_another() {
    let origin = Origin::start().await;
    origin.on("/a.png", picture(64).header("ETag", "\"1\""));
    let env = [
        ("IMGPROXY_AUTO_WEBP", "true"),
        ("IMGPROXY_AUTO_AVIF", "true"),
        ("IMGPROXY_ENABLE_CLIENT_HINTS", "true"),
    ];
    let plain = Server::start(&env).await;
    let cached = [
        env.to_vec(),
        vec![
            ("IMGFORGE_CACHE_TYPE", "memory"),
            ("IMGFORGE_SOURCE_CACHE", "memory"),
        ],
    ];
    let cached = Server::start(&cached.concat()).await;
    let target = image_path("w:16", &origin.url("/a.png"));
    let variants: [&[(&str, &str)]; 14] = [
        &[],
        &[("Accept", "image/webp")],
        &[("Accept", "image/avif,image/webp")],
        &[("Accept", "image/webp;q=0")],
        &[("DPR", "2")],
        &[("Sec-CH-DPR", "2"), ("Accept", "image/webp")],
        &[("Width", "40")],
        &[("Sec-CH-Width", "40"), ("DPR", "2")],
        &[("X-Forwarded-Host", "evil.example")],
        &[
            ("X-Forwarded-For", "10.1.1.1"),
            ("X-Original-URL", "/other"),
        ],
        &[("Range", "bytes=0-3")],
        &[("If-None-Match", "\"1\"")],
        &[("If-None-Match", "\"other\"")],
        &[("If-Modified-Since", "Thu, 01 Jan 2037 00:00:00 GMT")],
    ];
    let mut expected = Vec::new();
    for headers in variants {
        expected.push(plain.get_with(&target, headers).await);
    }
    // Forwards it fills, backwards it hits; each time everybody has their own.
    for round in 0..2 {
        for turn in 0..variants.len() {
            let at = if round == 0 {
                turn
            } else {
                variants.len() - 1 - turn
            };
            let reply = cached.get_with(&target, variants[at]).await;
            assert_eq!(
                reply.status, expected[at].status,
                "{round} {:?}",
                variants[at]
            );
            assert_eq!(reply.body, expected[at].body, "{round} {:?}", variants[at]);
            for name in ["content-type", "vary", "etag", "content-range"] {
                assert_eq!(
                    reply.header(name),
                    expected[at].header(name),
                    "{round} {:?} {name}",
                    variants[at]
                );
            }
            let vary = reply.header("vary").unwrap_or_default();
            assert!(
                vary.contains("Accept") && vary.contains("Dpr") && vary.contains("Width"),
                "{vary}"
            );
            if round == 1 {
                assert!(is_hit(&reply), "{:?} {reply:?}", variants[at]);
            }
        }
    }
}

/// Case 74: the same source, written in different ways, is never another source.
#[tokio::test]
async fn encodings_of_a_path_do_not_mix_sources() {
    let origin = Origin::start().await;
    for (path, width) in [
        ("/a%2Fb.png", 20),
        ("/a/b.png", 21),
        ("/a%252Fb.png", 22),
        ("/A/b.png", 23),
    ] {
        origin.on(path, picture(width));
    }
    let server = Server::start(&[
        ("IMGFORGE_CACHE_TYPE", "memory"),
        ("IMGFORGE_SOURCE_CACHE", "memory"),
    ])
    .await;
    // What stands in the URL, and which picture it means: escaped once more, or Base64.
    let base64 = |path: &str| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(origin.url(path))
    };
    let targets = [
        (image_path("", &origin.url("/a%252Fb.png")), 20),
        (image_path("", &origin.url("/a/b.png")), 21),
        (image_path("", &origin.url("/a%25252Fb.png")), 22),
        (image_path("", &origin.url("/A/b.png")), 23),
        (format!("/unsafe/{}", base64("/a%2Fb.png")), 20),
        (format!("/unsafe/{}", base64("/a/b.png")), 21),
        (format!("/unsafe/{}", base64("/a%252Fb.png")), 22),
        (format!("/unsafe/{}", base64("/A/b.png")), 23),
    ];
    for _ in 0..2 {
        for (target, width) in &targets {
            let reply = server.get(target).await;
            assert_eq!(reply.status, 200, "{target}: {}", reply.text());
            assert_eq!(pictures::facts(&reply.body).1, *width, "{target}");
        }
    }
}

/// Case 75: an answer that is not a whole picture is not kept, neither as a result nor as a source.
#[tokio::test]
async fn what_went_wrong_is_not_kept() {
    let origin = Origin::start().await;
    let whole = pictures::noise_png(40, 40);
    let (length, half) = (whole.len(), whole.len() / 2);
    let png = |body: &[u8]| Script::file(body, "image/png").header("Cache-Control", "max-age=600");
    let range = format!("bytes 0-{}/{length}", half - 1);
    let partial = png(&whole[..half])
        .answering(206)
        .header("Content-Range", &range);
    let broken = [
        ("cut", png(&whole).cut(half)),
        ("reset", png(&whole).reset(half)),
        ("chunks that end early", png(&whole).chunked().cut(half)),
        ("partial", partial),
        (
            "error",
            Script::status(503).header("Cache-Control", "max-age=600"),
        ),
        (
            "gone",
            Script::status(410).header("Cache-Control", "max-age=600"),
        ),
        ("empty", png(b"")),
        ("no picture", png(b"<html>no picture</html>")),
    ];
    let folder = Folder::new();
    for kind in ["memory", "hybrid"] {
        let env = [
            ("IMGFORGE_CACHE_TYPE", kind),
            ("IMGFORGE_SOURCE_CACHE", kind),
            ("IMGFORGE_CACHE_DISK_PATH", folder.text()),
            ("IMGPROXY_DOWNLOAD_TIMEOUT", "5"),
        ];
        let server = Server::start(&env).await;
        for (number, (name, script)) in broken.iter().enumerate() {
            let path = format!("/{kind}{number}.png");
            origin.on(&path, script.clone());
            let source = origin.url(&path);
            let first = server.image("w:20", &source).await;
            assert_ne!(first.status, 200, "{kind} {name}");
            assert_eq!(first.header("cache-control"), None, "{kind} {name}");
            origin.on(&path, picture(40));
            let again = server.image("w:20", &source).await;
            assert_eq!(again.status, 200, "{kind} {name}: {}", again.text());
            assert_eq!(pictures::facts(&again.body).1, 20, "{kind} {name}");
        }
    }
}

/// Cases 75 and 76: whoever leaves in the middle of a job or a download leaves nothing behind, and takes nobody along.
#[tokio::test]
async fn a_leader_that_leaves_keeps_nothing_and_fails_nobody() {
    let origin = Origin::start().await;
    origin.on("/a.png", picture(40).delay(SLOW));
    let env = [
        ("IMGFORGE_CACHE_TYPE", "memory"),
        ("IMGFORGE_SOURCE_CACHE", "memory"),
    ];
    let server = Server::start(&env).await;
    let source = origin.url("/a.png");
    let target = image_path("w:20", &source);
    // Alone: the download ends with it.
    let leader = client::send(server.addr, "GET", &target, &[]).await;
    tokio::time::sleep(SLOW / 3).await;
    drop(leader);
    tokio::time::sleep(SLOW).await;
    assert_eq!(origin.asked("/a.png").len(), 1);
    // With others behind it, some of which leave as well; other sizes share the download.
    let leader = client::send(server.addr, "GET", &target, &[]).await;
    tokio::time::sleep(SLOW / 6).await;
    let mut leavers = Vec::new();
    for _ in 0..10 {
        leavers.push(client::send(server.addr, "GET", &target, &[]).await);
    }
    let targets: Vec<String> = (0..60)
        .map(|n| image_path(&format!("w:{}", 20 + n % 3), &source))
        .collect();
    let stay = futures_util::future::join_all(targets.iter().map(|target| server.get(target)));
    let leave = async {
        tokio::time::sleep(SLOW / 3).await;
        drop((leader, leavers));
    };
    let (replies, ()) = tokio::join!(stay, leave);
    for (number, reply) in replies.iter().enumerate() {
        assert_eq!(reply.status, 200, "{number}: {}", reply.text());
        assert_eq!(pictures::facts(&reply.body).1, 20 + number as u32 % 3);
    }
    let downloads = origin.asked("/a.png").len();
    assert!((2..=3).contains(&downloads), "{downloads} downloads");
    assert!(is_hit(&server.get(&target).await));
}

/// Case 76: a thousand requests for one picture are one job, and each of them is checked by itself.
#[tokio::test]
async fn a_thousand_followers_are_one_job_and_strangers_get_nothing() {
    let origin = Origin::start().await;
    origin.on("/a.png", picture(40).delay(3 * SLOW));
    let env = [
        ("IMGPROXY_SECRET", "s"),
        ("IMGPROXY_ALLOWED_SOURCES", "http://127.0.0.1"),
        ("IMGPROXY_MAX_CLIENTS", "4096"),
    ];
    let process = Process::start(&env).await;
    let source = origin.url("/a.png");
    let target = image_path("w:20", &source);
    let expired = image_path("w:20/exp:1000000000", &source);
    let requests = (0..1000).map(|number| {
        let (target, token, expected) = match number % 10 {
            3 => (&target, "Bearer wrong", 403),
            7 => (&expired, "Bearer s", 404),
            _ => (&target, "Bearer s", 200),
        };
        let addr = process.addr;
        async move {
            let reply = client::request(addr, "GET", target, &[("Authorization", token)]).await;
            assert_eq!(reply.status, expected, "{number}: {}", reply.text());
            reply.body
        }
    });
    let bodies = futures_util::future::join_all(requests).await;
    assert!(
        bodies
            .iter()
            .enumerate()
            .all(|(number, body)| [3, 7].contains(&(number % 10)) || *body == bodies[0])
    );
    assert_eq!(origin.asked("/a.png").len(), 1);
    let text = process.scrape().await;
    for line in [
        "processed_images_total{format=\"png\"} 1",
        "imgforge_collapsed_requests_total 799",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}:\n{text}");
    }
}

/// Case 77: what could be mistaken for another one by its name is an entry of its own, under a name without its text.
#[tokio::test]
async fn names_that_look_alike_are_entries_of_their_own() {
    let origin = Origin::start().await;
    let long = "x".repeat(255);
    let paths = [
        "/a.png".to_owned(),
        "/A.png".to_owned(),
        "/a.PNG".to_owned(),
        "/a.png?".to_owned(),
        "/a.png?w=1".to_owned(),
        "/a.png?w=1&".to_owned(),
        "/w:20/plain/a.png".to_owned(),
        "/..%2f..%2fetc%2fpasswd".to_owned(),
        "/con.png".to_owned(),
        format!("/{long}.png"),
        format!("/{long}y.png"),
        format!("/{long}/{long}/{long}.png"),
    ];
    let folder = Folder::new();
    let env = [
        ("IMGFORGE_CACHE_TYPE", "disk"),
        ("IMGFORGE_CACHE_DISK_PATH", folder.text()),
    ];
    let server = Server::start(&env).await;
    for round in 0..2 {
        for (path, width) in paths.iter().zip(30..) {
            origin.on(path, picture(width));
            // Escaped once more, so that the source gets it as it stands here.
            let source = origin.url(path).replace('%', "%25").replace('?', "%3F");
            let reply = server.image("q:80", &source).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            assert_eq!(pictures::facts(&reply.body).1, width, "{round} {path}");
            assert_eq!(is_hit(&reply), round == 1, "{round} {path}");
        }
    }
    // Options that could slip from one into another.
    let source = origin.url("/a.png");
    let mut bodies = Vec::new();
    for options in [
        "w:12/h:3",
        "w:1/h:23",
        "w:123",
        "cb:a/cb:b",
        "cb:ab",
        "fn:w%3A12",
    ] {
        let reply = server.image(options, &source).await;
        assert_eq!(reply.status, 200, "{options}");
        assert!(options.starts_with("fn") || !is_hit(&reply), "{options}");
        bodies.push(reply.body);
    }
    for file in entries(&folder.0) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(
            name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()),
            "{name}"
        );
    }
}
