//! Purges, over the admin listener and by the command.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cache_disk::Folder;
use crate::common::client::Reply;
use crate::common::server::image_path;
use crate::common::{Origin, Script, Server, client, pictures, process};

fn picture(width: u32) -> Script {
    Script::file(pictures::noise_png(width, 30), "image/png").header("Cache-Control", "max-age=600")
}

fn is_hit(reply: &Reply) -> bool {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let status = reply.header("cache-status");
    status.is_some_and(|status| status.starts_with("imgforge; hit"))
}

async fn admin_request(to: SocketAddr, head: &str, token: &str, body: &str) -> (u16, String) {
    let mut stream = client::connect(to).await;
    let request = format!(
        "{head} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split("\r\n\r\n").nth(1).unwrap().to_owned())
}

async fn purge(server: &Server, body: &str) -> (u64, u64) {
    let (status, answer) = admin_request(server.admin(), "POST /purge", "secret", body).await;
    assert_eq!(status, 200, "{body}: {answer}");
    let counts: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let count = |name: &str| counts[name].as_u64().unwrap();
    (count("results"), count("sources"))
}

const ADMIN: [(&str, &str); 3] = [
    ("IMGFORGE_ADMIN_BIND", "127.0.0.1:0"),
    ("IMGFORGE_ADMIN_TOKEN", "secret"),
    ("IMGPROXY_AUTO_WEBP", "true"),
];

#[tokio::test]
async fn purges_remove_what_they_name_and_nothing_else() {
    let origin = Origin::start().await;
    let (a, b) = (origin.url("/a/1.png"), origin.url("/b/1.png"));
    for kind in ["memory", "disk", "hybrid"] {
        origin.otherwise(picture(30));
        let folder = Folder::new();
        let mut env = ADMIN.to_vec();
        env.extend([
            ("IMGFORGE_CACHE_TYPE", kind),
            ("IMGFORGE_SOURCE_CACHE", kind),
            ("IMGFORGE_CACHE_DISK_PATH", folder.text()),
            ("IMGPROXY_ENABLE_CLIENT_HINTS", "true"),
        ]);
        let server = Server::start(&env).await;
        let targets = [
            image_path("w:10", &a),
            image_path("w:11", &a),
            image_path("w:10", &b),
        ];
        // Variants of the first: another format, another width by a hint.
        let variants: [&[(&str, &str)]; 3] = [
            &[],
            &[("Accept", "image/webp")],
            &[("Sec-CH-Width", "20"), ("DPR", "2")],
        ];
        let prefix = origin.url("/a/");
        let first = targets[0].replace("/unsafe/", "/other/");
        let cases = [
            // What is purged; which of the targets are hits afterwards; counts.
            (
                format!("{{\"url\": \"http://host{first}?q\"}}"),
                [false, true, true],
                (3, 1),
            ),
            (
                format!("{{\"source\": \"{a}\"}}"),
                [false, false, true],
                (4, 1),
            ),
            (
                format!("{{\"prefix\": \"{prefix}\"}}"),
                [false, false, true],
                (4, 1),
            ),
            ("{\"all\": true}".to_owned(), [false, false, false], (5, 2)),
            (
                format!("{{\"source\": \"{}\"}}", origin.url("/c.png")),
                [true, true, true],
                (0, 0),
            ),
        ];
        for (body, hits, counts) in cases {
            for target in &targets {
                server.get(target).await;
            }
            for headers in variants {
                server.get_with(&targets[0], headers).await;
            }
            // What is being written is removed as well, but counted only once it is there.
            tokio::time::sleep(Duration::from_millis(if kind == "memory" {
                0
            } else {
                150
            }))
            .await;
            let purged = purge(&server, &body).await;
            assert_eq!(purged, counts, "{kind} {body}");
            for headers in variants {
                let reply = server.get_with(&targets[0], headers).await;
                assert_eq!(is_hit(&reply), hits[0], "{kind} {body} {headers:?}");
            }
            for (target, expected) in targets.iter().zip(hits).skip(1) {
                assert_eq!(
                    is_hit(&server.get(target).await),
                    expected,
                    "{kind} {body} {target}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_purge_is_followed_by_the_new_source() {
    let origin = Origin::start().await;
    origin.on("/a.png", picture(30));
    let mut env = ADMIN.to_vec();
    env.extend([
        ("IMGFORGE_CACHE_TYPE", "memory"),
        ("IMGFORGE_SOURCE_CACHE", "memory"),
    ]);
    let server = Server::start(&env).await;
    let source = origin.url("/a.png");
    let width = |reply: Reply| pictures::facts(&reply.body).1;
    assert_eq!(width(server.image("q:80", &source).await), 30);
    origin.on("/a.png", picture(40));
    assert_eq!(width(server.image("q:80", &source).await), 30);
    let target = image_path("q:80", &source);
    purge(&server, &format!("{{\"url\": \"{target}\"}}")).await;
    assert_eq!(width(server.image("q:80", &source).await), 40);
    // A job that runs during the purge is given to those who asked before it, and is not kept.
    origin.on("/b.png", picture(30).delay(Duration::from_millis(600)));
    let source = origin.url("/b.png");
    let during = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        origin.on("/b.png", picture(40));
        purge(&server, &format!("{{\"source\": \"{source}\"}}")).await;
        width(server.image("q:80", &source).await)
    };
    let (before, after) = tokio::join!(server.image("q:80", &source), during);
    assert_eq!((width(before), after), (30, 40));
    let kept = server.image("q:80", &source).await;
    assert!(is_hit(&kept));
    assert_eq!(width(kept), 40);
}

#[tokio::test]
async fn only_the_token_opens_and_only_one_route_is_there() {
    let server = Server::start(&ADMIN).await;
    let all = "{\"all\": true}";
    for (head, token, body, status) in [
        ("POST /purge", "secret", all, 200),
        ("POST /purge", "Secret", all, 401),
        ("POST /purge", "", all, 401),
        ("POST /purge", "secrets", all, 401),
        ("GET /other", "", "", 401),
        ("GET /other", "secret", "", 404),
        ("GET /purge", "secret", "", 405),
        ("POST /purge", "secret", "", 400),
        ("POST /purge", "secret", "{}", 400),
        (
            "POST /purge",
            "secret",
            "{\"url\": \"/unsafe/nonsense:1/plain/a\"}",
            400,
        ),
    ] {
        let (answered, text) = admin_request(server.admin(), head, token, body).await;
        assert_eq!(answered, status, "{head} {token} {body}: {text}");
    }
    // The main listener knows no such route.
    let reply = client::request(
        server.addr,
        "POST",
        "/purge",
        &[("Authorization", "Bearer secret")],
    )
    .await;
    assert_ne!(reply.status, 200);
    let without = process::run(&[], &[("IMGFORGE_ADMIN_BIND", "127.0.0.1:0")]);
    assert!(
        !without.0.success() && without.1.contains("IMGFORGE_ADMIN_TOKEN"),
        "{}",
        without.1
    );
}

#[tokio::test]
async fn the_command_purges() {
    let origin = Origin::start().await;
    origin.on("/a.png", picture(30));
    let mut env = ADMIN.to_vec();
    env.push(("IMGFORGE_CACHE_TYPE", "memory"));
    let server = Server::start(&env).await;
    let source = origin.url("/a.png");
    server.image("w:10", &source).await;
    let bind = server.admin().to_string();
    let command = |args: Vec<String>, token: &'static str| {
        let bind = bind.clone();
        tokio::task::spawn_blocking(move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let env = [
                ("IMGFORGE_ADMIN_BIND", &*bind),
                ("IMGFORGE_ADMIN_TOKEN", token),
            ];
            process::run(&args, &env)
        })
    };
    let args = || vec!["purge".to_owned(), "--source".to_owned(), source.clone()];
    let (status, text) = command(args(), "wrong").await.unwrap();
    assert!(!status.success() && text.contains("401"), "{text}");
    let (status, text) = command(args(), "secret").await.unwrap();
    assert!(status.success(), "{text}");
    assert_eq!(text, "{\"results\":1,\"sources\":0}\n");
    assert!(!is_hit(&server.image("w:10", &source).await));
}
