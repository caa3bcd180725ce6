//! The lines of the running program: what they hold, what they must not hold, and how many there are.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, Server, client, eventually};
use crate::signing::{KEY_A, PATH, SALT_A, SIGNATURE};

const INFO: (&str, &str) = ("IMGPROXY_LOG_LEVEL", "info");

#[tokio::test]
async fn every_request_has_two_lines() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let process = Process::start(&[INFO, ("IMGPROXY_LOG_FORMAT", "json")]).await;
    process
        .get(&image_path("w:20", &origin.url("/a.png")))
        .await;
    process.get("/unsafe/w:x/plain/http://h/a").await;
    process.get("/health").await;
    let lines: Vec<serde_json::Value> = process
        .log()
        .lines()
        .filter(|line| line.contains("request_id"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    let message = |i: usize| lines[i]["msg"].as_str().unwrap();
    assert!(message(0).starts_with("Started /unsafe/w:20/plain/"));
    assert!(message(1).starts_with("Completed in ") && message(1).ends_with("/a.png"));
    assert_eq!(
        (&lines[1]["level"], &lines[1]["status"]),
        (&"INFO".into(), &200.into())
    );
    assert_eq!(lines[1]["image_url"], origin.url("/a.png"));
    assert_eq!(lines[1]["processing_options"]["width"], 20);
    assert_eq!(
        (&lines[3]["level"], &lines[3]["status"]),
        (&"WARNING".into(), &404.into())
    );
    assert!(lines[3]["error"].is_string() && lines[3]["error_docs_url"].is_string());
    assert!(lines[3]["image_url"].is_null());
}

#[tokio::test]
async fn no_secret_gets_into_a_line() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    origin.otherwise(Script::file(
        "Bearer hunter2-token ?sig=hunter2",
        "text/plain",
    ));
    let secret = origin.url("/a.png").replace("//", "//me:hunter2@");
    let encoded = BASE64_URL_SAFE_NO_PAD.encode(&secret);
    let presigned = format!(
        "{}?X-Amz-Signature=hunter2&X-Amz-Date=1",
        origin.url("/b.png")
    );
    let process = Process::start(&[INFO]).await;
    process
        .get(&image_path("", &secret.replace('@', "%40")))
        .await;
    process
        .get(&image_path("", &presigned.replace('?', "%3F")))
        .await;
    process.get(&format!("/unsafe/w:20/{encoded}.png")).await;
    let target = "/unsafe/w:20/plain/http://h/a?sig=hunter2";
    client::request(
        process.addr,
        "GET",
        target,
        &[("Authorization", "Bearer hunter2")],
    )
    .await;
    let log = process.log();
    assert_eq!(log.matches("Completed in").count(), 4, "{log}");
    assert!(!log.contains("hunter2") && !log.contains(&encoded), "{log}");
    assert!(
        log.contains("http://***@127.0.0.1") || log.contains("***%40"),
        "{log}"
    );
    assert!(log.contains("X-Amz-Signature=***"), "{log}");
}

#[tokio::test]
async fn signatures_are_hidden_unless_asked_for() {
    let keys = [("IMGPROXY_KEY", KEY_A), ("IMGPROXY_SALT", SALT_A)];
    for (redact, signature) in [("true", "***"), ("false", SIGNATURE)] {
        let env = [
            keys[0],
            keys[1],
            INFO,
            ("IMGFORGE_LOG_REDACT_SIGNATURE", redact),
        ];
        let process = Process::start(&env).await;
        process.get(&format!("/{SIGNATURE}{PATH}")).await;
        let log = process.log();
        assert!(
            log.contains(&format!("Started /{signature}{PATH}")),
            "{log}"
        );
        assert_eq!(log.contains(SIGNATURE), redact == "false", "{log}");
    }
}

#[tokio::test]
async fn nothing_from_outside_makes_a_line() {
    let process = Process::start(&[INFO]).await;
    let targets = [
        "/unsafe/%0alevel=ERROR%20msg=forged/plain/http://h/a",
        "/unsafe/w:20/plain/http://h/%0d%0alevel=ERROR",
        "/unsafe/w:%1b[31m/plain/http://h/\u{202e}a",
        "/%00%0a/%252e%252e/plain/x",
    ];
    for target in targets {
        let status = process.get(target).await.status;
        assert!((400..500).contains(&status), "{target}: {status}");
    }
    let log = process.log();
    assert!(
        log.lines().all(|line| line.starts_with("time=\"2")),
        "{log}"
    );
    assert!(!log.contains('\x1b') && !log.contains('\u{202e}'), "{log}");
    let lines = log.lines().filter(|line| line.contains(" request_id="));
    // Two each; what is no request at all is refused without a line.
    let count = lines.count();
    assert!(count >= 2 * targets.len() && count % 2 == 0, "{log}");
}

#[tokio::test]
async fn a_flood_of_refusals_is_sampled() {
    let process =
        Process::start(&[("IMGPROXY_LOG_LEVEL", "warn"), ("IMGFORGE_LOG_BURST", "5")]).await;
    for _ in 0..200 {
        assert_eq!(
            process.get("/unsafe/w:x/plain/http://h/a").await.status,
            404
        );
    }
    let scrape = process.scrape().await;
    let name = "imgforge_log_lines_suppressed_total ";
    let line = scrape.lines().find(|line| line.starts_with(name)).unwrap();
    let suppressed: usize = line[name.len()..].parse().unwrap();
    let log = process.log();
    let written = log.matches("Completed in").count();
    assert_eq!(suppressed + written, 200, "{log}");
    assert!((5..200).contains(&written), "{written}");
}

#[tokio::test]
async fn a_lost_client_is_told() {
    let origin = Origin::start().await;
    origin.on("/long.bin", Script::file(vec![b'x'; 8 << 20], "image/png"));
    let process = Process::start(&[]).await;
    let path = image_path("raw:1", &origin.url("/long.bin"));
    let mut stream = client::send(process.addr, "GET", &path, &[]).await;
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut [0])
        .await
        .unwrap();
    drop(stream);
    eventually("the loss is logged", || {
        let log = process.log();
        log.contains("level=ERROR") && log.contains("error=\"Failed to write response\"")
    })
    .await;
}

/// `spec/security.md` case 73.
#[tokio::test]
async fn headers_hold_no_secret() {
    let origin = Origin::start().await;
    origin.otherwise(Script::image("grid.png"));
    let server = Server::start(&[
        ("IMGPROXY_SET_CANONICAL_HEADER", "true"),
        ("IMGPROXY_ENABLE_DEBUG_HEADERS", "true"),
        ("IMGPROXY_DEVELOPMENT_ERRORS_MODE", "true"),
    ])
    .await;
    let clear = origin.url("/a.png");
    let reply = server.image("", &clear).await;
    assert_eq!(
        reply.header("link"),
        Some(format!("<{clear}>; rel=\"canonical\"").as_str())
    );
    for source in [
        format!("{clear}%3FX-Amz-Signature=hunter2"),
        clear.replace("//", "//me:hunter2%40"),
        clear.replace("//", "//me:hunter2%40%0d%0aX:%20y"),
    ] {
        let reply = server.image("", &source).await;
        let headers = format!("{:?}", reply.headers);
        assert!(!headers.contains("hunter2"), "{headers}");
        assert!(
            reply.status != 200 || reply.header("link").is_none(),
            "{headers}"
        );
        assert!(reply.header("x").is_none());
    }
}
