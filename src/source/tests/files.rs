//! Local files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ::http::HeaderValue;
use ::http::header::{IF_NONE_MATCH, RANGE};
use futures_util::TryStreamExt as _;

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
