//! Results on a disk, over whole servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use imgforge::config::{Env, ProcessEnv};

use crate::common::server::image_path;
use crate::common::{Origin, PATIENCE, Process, Script, Server, pictures};

/// A directory that is removed with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let name = format!("imgforge-it-{:016x}", rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Files of entries below a folder.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("tmp") {
            found.extend(entries(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

async fn until_entries(folder: &Path, count: usize) {
    for _ in 0..2000 {
        if entries(folder).len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", entries(folder));
}

#[tokio::test]
async fn results_survive_a_restart() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png").header("ETag", "\"v1\""));
    let source = origin.url("/a.png");
    for kind in ["disk", "hybrid"] {
        let folder = Folder::new();
        let env = [
            ("IMGFORGE_CACHE_TYPE", kind),
            ("IMGFORGE_CACHE_DISK_PATH", folder.text()),
        ];
        let server = Server::start(&env).await;
        let first = server.image("w:20", &source).await;
        until_entries(&folder.0, 1).await;
        server.stop().await;
        let before = origin.asked("/a.png").len();
        let process = Process::start(&env).await;
        for round in 0..3 {
            let again = process.get(&image_path("w:20", &source)).await;
            assert_eq!(again.body, first.body, "{kind} {round}");
            for name in [
                "content-type",
                "etag",
                "content-disposition",
                "cache-control",
            ] {
                assert_eq!(again.header(name), first.header(name), "{kind} {name}");
            }
            let status = again.header("cache-status").unwrap();
            assert!(status.starts_with("imgforge; hit"), "{kind}: {status}");
        }
        assert_eq!(origin.asked("/a.png").len(), before);
        let text = process.scrape().await;
        for line in [
            format!("cache_hits_total{{cache_type=\"{kind}\"}} 3"),
            format!("cache_misses_total{{cache_type=\"{kind}\"}} 0"),
            "imgforge_cache_entries{cache_type=\"disk\"} 1".to_owned(),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}:\n{text}");
        }
        // Another configuration makes other bytes.
        let other = [env[0], env[1], ("IMGPROXY_QUALITY", "33")];
        let server = Server::start(&other).await;
        server.image("w:20", &source).await;
        assert_eq!(origin.asked("/a.png").len(), before + 1);
    }
}

#[tokio::test]
async fn a_changed_entry_is_made_anew_and_counted() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let folder = Folder::new();
    let env = [
        ("IMGFORGE_CACHE_TYPE", "disk"),
        ("IMGFORGE_CACHE_DISK_PATH", folder.text()),
    ];
    let process = Process::start(&env).await;
    let target = image_path("w:20", &origin.url("/a.png"));
    let first = process.get(&target).await;
    until_entries(&folder.0, 1).await;
    let file = entries(&folder.0).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    // For a moment after the file is there the memory that it was written from still answers.
    let end = Instant::now() + PATIENCE;
    while origin.asked("/a.png").len() < 2 {
        assert!(Instant::now() < end, "the changed entry is a hit");
        let again = process.get(&target).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
    }
    assert_eq!(origin.asked("/a.png").len(), 2);
    let line = "imgforge_cache_errors_total{cache_type=\"disk\",reason=\"corrupted\"} 1";
    let text = process.scrape().await;
    assert!(text.lines().any(|l| l == line), "{text}");
}

#[tokio::test]
async fn a_directory_that_fails_is_done_without_and_counted() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let folder = Folder::new();
    let file = folder.0.join("file");
    fs::write(&file, "in the way").unwrap();
    let env = [
        ("IMGFORGE_CACHE_TYPE", "disk"),
        ("IMGFORGE_CACHE_DISK_PATH", file.to_str().unwrap()),
    ];
    let process = Process::start(&env).await;
    for number in 0..20 {
        let target = image_path(&format!("w:{}", 10 + number % 4), &origin.url("/a.png"));
        assert_eq!(process.get(&target).await.status, 200, "{number}");
    }
    let text = process.scrape().await;
    for reason in ["write", "bypassed"] {
        let start =
            format!("imgforge_cache_errors_total{{cache_type=\"disk\",reason=\"{reason}\"}} ");
        let line = text.lines().find_map(|l| l.strip_prefix(&start));
        assert!(line.is_some_and(|count| count != "0"), "{reason}:\n{text}");
    }
}

/// A program that is killed while it writes leaves nothing that is served as something else. `KILLS=200` for more.
#[tokio::test]
async fn a_kill_while_writing_leaves_no_wrong_byte() {
    let kills: u32 = ProcessEnv
        .get("KILLS")
        .map_or(5, |text| text.parse().unwrap());
    let origin = Origin::start().await;
    let sizes: Vec<u32> = (40..56).collect();
    for size in &sizes {
        let picture = pictures::noise_png(*size, 4 * size);
        origin.on(&format!("/{size}.png"), Script::file(picture, "image/png"));
    }
    let targets: Vec<String> = sizes
        .iter()
        .map(|size| image_path("q:80", &origin.url(&format!("/{size}.png"))))
        .collect();
    let reference = Server::start(&[]).await;
    let mut expected = Vec::new();
    for target in &targets {
        expected.push(reference.get(target).await.body);
    }
    let folder = Folder::new();
    let env = [
        ("IMGFORGE_CACHE_TYPE", "disk"),
        ("IMGFORGE_CACHE_DISK_PATH", folder.text()),
        // Too small for all, so that entries are removed and written again all the time.
        ("IMGFORGE_CACHE_DISK_CAPACITY", "192K"),
    ];
    let mut hits = 0;
    for kill in 0..kills {
        let mut process = Process::start(&env).await;
        let requests = futures_util::future::join_all(targets.iter().map(|t| process.get(t)));
        for (number, reply) in requests.await.iter().enumerate() {
            assert_eq!(reply.status, 200);
            assert_eq!(
                reply.body, expected[number],
                "kill {kill}, picture {number}"
            );
            let status = reply.header("cache-status").unwrap();
            hits += u32::from(status.starts_with("imgforge; hit"));
        }
        // While the last entries are being written, sooner or later.
        tokio::time::sleep(Duration::from_micros(u64::from(kill % 16) * 200)).await;
        process.signal("KILL");
        process.exit().await;
    }
    assert!(hits > 0, "nothing was ever written");
}
