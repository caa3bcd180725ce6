//! The program from outside: arguments, exit codes, refusals to start.

use crate::common::Process;
use crate::common::process::run;

#[tokio::test]
async fn it_says_what_it_is() {
    let (status, text) = run(&["version"], &[]);
    assert!(status.success());
    assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
}

#[tokio::test]
async fn health_asks_the_running_server() {
    let process = Process::start(&[]).await;
    let bind = process.addr.to_string();
    let (status, text) = run(&["health"], &[("IMGPROXY_BIND", bind.as_str())]);
    assert!(status.success(), "{text}");
    assert!(text.contains("imgproxy is running"), "{text}");
    drop(process);
    let (status, _) = run(&["health"], &[("IMGPROXY_BIND", bind.as_str())]);
    assert_eq!(status.code(), Some(1));
}

#[test]
fn mistakes_stop_the_start_and_are_all_named() {
    let (status, text) = run(
        &[],
        &[
            ("IMGPROXY_BIND", "127.0.0.1:0"),
            ("IMGPROXY_QUALITY", "101"),
            ("IMGPROXY_TIMEOUT", "5s"),
            ("IMGPROXY_KEY", "00"),
            ("IMGPROXY_USE_ETAG", "yes"),
        ],
    );
    assert_eq!(status.code(), Some(1), "{text}");
    for name in ["IMGPROXY_QUALITY", "IMGPROXY_TIMEOUT", "IMGPROXY_USE_ETAG"] {
        assert!(text.contains(name), "{name} is not named:\n{text}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let key = "736563726574";
    let env = [
        ("IMGPROXY_KEY", key),
        ("IMGPROXY_SALT", key),
        ("IMGPROXY_SECRET", "hunter2"),
    ];
    let (status, text) = run(&["config"], &env);
    assert!(status.success(), "{text}");
    assert!(text.contains("IMGPROXY_KEY"), "{text}");
    assert!(!text.contains(key) && !text.contains("hunter2"), "{text}");
}
