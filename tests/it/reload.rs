//! SIGHUP, readiness and the way to the end, of the program as a process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::pictures::facts;
use crate::common::{Origin, PATIENCE, Process, Script, client};

const A: (&str, &str) = ("0a0a0a", "0b0b0b");
const B: (&str, &str) = ("1c1c1c", "1d1d1d");

/// An environment file that is removed with the test.
struct EnvFile(PathBuf);

impl EnvFile {
    fn new(name: &str) -> Self {
        let name = format!("imgforge-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn write(&self, lines: &[(&str, &str)]) {
        let text: String = lines.iter().map(|(n, v)| format!("{n}={v}\n")).collect();
        std::fs::write(&self.0, text).unwrap();
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn signed(pair: (&str, &str), path: &str) -> String {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    };
    let signature = imgforge::sign(&bytes(pair.0), &bytes(pair.1), path, 32);
    format!("/{signature}{path}")
}

/// Reloads so far: successes and errors.
async fn reloads(process: &Process) -> (u64, u64) {
    let text = process.scrape().await;
    let count = |result: &str| {
        let series = format!("imgforge_config_reloads_total{{result=\"{result}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("no {series}"))
            .parse()
            .unwrap()
    };
    (count("success"), count("error"))
}

/// Sends SIGHUP and waits until the reload is counted; whether it succeeded.
async fn reload(process: &Process) -> bool {
    let before = reloads(process).await;
    process.signal("HUP");
    let end = Instant::now() + PATIENCE;
    loop {
        let now = reloads(process).await;
        if now != before {
            return now.0 > before.0;
        }
        assert!(Instant::now() < end, "no reload happens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_reload_replaces_keys_presets_and_tokens_under_traffic() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png")).on(
        "/slow.png",
        Script::image("grid.png").delay(Duration::from_secs(2)),
    );
    let picture = format!("/plain/{}", origin.url("/a.png"));
    let preset = format!("/pr:p{picture}");
    let file = EnvFile::new("reload");
    let both = (format!("{},{}", B.0, A.0), format!("{},{}", B.1, A.1));
    file.write(&[
        ("IMGPROXY_KEY", A.0),
        ("IMGPROXY_SALT", A.1),
        ("IMGPROXY_PRESETS", "p=w:8"),
        ("IMGPROXY_SECRET", "one"),
    ]);
    let process = Process::start(&[
        ("IMGPROXY_ENV_LOCAL_FILE_PATH", file.path()),
        ("IMGFORGE_CACHE_TYPE", "memory"),
    ])
    .await;
    let get = async |path: String, token: &str| {
        let value = format!("Bearer {token}");
        client::request(process.addr, "GET", &path, &[("Authorization", &value)]).await
    };
    assert_eq!(get(signed(A, &picture), "one").await.status, 200);
    assert_eq!(get(signed(B, &picture), "one").await.status, 403);
    assert_eq!(facts(&get(signed(A, &preset), "one").await.body).1, 8);

    // Requests that are right before, during and after.
    let (over, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let traffic: Vec<_> = (0..4)
        .map(|n| {
            let (over, sent) = (Arc::clone(&over), Arc::clone(&sent));
            let (addr, picture) = (process.addr, picture.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let bust = sent.fetch_add(1, Ordering::Relaxed) % 7;
                    let path = signed(A, &format!("/w:{}/cb:{bust}{picture}", 10 + n));
                    let token = [("Authorization", "Bearer one")];
                    let reply = client::request(addr, "GET", &path, &token).await;
                    assert_eq!(reply.status, 200, "{}", reply.text());
                }
            })
        })
        .collect();
    let busy = async |requests: usize| {
        let target = sent.load(Ordering::Relaxed) + requests;
        let end = Instant::now() + PATIENCE;
        while sent.load(Ordering::Relaxed) < target && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    busy(10).await;
    let second: &[(&str, &str)] = &[
        ("IMGPROXY_KEY", &both.0),
        ("IMGPROXY_SALT", &both.1),
        ("IMGPROXY_PRESETS", "p=w:16"),
        ("IMGFORGE_SECRETS", "two,one"),
    ];
    file.write(second);
    assert!(reload(&process).await);
    busy(10).await;
    assert_eq!(get(signed(B, &picture), "two").await.status, 200);
    assert_eq!(get(signed(B, &picture), "three").await.status, 403);
    // What was kept under the old meaning of the preset is not what it means now.
    assert_eq!(facts(&get(signed(A, &preset), "one").await.body).1, 16);

    // Every way to be wrong leaves everything as it was.
    let wrong: [&[(&str, &str)]; 5] = [
        &[("IMGPROXY_KEY", "zz"), ("IMGPROXY_SALT", "00")],
        &[("IMGPROXY_KEY", "00"), ("IMGPROXY_SALT", "00,01")],
        &[
            ("IMGPROXY_KEY", "00"),
            ("IMGPROXY_SALT", "00"),
            ("IMGPROXY_SECRET", "x"),
            ("IMGPROXY_PRESETS", "p=nothing:1"),
        ],
        &[("IMGPROXY_SECRET", "x")],
        &[],
    ];
    for lines in wrong {
        file.write(lines);
        assert!(!reload(&process).await, "{lines:?}");
        assert_eq!(
            get(signed(B, &preset), "two").await.status,
            200,
            "{lines:?}"
        );
    }
    over.store(true, Ordering::Relaxed);
    for task in traffic {
        task.await.unwrap();
    }

    // A request that has begun ends by the rules that it began with.
    let slow = signed(A, &format!("/plain/{}", origin.url("/slow.png")));
    let token = [("Authorization", "Bearer one")];
    let mut begun = client::send(process.addr, "GET", &slow, &token).await;
    crate::common::eventually("the origin was asked", || {
        !origin.asked("/slow.png").is_empty()
    })
    .await;
    file.write(&[
        ("IMGPROXY_KEY", B.0),
        ("IMGPROXY_SALT", B.1),
        ("IMGPROXY_SECRET", "two"),
        ("IMGPROXY_PRESETS", "p=w:16"),
    ]);
    assert!(reload(&process).await);
    assert_eq!(get(signed(A, &picture), "two").await.status, 403);
    assert_eq!(get(signed(B, &picture), "one").await.status, 403);
    assert_eq!(get(signed(B, &picture), "two").await.status, 200);
    assert_eq!(client::read(&mut begun, "GET").await.status, 200);
    assert_eq!(reloads(&process).await, (2, 5));
}

#[tokio::test]
async fn a_stop_is_announced_before_it_happens() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let mut process = Process::start(&[("IMGFORGE_DRAIN_DELAY", "2")]).await;
    let image = format!("/unsafe/w:8/plain/{}", origin.url("/a.png"));
    let ready = process.get("/ready").await;
    assert_eq!(
        (ready.status, ready.text().as_str()),
        (200, "{\"status\":\"ready\"}")
    );
    process.signal("TERM");
    let end = Instant::now() + PATIENCE;
    loop {
        let ready = process.get("/ready").await;
        if ready.status == 503 {
            assert_eq!(ready.text(), "{\"status\":\"draining\"}");
            break;
        }
        assert!(Instant::now() < end, "still ready");
    }
    assert_eq!(process.get("/health").await.status, 200);
    assert_eq!(process.get(&image).await.status, 200);
    // A second signal changes nothing.
    process.signal("TERM");
    process.signal("INT");
    assert_eq!(process.get("/health").await.status, 200);
    assert!(process.exit().await.success());
    assert!(tokio::net::TcpStream::connect(process.addr).await.is_err());
}

/// What is remembered of URLs that have hit the cache belongs to the rules that verified them.
#[tokio::test]
async fn a_url_that_has_hit_is_judged_by_the_new_rules() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let path = format!("/pr:p/plain/{}", origin.url("/a.png"));
    let file = EnvFile::new("reload-known");
    let rules = |key: (&'static str, &'static str), preset: &'static str| {
        file.write(&[
            ("IMGPROXY_KEY", key.0),
            ("IMGPROXY_SALT", key.1),
            ("IMGPROXY_PRESETS", preset),
        ]);
    };
    rules(A, "p=w:8");
    let env = [
        ("IMGPROXY_ENV_LOCAL_FILE_PATH", file.path()),
        ("IMGFORGE_CACHE_TYPE", "memory"),
    ];
    let process = Process::start(&env).await;
    let hit_often = async |pair, width| {
        for _ in 0..4 {
            let reply = process.get(&signed(pair, &path)).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            assert_eq!(facts(&reply.body).1, width);
            // The same with another signature was never verified.
            assert_eq!(process.get(&format!("/forged{path}")).await.status, 403);
        }
    };
    hit_often(A, 8).await;
    rules(A, "p=w:6");
    assert!(reload(&process).await);
    hit_often(A, 6).await;
    rules(B, "p=w:6");
    assert!(reload(&process).await);
    assert_eq!(process.get(&signed(A, &path)).await.status, 403);
    hit_often(B, 6).await;
}
