//! Local files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ::http::HeaderValue;
use ::http::header::{IF_NONE_MATCH, RANGE};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::*;

/// A directory that goes away with its test.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "imgforge-source-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn local(root: &Directory, separator: &str) -> Sources {
    let mut config = config();
    config.local_root = Some(root.path().join("root"));
    config.query_separator = separator.to_owned();
    sources(&config)
}

fn tree() -> Directory {
    let directory = Directory::new();
    directory.write("outside.png", &png(10));
    directory.write("rootish/x.png", &png(10));
    directory.write("root/a b%20#c.png", &png(10));
    directory.write("root/sub/d.png", &png(5000));
    directory.write("root/q?x.png", &png(10));
    directory.write("root/empty.png", b"");
    directory.write("root/data.dng", b"II*\0....");
    directory.write("root/page.html", b"<html></html>");
    directory
}

#[tokio::test]
async fn names() {
    let tree = tree();
    let sources = local(&tree, "?");
    let found = [
        "local:///sub/d.png",
        "LOCAL://any.host:80/sub/d.png",
        "local:////sub/d.png",
        "local:///sub//./x/../d.png",
        "local:///../sub/d.png",
        "local:///sub/d.png?query",
        "local:///a b%20#c.png",
    ];
    for url in found {
        assert!(sources.fetch(request(url)).await.is_ok(), "{url}");
    }
    let missing = [
        "local:///",
        "local://sub",
        "local:///sub",
        "local:///none.png",
        "local:///../outside.png",
        "local:///../rootish/x.png",
        "local:///%2e%2e/outside.png",
        "local:///..%2foutside.png",
        "local:///..\\outside.png",
        "local:///....//outside.png",
        "local:///a b #c.png",
        "local:///q?x.png",
        "local:///a\0b",
    ];
    for url in missing {
        let outcome = Error::from(sources.fetch(request(url)).await.unwrap_err()).outcome();
        assert_eq!(
            (outcome.status, outcome.message),
            (404, "Source is unreachable"),
            "{url}"
        );
    }
    let bad_host = sources.fetch(request("local://a b/sub/d.png")).await;
    assert_eq!(kind(bad_host), Kind::SourceUnreachable);
    let literal = local(&tree, "");
    assert!(literal.fetch(request("local:///q?x.png")).await.is_ok());
}

#[tokio::test]
async fn contents_and_limits() {
    let tree = tree();
    let sources = local(&tree, "?");
    for name in ["empty.png", "data.dng", "page.html"] {
        let outcome = sources.fetch(request(format!("local:///{name}"))).await;
        assert_eq!(kind(outcome), Kind::SourceFormatUnknown, "{name}");
    }
    for (limit, fits) in [(5000, true), (4999, false)] {
        let mut request = request("local:///sub/d.png");
        request.max_bytes = limit;
        assert_eq!(sources.fetch(request).await.is_ok(), fits);
    }
}

#[tokio::test]
async fn special_files_are_refused_without_waiting() {
    let tree = tree();
    let fifo = tree.path().join("root/fifo.png");
    let made = std::process::Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("/dev/zero", tree.path().join("root/zero.png")).unwrap();
    let sources = local(&tree, "?");
    for name in ["fifo.png", "zero.png"] {
        let url = format!("local:///{name}");
        let outcome = tokio::time::timeout(Duration::from_secs(2), sources.fetch(request(url)));
        assert_eq!(
            kind(outcome.await.unwrap()),
            Kind::SourceClientError(404),
            "{name}"
        );
    }
}

#[tokio::test]
async fn links_are_followed_as_far_as_the_operator_says() {
    use std::os::unix::fs::symlink;
    let tree = tree();
    let root = tree.path().join("root");
    symlink("d.png", root.join("sub/relative.png")).unwrap();
    symlink(root.join("sub/d.png"), root.join("absolute.png")).unwrap();
    symlink("sub", root.join("folder")).unwrap();
    symlink("../outside.png", root.join("out.png")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink("loop.png", root.join("loop.png")).unwrap();
    std::fs::hard_link(tree.path().join("outside.png"), root.join("hard.png")).unwrap();
    symlink(&root, tree.path().join("alias")).unwrap();
    // Name, and whether it is served under `all`, `inside`, `none`.
    let cases = [
        ("sub/d.png", [true, true, true]),
        ("hard.png", [true, true, true]),
        ("sub/relative.png", [true, true, false]),
        ("absolute.png", [true, true, false]),
        ("folder/d.png", [true, true, false]),
        ("out.png", [true, false, false]),
        ("up/outside.png", [true, false, false]),
        ("up/root/sub/d.png", [true, true, false]),
        ("loop.png", [false, false, false]),
        ("sub", [false, false, false]),
        ("..", [false, false, false]),
    ];
    let policies = [
        FollowSymlinks::All,
        FollowSymlinks::Inside,
        FollowSymlinks::None,
    ];
    for (number, policy) in policies.into_iter().enumerate() {
        for root in ["root", "alias"] {
            let mut config = config();
            config.local_root = Some(tree.path().join(root));
            config.follow_symlinks = policy;
            let sources = sources(&config);
            for (name, served) in cases {
                let url = format!("local:///{name}");
                let outcome = sources.fetch(request(url)).await;
                assert_eq!(outcome.is_ok(), served[number], "{policy:?} {root} {name}");
                if let Err(error) = outcome {
                    assert_eq!(Error::from(error).kind(), Kind::SourceClientError(404));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_swapped_link_leads_nowhere() {
    use std::os::unix::fs::symlink;
    let tree = tree();
    let mut config = config();
    config.local_root = Some(tree.path().join("root"));
    config.follow_symlinks = FollowSymlinks::Inside;
    let sources = sources(&config);
    tree.write("secret.png", &png(77));
    let name = tree.path().join("root/swapped.png");
    let (good, bad) = (tree.path().join("good"), tree.path().join("bad"));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                for (spare, target) in [(&good, "sub/d.png"), (&bad, "../secret.png")] {
                    symlink(target, spare).unwrap();
                    std::fs::rename(spare, &name).unwrap();
                }
            }
        }
    });
    for _ in 0..500 {
        if let Ok(Fetched::Image(image)) = sources.fetch(request("local:///swapped.png")).await {
            assert_eq!(image.bytes.len(), 5000);
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
}

#[tokio::test]
async fn the_kernels_files_are_none() {
    let mut config = config();
    config.local_root = Some("/".into());
    let sources = sources(&config);
    for name in [
        "proc/self/environ",
        "proc/self/maps",
        "proc/version",
        "dev/null",
        "etc",
    ] {
        let url = format!("local:///{name}");
        let outcome = sources.stream(request(url)).await;
        let error = Error::from(outcome.unwrap_err());
        assert_eq!(error.kind(), Kind::SourceClientError(404), "{name}");
    }
}

#[tokio::test]
async fn files_that_change_while_they_are_read() {
    let tree = tree();
    let sources = local(&tree, "?");
    let path = tree.path().join("root/changing.png");
    for (later, whole) in [(800_000, true), (300_000, false)] {
        std::fs::write(&path, png(600_000)).unwrap();
        let mut opened = sources
            .stream(request("local:///changing.png"))
            .await
            .unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(later).unwrap();
        let mut read = 0;
        let mut failed = false;
        while let Some(chunk) = opened.body.next().await {
            match chunk {
                Ok(chunk) => read += chunk.len(),
                Err(_) => failed = true,
            }
        }
        assert_eq!(
            (read == 600_000, failed),
            (whole, !whole),
            "{later}: {read}"
        );
    }
}

#[tokio::test]
async fn validators() {
    let tree = tree();
    let sources = local(&tree, "?");
    let first = image(sources.fetch(request("local:///sub/d.png")).await);
    assert_eq!(first.headers["content-type"], "image/png");
    assert_eq!(first.headers["content-length"], "5000");
    let tag = first.headers["etag"].clone();
    assert_eq!(tag.len(), 45);
    assert!(first.headers.contains_key("last-modified"));
    let mut again = request("local:///sub/d.png");
    again.headers.insert(IF_NONE_MATCH, tag.clone());
    match sources.fetch(again.clone()).await.unwrap() {
        Fetched::NotModified(headers) => assert_eq!(headers["etag"], tag),
        other @ Fetched::Image(_) => panic!("{other:?}"),
    }
    let raw = sources.stream(again.clone()).await.unwrap();
    assert_eq!(raw.status, 304);
    again
        .headers
        .insert(RANGE, HeaderValue::from_static("bytes=0-3"));
    assert_eq!(sources.stream(again).await.unwrap().status, 206);
}

#[tokio::test]
async fn ranges() {
    let tree = tree();
    let sources = local(&tree, "?");
    let whole = png(5000);
    type Case<'a> = (Option<&'static str>, u16, Option<&'static str>, &'a [u8]);
    let cases: [Case<'_>; 5] = [
        (None, 200, None, &whole),
        (Some("bytes=0-7"), 206, Some("bytes 0-7/5000"), &whole[..8]),
        (
            Some("bytes=4990-9999"),
            206,
            Some("bytes 4990-4999/5000"),
            &whole[4990..],
        ),
        (
            Some("bytes=-2"),
            206,
            Some("bytes 4998-4999/5000"),
            &whole[4998..],
        ),
        (Some("bytes=5000-"), 416, Some("bytes */5000"), b""),
    ];
    for (range, status, content_range, body) in cases {
        let mut request = request("local:///sub/d.png");
        if let Some(range) = range {
            request
                .headers
                .insert(RANGE, HeaderValue::from_static(range));
        }
        let raw = sources.stream(request).await.unwrap();
        assert_eq!(raw.status, status, "{range:?}");
        let sent = raw
            .headers
            .get("content-range")
            .map(|value| value.to_str().unwrap());
        assert_eq!(sent, content_range, "{range:?}");
        assert_eq!(raw.headers.contains_key("etag"), range.is_none());
        assert_eq!(
            raw.headers["content-length"],
            body.len().to_string(),
            "{range:?}"
        );
        let chunks: Vec<Bytes> = raw.body.try_collect().await.unwrap();
        assert_eq!(chunks.concat(), body, "{range:?}");
    }
    let missing = sources.stream(request("local:///none.png")).await;
    assert_eq!(
        Error::from(missing.unwrap_err()).kind(),
        Kind::SourceClientError(404)
    );
}
