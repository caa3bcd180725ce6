//! Memory statistics and the debugging switches of libvips.

use crate::common::process::run;
use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, eventually};

#[tokio::test]
async fn memory_is_logged_at_its_interval() {
    let process = Process::start(&[
        ("IMGPROXY_FREE_MEMORY_INTERVAL", "1"),
        ("IMGPROXY_LOG_MEM_STATS", "true"),
        ("IMGPROXY_LOG_LEVEL", "info"),
        ("IMGPROXY_LOG_FORMAT", "json"),
    ])
    .await;
    let found = || {
        let log = process.log();
        let lines = log
            .lines()
            .filter(|line| line.contains("Memory statistics"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    eventually("memory is logged twice", || found().len() >= 2).await;
    let line: serde_json::Value = serde_json::from_str(&found()[0]).unwrap();
    assert!(line["rss"].as_u64().unwrap() > 1 << 20, "{line}");
    for name in ["vips_memory", "vips_max_memory", "vips_allocs"] {
        assert!(line[name].is_u64(), "{name}: {line}");
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    assert!(line["malloc_used"].as_u64().unwrap() > 0, "{line}");
}

#[tokio::test]
async fn libvips_talks_when_it_is_told_to() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let mut process = Process::start(&[
        ("IMGPROXY_VIPS_CACHE_TRACE", "true"),
        ("IMGPROXY_VIPS_LEAK_CHECK", "true"),
        ("IMGPROXY_LOG_LEVEL", "info"),
    ])
    .await;
    let path = image_path("w:8", &origin.url("/a.png"));
    assert_eq!(process.get(&path).await.status, 200);
    process.signal("TERM");
    assert!(process.exit().await.success());
    let log = process.log();
    assert!(log.contains("vips cache"), "{log}");
    assert!(log.contains("objects=0 allocations=0 bytes=0"), "{log}");
}

#[test]
fn mistakes_stop_the_start() {
    for (name, value) in [
        ("IMGPROXY_FREE_MEMORY_INTERVAL", "0"),
        ("IMGPROXY_FREE_MEMORY_INTERVAL", "1.5"),
        ("IMGPROXY_LOG_MEM_STATS", "tRue"),
        ("IMGPROXY_VIPS_LEAK_CHECK", "Y"),
        ("IMGPROXY_VIPS_CACHE_TRACE", "on"),
        ("IMGPROXY_SENTRY_DSN", "rubbish"),
        ("IMGPROXY_REPORT_IO_ERRORS", "on"),
        ("IMGFORGE_LOG_BURST", "-1"),
    ] {
        let (status, text) = run(&[], &[("IMGPROXY_BIND", "127.0.0.1:0"), (name, value)]);
        assert_eq!(status.code(), Some(1), "{name}={value}: {text}");
        assert!(text.contains(name), "{name}={value}: {text}");
    }
}
