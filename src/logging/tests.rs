//! Formats, levels, secrets, floods.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::*;

fn config(format: LogFormat, level: Level) -> LogConfig {
    LogConfig {
        format,
        level,
        modules: vec![("quiet".to_owned(), Level::ERROR)],
        ..LogConfig::default()
    }
}

fn lines_of(config: &LogConfig, body: impl FnOnce()) -> String {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&text);
    let output = Output {
        filter: filter(config, Threshold::Level(config.level)),
        format: config.format,
        write: Box::new(move |_, line| {
            let mut text = sink.lock().unwrap();
            text.push_str(line);
            text.push('\n');
        }),
    };
    let now = || UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let lines = Lines::new(vec![output], config.burst, now);
    let subscriber = tracing_subscriber::registry().with(lines);
    tracing::subscriber::with_default(subscriber, body);
    text.lock().unwrap().clone()
}

fn lines(format: LogFormat, level: Level, body: impl FnOnce()) -> String {
    lines_of(&config(format, level), body)
}

fn request() {
    tracing::info!(
        error = "e",
        request_id = "r 1",
        status = 200_u64,
        processing_options = "width:20/format:webp/crop:10:20:0.5",
        "Completed in {}ms /a",
        3
    );
}

#[test]
fn the_four_formats() {
    for (format, expected) in [
        (
            LogFormat::Structured,
            "time=\"2026-01-01 00:00:00\" level=INFO msg=\"Completed in 3ms /a\" request_id=\"r 1\" status=200 \
             processing_options.crop=10:20:0.5 processing_options.format=webp processing_options.width=20 error=e\n",
        ),
        (
            LogFormat::Json,
            "{\"time\":\"2026-01-01T00:00:00Z\",\"level\":\"INFO\",\"msg\":\"Completed in 3ms /a\",\
             \"request_id\":\"r 1\",\"status\":200,\
             \"processing_options\":{\"crop\":\"10:20:0.5\",\"format\":\"webp\",\"width\":20},\"error\":\"e\"}\n",
        ),
        (
            LogFormat::Gcp,
            "{\"time\":\"2026-01-01T00:00:00Z\",\"severity\":\"INFO\",\"message\":\"Completed in 3ms /a\",\
             \"request_id\":\"r 1\",\"status\":200,\
             \"processing_options\":{\"crop\":\"10:20:0.5\",\"format\":\"webp\",\"width\":20},\"error\":\"e\"}\n",
        ),
        (
            LogFormat::Pretty,
            "\x1b[90m2026-01-01 00:00:00\x1b[0m \x1b[36m[INF]\x1b[0m Completed in 3ms /a  \
             \x1b[36mrequest_id\x1b[0m=\"r 1\"  \x1b[36mstatus\x1b[0m=200  \
             \x1b[36mprocessing_options\x1b[0m={ crop=10:20:0.5 format=webp width=20 }  \x1b[36merror\x1b[0m=e\n",
        ),
    ] {
        assert_eq!(lines(format, Level::INFO, request), expected);
    }
}

#[test]
fn levels() {
    let all = || {
        tracing::debug!("d");
        tracing::warn!("w");
        tracing::error!("e");
        critical("c");
        tracing::info!(target: "hyper", "a library");
        tracing::warn!(target: "quiet::inside", "a module with its own level");
    };
    let levels = |level| {
        let text = lines(LogFormat::Structured, level, all);
        let name = |line: &str| line.split("level=").nth(1).unwrap().to_owned();
        text.lines().map(name).collect::<Vec<_>>()
    };
    assert_eq!(
        levels(Level::DEBUG),
        [
            "DEBUG msg=\"d\"",
            "WARNING msg=\"w\"",
            "ERROR msg=\"e\"",
            "CRITICAL msg=\"c\""
        ]
    );
    assert_eq!(
        levels(Level::ERROR),
        ["ERROR msg=\"e\"", "CRITICAL msg=\"c\""]
    );
}

#[test]
fn nothing_from_outside_makes_a_line() {
    let evil = "a\nlevel=ERROR \"b\\\x1b[31m\u{7f}\u{9b}\u{2028}\u{202e}";
    for format in [
        LogFormat::Pretty,
        LogFormat::Structured,
        LogFormat::Json,
        LogFormat::Gcp,
    ] {
        let line = lines(format, Level::INFO, || {
            tracing::info!(image_url = evil, "{evil}")
        });
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        if format != LogFormat::Pretty {
            assert!(!line.contains('\x1b'), "{line:?}");
        }
        assert!(!line.contains("\x1b[31m"), "{line:?}");
    }
    let line = lines(LogFormat::Structured, Level::INFO, || {
        tracing::info!("{evil}")
    });
    assert!(
        line.ends_with(
            "msg=\"a\\nlevel=ERROR \\\"b\\\\\\u001b[31m\\u007f\\u009b\\u2028\\u202e\"\n"
        ),
        "{line:?}"
    );
}

#[test]
fn a_request_without_options_has_an_empty_object() {
    for (format, end) in [
        (
            LogFormat::Json,
            "\"processing_options\":{},\"empty\":\"\"}\n",
        ),
        (LogFormat::Structured, "msg=\"m\" empty=\"\"\n"),
    ] {
        let line = lines(format, Level::INFO, || {
            tracing::info!(processing_options = "", empty = "", "m");
        });
        assert!(line.ends_with(end), "{line}");
    }
}

#[test]
fn secrets_stay_out_of_every_line() {
    let url = "https://u:hunter2@h/a?X-Amz-Signature=hunter2&sig=hunter2";
    for format in [
        LogFormat::Pretty,
        LogFormat::Structured,
        LogFormat::Json,
        LogFormat::Gcp,
    ] {
        let text = lines(format, Level::INFO, || {
            tracing::info!(
                image_url = url,
                error = %format!("Bearer hunter2-{url}"),
                debugged = ?url,
                processing_options = "watermark_url:http://u:hunter2@h",
                "Completed /x/plain/{url}"
            );
        });
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("https://***@h/a"), "{text}");
    }
}

#[test]
fn a_flood_is_sampled_and_summed_up() {
    let mut config = config(LogFormat::Structured, Level::INFO);
    config.burst = 5;
    let text = lines_of(&config, || {
        for n in 0..500 {
            tracing::info!("request {n}");
            tracing::warn!(status = 403_u64, error = "wrong", "Completed in {n}ms");
        }
        tracing::error!("another kind");
        std::thread::sleep(Duration::from_millis(1100));
        tracing::info!("later");
    });
    // A slow machine may begin a new second on its way.
    let warnings = text.matches("error=wrong").count();
    assert!((5..=50).contains(&warnings), "{warnings}");
    assert_eq!(text.matches("msg=\"request ").count(), 500);
    assert!(text.contains("another kind"), "{text}");
    assert!(
        text.contains("more warnings and errors were not written"),
        "{text}"
    );
}

#[test]
fn a_panic_is_a_line() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(panicked));
    let text = lines(LogFormat::Structured, Level::INFO, || {
        let caught = std::panic::catch_unwind(|| panic!("at http://u:{}@h", "hunter2"));
        assert!(caught.is_err());
    });
    std::panic::set_hook(before);
    assert!(text.contains("level=ERROR msg=\"panic\""), "{text}");
    assert!(text.contains("error=\"at http://***@h\""), "{text}");
    assert!(text.contains("source=src/logging/tests.rs:"), "{text}");
}

#[test]
fn a_threshold_of_its_own() {
    let config = config(LogFormat::Json, Level::ERROR);
    let enabled = |threshold, level| {
        let filter = filter(&config, threshold);
        filter.would_enable("imgforge::http::log", &level)
    };
    assert!(enabled(Threshold::Level(Level::DEBUG), Level::DEBUG));
    assert!(!enabled(Threshold::Level(Level::WARN), Level::INFO));
    assert!(!enabled(Threshold::Critical, Level::ERROR));
    assert!(filter(&config, Threshold::Critical).would_enable(CRITICAL, &Level::ERROR));
}
