//! Disks that fail under a running server: case 78 of `spec/security.md`. What a client notices of it is a miss.

use std::process::Command;

use crate::cache_disk::{Folder, entries};
use crate::common::server::image_path;
use crate::common::{Origin, Process, Script, pictures};

/// Requests more pictures than the disk takes, and the first one again and again.
async fn fill(process: &Process, origin: &Origin, count: u32) -> usize {
    let mut hits = 0;
    for number in 0..count {
        for path in [format!("/{number}.png"), "/0.png".to_owned()] {
            let reply = process.get(&image_path("w:64", &origin.url(&path))).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            assert_eq!(pictures::facts(&reply.body).1, 64, "{path}");
            let status = reply.header("cache-status").unwrap();
            hits += usize::from(status.starts_with("imgforge; hit"));
        }
    }
    hits
}

async fn faults(process: &Process, reason: &str) -> u64 {
    let text = process.scrape().await;
    let start = format!("imgforge_cache_errors_total{{cache_type=\"disk\",reason=\"{reason}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("{reason}:\n{text}"))
        .parse()
        .unwrap()
}

async fn origin() -> Origin {
    let origin = Origin::start().await;
    let picture = pictures::noise_png(64, 64);
    origin.otherwise(Script::file(picture, "image/png").header("Cache-Control", "max-age=600"));
    origin
}

/// Whether this user may mount something that only its own processes see.
fn may_mount() -> bool {
    let made = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "true"])
        .status();
    let may = made.is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: no user namespaces here");
    }
    may
}

#[tokio::test]
async fn a_full_disk_costs_hits_and_nothing_else() {
    if !may_mount() {
        return;
    }
    let (origin, folder) = (origin().await, Folder::new());
    let script = format!(
        "exec unshare --user --map-root-user --mount /bin/sh -c \
         'mount -t tmpfs -o size=256k tmpfs {} && exec \"$0\"' \"$0\"",
        folder.text()
    );
    let env = [
        ("IMGFORGE_CACHE_TYPE", "disk"),
        ("IMGFORGE_CACHE_DISK_PATH", folder.text()),
    ];
    let process = Process::start_in_shell(&script, &env).await;
    let hits = fill(&process, &origin, 40).await;
    assert!(hits >= 20, "what is there is served: {hits}");
    assert!(faults(&process, "write").await >= 5);
    assert!(
        faults(&process, "bypassed").await > 0,
        "a disk that keeps failing is left alone"
    );
    assert_eq!(faults(&process, "corrupted").await, 0);
    assert!(
        entries(&folder.0).is_empty(),
        "the test has filled another disk"
    );
}

#[tokio::test]
async fn files_that_may_not_grow_cost_hits_and_nothing_else() {
    let (origin, folder) = (origin().await, Folder::new());
    // Writing ends after 4 KiB, as it does at a quota: less than a result has.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\"";
    let env = [
        ("IMGFORGE_CACHE_TYPE", "disk"),
        ("IMGFORGE_SOURCE_CACHE", "disk"),
        ("IMGFORGE_CACHE_DISK_PATH", folder.text()),
    ];
    let process = Process::start_in_shell(script, &env).await;
    // What is being written is served until that has failed, so not every request of the first picture is a hit.
    assert!(fill(&process, &origin, 12).await < 12);
    assert!(faults(&process, "write").await >= 5);
    assert!(entries(&folder.0).is_empty());
    let left = std::fs::read_dir(folder.0.join("results/tmp")).unwrap();
    assert_eq!(left.count(), 0, "nothing half-written stays");
}

#[tokio::test]
async fn a_read_only_disk_is_read() {
    if !may_mount() {
        return;
    }
    let (origin, folder) = (origin().await, Folder::new());
    let env = [
        ("IMGFORGE_CACHE_TYPE", "disk"),
        ("IMGFORGE_CACHE_DISK_PATH", folder.text()),
    ];
    let process = Process::start(&env).await;
    fill(&process, &origin, 1).await;
    for _ in 0..500 {
        if entries(&folder.0).len() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    drop(process);
    let script = format!(
        "exec unshare --user --map-root-user --mount /bin/sh -c \
         'mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec \"$0\"' \"$0\"",
        folder.text()
    );
    let process = Process::start_in_shell(&script, &env).await;
    assert_eq!(fill(&process, &origin, 12).await, 13);
    assert!(faults(&process, "write").await >= 5);
    assert_eq!(entries(&folder.0).len(), 1);
}
