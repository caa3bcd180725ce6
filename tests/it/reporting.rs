//! Error reports against a local recorder, field by field; and that no recorder can hold up a request.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::origin::Asked;
use crate::common::server::image_path;
use crate::common::{Origin, PATIENCE, Process, Script, Server, eventually};
use crate::signing::{KEY_A, PATH, SALT_A, SIGNATURE};

/// A request with secrets in every place, for a source that is gone; gives the one report.
async fn reported(env: &[(&str, &str)], recorder: &Origin, path: &str) -> (Asked, Server) {
    let origin = Origin::start().await;
    let to = format!(
        "http://example.com/={}",
        origin.url("/").replace("//", "//me:hunter2@")
    );
    let mut all = vec![
        ("IMGPROXY_KEY", KEY_A),
        ("IMGPROXY_SALT", SALT_A),
        ("IMGPROXY_URL_REPLACEMENTS", to.as_str()),
    ];
    all.extend_from_slice(env);
    let server = Server::start(&all).await;
    let headers = [
        ("User-Agent", "tester"),
        ("Authorization", "Bearer hunter2"),
        ("Cookie", "session=hunter2"),
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Request-ID", "id-1"),
        ("Referer", "http://site/?token=hunter2"),
    ];
    let reply = server
        .get_with(&format!("/{SIGNATURE}{PATH}"), &headers)
        .await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (404, "Source is unreachable")
    );
    eventually("the error is reported", || !recorder.asked(path).is_empty()).await;
    let asked = recorder.asked(path).remove(0);
    let text = String::from_utf8_lossy(&asked.body);
    for secret in ["hunter2", "192.0.2.7", SIGNATURE] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    (asked, server)
}

/// What every service is told.
fn check_facts(server: &Server, request: &Value, url: &str, facts: &Value, names: [&str; 4]) {
    let path = PATH.strip_prefix('/').unwrap();
    assert_eq!(request[url], format!("http://{}/***/{path}", server.addr));
    assert_eq!(facts[names[0]], "id-1");
    let source = facts[names[1]].as_str().unwrap();
    assert!(source.starts_with("http://***@127.0.0.1:"), "{source}");
    assert!(source.ends_with("/images/curiosity.jpg"), "{source}");
    assert!(
        facts[names[2]]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:")
    );
    assert!(facts[names[3]].as_str().unwrap().contains("300"), "{facts}");
}

const FACTS: [&str; 4] = [
    "Request ID",
    "Source Image URL",
    "Source Image Origin",
    "Processing Options",
];

async fn recorder() -> Origin {
    let recorder = Origin::start().await;
    recorder.otherwise(Script::file("{}", "application/json"));
    recorder
}

#[tokio::test]
async fn sentry() {
    let recorder = recorder().await;
    let dsn = recorder.url("/base/42").replace("//", "//public:private@");
    let env = [
        ("IMGPROXY_SENTRY_DSN", dsn.as_str()),
        ("IMGPROXY_SENTRY_ENVIRONMENT", "staging"),
        ("IMGPROXY_SENTRY_RELEASE", "r1"),
    ];
    let (asked, server) = reported(&env, &recorder, "/base/api/42/envelope/").await;
    assert_eq!(
        asked.header("content-type"),
        Some("application/x-sentry-envelope")
    );
    let auth = asked.header("x-sentry-auth").unwrap();
    assert!(
        auth.starts_with("Sentry sentry_version=7, sentry_client=imgforge/"),
        "{auth}"
    );
    assert!(
        auth.ends_with(", sentry_key=public, sentry_secret=private"),
        "{auth}"
    );
    let text = String::from_utf8(asked.body).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    let [head, item, event] = [0, 1, 2].map(|i| serde_json::from_str::<Value>(lines[i]).unwrap());
    let id = head["event_id"].as_str().unwrap();
    assert!(
        id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(item["type"], "event");
    assert_eq!(item["length"], lines[2].len());
    assert_eq!(event["event_id"], id);
    assert_eq!(
        (&event["level"], &event["platform"]),
        (&"error".into(), &"other".into())
    );
    assert_eq!(
        (&event["environment"], &event["release"]),
        (&"staging".into(), &"r1".into())
    );
    assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
    let exceptions = event["exception"]["values"].as_array().unwrap();
    let error = exceptions.last().unwrap();
    assert_eq!(error["type"], "SourceClientError");
    assert!(error["value"].as_str().unwrap().contains("404"), "{error}");
    let request = &event["request"];
    assert_eq!(request["method"], "GET");
    assert_eq!(request["headers"]["user-agent"], "tester");
    assert_eq!(request["headers"]["authorization"], "***");
    assert_eq!(request["headers"]["referer"], "http://site/?token=***");
    check_facts(
        &server,
        request,
        "url",
        &event["contexts"]["Processing context"],
        FACTS,
    );
}

#[tokio::test]
async fn honeybadger() {
    let recorder = recorder().await;
    let url = recorder.url("/");
    let env = [
        ("IMGPROXY_HONEYBADGER_KEY", "hb-key"),
        ("IMGPROXY_HONEYBADGER_ENV", "staging"),
        ("IMGFORGE_HONEYBADGER_ENDPOINT", url.as_str()),
    ];
    let (asked, server) = reported(&env, &recorder, "/v1/notices").await;
    assert_eq!(asked.header("x-api-key"), Some("hb-key"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    let notice: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(notice["notifier"]["name"], "imgforge");
    assert_eq!(notice["error"]["class"], "SourceClientError");
    assert!(notice["error"]["message"].as_str().unwrap().contains("404"));
    assert!(notice["error"]["backtrace"].is_array());
    assert_eq!(notice["server"]["environment_name"], "staging");
    assert!(!notice["server"]["hostname"].as_str().unwrap().is_empty());
    let cgi = &notice["request"]["cgi_data"];
    assert_eq!(cgi["HTTP_USER_AGENT"], "tester");
    assert_eq!(cgi["HTTP_COOKIE"], "***");
    assert_eq!(cgi["REQUEST_METHOD"], "GET");
    let names = [
        "REQUEST_ID",
        "SOURCE_IMAGE_URL",
        "SOURCE_IMAGE_ORIGIN",
        "PROCESSING_OPTIONS",
    ];
    check_facts(&server, &notice["request"], "url", cgi, names);
}

#[tokio::test]
async fn bugsnag() {
    let recorder = recorder().await;
    let url = recorder.url("/notify");
    let env = [
        ("IMGPROXY_BUGSNAG_KEY", "00000000000000000000000000000000"),
        ("IMGPROXY_BUGSNAG_STAGE", "staging"),
        ("IMGFORGE_BUGSNAG_ENDPOINT", url.as_str()),
    ];
    let (asked, server) = reported(&env, &recorder, "/notify").await;
    assert_eq!(asked.header("bugsnag-api-key"), Some(env[0].1));
    assert_eq!(asked.header("bugsnag-payload-version"), Some("5"));
    assert!(asked.header("bugsnag-sent-at").unwrap().ends_with('Z'));
    let payload: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(payload["apiKey"], env[0].1);
    assert_eq!(payload["payloadVersion"], "5");
    assert_eq!(payload["notifier"]["name"], "imgforge");
    let events = payload["events"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event["exceptions"][0]["errorClass"], "SourceClientError");
    assert!(
        event["exceptions"][0]["message"]
            .as_str()
            .unwrap()
            .contains("404")
    );
    assert_eq!(
        event["exceptions"][0]["stacktrace"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        (&event["severity"], &event["unhandled"]),
        (&"error".into(), &false.into())
    );
    assert_eq!(event["app"]["releaseStage"], "staging");
    assert_eq!(event["request"]["httpMethod"], "GET");
    assert_eq!(event["request"]["headers"]["user-agent"], "tester");
    check_facts(
        &server,
        &event["request"],
        "url",
        &event["metaData"]["Processing context"],
        FACTS,
    );
}

#[tokio::test]
async fn airbrake() {
    let recorder = recorder().await;
    let url = recorder.url("/errbit/");
    let env = [
        ("IMGPROXY_AIRBRAKE_PROJECT_ID", "77"),
        ("IMGPROXY_AIRBRAKE_PROJECT_KEY", "air key"),
        ("IMGPROXY_AIRBRAKE_ENV", "staging"),
        ("IMGFORGE_AIRBRAKE_ENDPOINT", url.as_str()),
    ];
    let path = "/errbit/api/v3/projects/77/notices?key=air+key";
    let (asked, server) = reported(&env, &recorder, path).await;
    let notice: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(notice["errors"][0]["type"], "SourceClientError");
    assert!(
        notice["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("404")
    );
    assert!(notice["errors"][0]["backtrace"].is_array());
    let context = &notice["context"];
    assert_eq!(context["environment"], "staging");
    assert_eq!(context["severity"], "error");
    assert_eq!(context["notifier"]["name"], "imgforge");
    assert_eq!(context["userAgent"], "tester");
    assert_eq!(context["httpMethod"], "GET");
    check_facts(&server, context, "url", &notice["params"], FACTS);
}

/// Names of the errors in a recorder's Honeybadger notices.
fn classes(recorder: &Origin) -> Vec<String> {
    let notices = recorder.asked("/v1/notices").into_iter();
    notices
        .map(|asked| serde_json::from_slice::<Value>(&asked.body).unwrap())
        .map(|notice| notice["error"]["class"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn which_errors_are_reported() {
    let origin = Origin::start().await;
    origin
        .on("/gone.png", Script::status(404))
        .on("/text.png", Script::file("no picture", "image/png"))
        .on(
            "/cut.png",
            Script::file(
                crate::common::pictures::file("grid.png")[..60].to_vec(),
                "image/png",
            ),
        )
        .on("/good.png", Script::image("grid.png"));
    let (gone, text) = (origin.url("/gone.png"), origin.url("/text.png"));
    let (cut, good) = (origin.url("/cut.png"), origin.url("/good.png"));
    for (downloads, fallback, expected) in [
        (
            "true",
            "",
            &["SourceClientError", "SourceFormatUnknown", "broken"][..],
        ),
        ("false", "", &["broken"]),
        (
            "true",
            good.as_str(),
            &["SourceClientError", "SourceFormatUnknown", "broken"],
        ),
    ] {
        let recorder = recorder().await;
        let url = recorder.url("");
        let server = Server::start(&[
            ("IMGPROXY_HONEYBADGER_KEY", "k"),
            ("IMGFORGE_HONEYBADGER_ENDPOINT", url.as_str()),
            ("IMGPROXY_REPORT_DOWNLOADING_ERRORS", downloads),
            ("IMGPROXY_FALLBACK_IMAGE_URL", fallback),
        ])
        .await;
        let status = if fallback.is_empty() { 404 } else { 200 };
        assert_eq!(server.image("", &gone).await.status, status);
        server.image("", &text).await;
        let broken = server.image("", &cut).await.status;
        for harmless in [
            "/unsafe/no_such_option:1/plain/http://h/a",
            "/unsafe/plain/ftp://h/a@zzz",
            "/nothing",
        ] {
            assert!(server.get(harmless).await.status >= 403, "{harmless}");
        }
        assert_eq!(server.image("", &good).await.status, 200);
        server.stop().await;
        let mut classes = classes(&recorder);
        let last = classes.pop().unwrap();
        let kind = if broken == 422 {
            "BrokenImage"
        } else {
            "Internal"
        };
        assert_eq!(last, kind);
        assert_eq!(classes, expected[..expected.len() - 1]);
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_reported_on_request() {
    let origin = Origin::start().await;
    let body = vec![b'x'; 8 << 20];
    origin.on("/long.bin", Script::file(body, "image/png"));
    let recorder = recorder().await;
    let url = recorder.url("");
    let server = Server::start(&[
        ("IMGPROXY_HONEYBADGER_KEY", "k"),
        ("IMGFORGE_HONEYBADGER_ENDPOINT", url.as_str()),
        ("IMGPROXY_REPORT_IO_ERRORS", "true"),
    ])
    .await;
    let path = image_path("raw:1", &origin.url("/long.bin"));
    let stream = crate::common::client::send(server.addr, "GET", &path, &[]).await;
    let mut byte = [0];
    tokio::io::AsyncReadExt::read_exact(&mut { stream }, &mut byte)
        .await
        .unwrap();
    eventually("the lost response is reported", || {
        classes(&recorder) == ["ResponseWrite"]
    })
    .await;
}

/// Twenty failing requests while the recorder misbehaves: as quick as without one.
async fn unaffected(script: Option<Script>, outcome: &str) {
    let origin = Origin::start().await;
    origin.on("/gone.png", Script::status(404));
    let recorder = Origin::start().await;
    let url = match script {
        Some(script) => recorder.otherwise(script).url(""),
        // Nobody listens at a port that was free a moment ago.
        None => {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}", free.local_addr().unwrap())
        }
    };
    let mut process = Process::start(&[
        ("IMGPROXY_HONEYBADGER_KEY", "k"),
        ("IMGFORGE_HONEYBADGER_ENDPOINT", url.as_str()),
        ("IMGPROXY_LOG_LEVEL", "warn"),
    ])
    .await;
    let begin = Instant::now();
    for _ in 0..130 {
        let reply = process.get(&image_path("", &origin.url("/gone.png"))).await;
        assert_eq!(reply.status, 404);
    }
    // The recorder alone would take five seconds for the first.
    assert!(begin.elapsed() < PATIENCE / 2, "{:?}", begin.elapsed());
    let row =
        format!("imgforge_error_reports_total{{service=\"honeybadger\",outcome=\"{outcome}\"}}");
    let end = Instant::now() + PATIENCE;
    loop {
        let scrape = process.scrape().await;
        let line = scrape.lines().find(|line| line.starts_with(&row)).unwrap();
        if !line.ends_with(" 0") {
            break;
        }
        assert!(Instant::now() < end, "{scrape}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    process.signal("TERM");
    assert!(process.exit().await.success());
    assert!(!process.log().contains("key="), "{}", process.log());
}

#[tokio::test]
async fn a_recorder_that_hangs() {
    unaffected(Some(Script::mute()), "dropped").await;
}

#[tokio::test]
async fn a_recorder_that_fails() {
    unaffected(Some(Script::status(500)), "failed").await;
}

#[tokio::test]
async fn a_recorder_that_asks_for_a_pause() {
    let script = Script::status(429).header("Retry-After", "600");
    unaffected(Some(script), "dropped").await;
}

#[tokio::test]
async fn a_recorder_that_is_gone() {
    unaffected(None, "failed").await;
}
