//! Files below a root directory: `local:///path`. Rule: `spec/sources.md` sections 1.2 and 4.
//!
//! Owns names, validators and ranges of local files. Which links are followed is `beneath`'s. Nothing here blocks an async
//! thread.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use super::conditional::{Part, is_unmodified, part};
use super::content_type::content_type;
use super::opened::{BodyStream, Opened, extension_of};
use super::storage::Object;
use super::{FetchError, SourceConfigError, beneath};
use crate::config::SourceConfig;
use crate::config::source::FollowSymlinks;

/// The files below one root.
#[derive(Clone, Debug)]
pub(super) struct LocalSource {
    root: Arc<Path>,
    separator: String,
    follow: FollowSymlinks,
}

impl LocalSource {
    /// # Errors
    ///
    /// The root is no directory.
    pub(super) fn new(root: &Path, config: &SourceConfig) -> Result<Self, SourceConfigError> {
        let failed = |source| SourceConfigError::LocalRoot {
            path: root.to_owned(),
            source,
        };
        if !root.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self {
            root: root.into(),
            separator: config.query_separator.clone(),
            follow: config.follow_symlinks,
        })
    }

    /// Answers as a file server would.
    pub(super) async fn open(&self, url: &str, request: &HeaderMap) -> Result<Opened, FetchError> {
        let entry = self.entry(url)?;
        let request = request.clone();
        blocking(move || entry.answer(&request)).await
    }

    /// The key is literal: no escape in it means anything, and it ends at the query separator.
    fn entry(&self, url: &str) -> Result<Entry, FetchError> {
        let Object { key, .. } = Object::parse(url, &self.separator)?;
        if key.is_empty() || key.contains('\0') {
            return Err(FetchError::Object(io::ErrorKind::NotFound.into()));
        }
        Ok(Entry {
            root: Arc::clone(&self.root),
            path: clean(key),
            follow: self.follow,
            name: format!("/{key}"),
        })
    }
}

/// A file by name.
#[derive(Debug)]
struct Entry {
    root: Arc<Path>,
    /// Relative to the root.
    path: String,
    follow: FollowSymlinks,
    /// The key with a leading slash, as the tag of the file is made from.
    name: String,
}

impl Entry {
    fn answer(&self, request: &HeaderMap) -> Result<Opened, FetchError> {
        let mut found = self.find()?;
        if !request.contains_key(RANGE) && is_unmodified(request, &found.etag, found.modified) {
            return Ok(self.empty(StatusCode::NOT_MODIFIED, found.validators()));
        }
        let (status, start, end) = match part(request, found.size) {
            Part::Whole => (StatusCode::OK, 0, found.size),
            Part::Bytes(first, last) => (StatusCode::PARTIAL_CONTENT, first, last + 1),
            Part::Unsatisfiable => {
                let mut headers = HeaderMap::new();
                let range = format!("bytes */{}", found.size);
                insert(&mut headers, CONTENT_RANGE, &range);
                insert(&mut headers, CONTENT_LENGTH, "0");
                return Ok(self.empty(StatusCode::RANGE_NOT_SATISFIABLE, headers));
            }
        };
        let mut head = Vec::new();
        (&mut found.file)
            .take(SNIFFED)
            .read_to_end(&mut head)
            .map_err(FetchError::Object)?;
        let mut headers = found.headers(&self.name, &head);
        let length = end - start;
        if status == StatusCode::PARTIAL_CONTENT {
            headers.remove(ETAG);
            headers.remove(LAST_MODIFIED);
            let range = format!("bytes {start}-{}/{}", end - 1, found.size);
            insert(&mut headers, CONTENT_RANGE, &range);
            insert(&mut headers, CONTENT_LENGTH, &length.to_string());
        }
        found
            .file
            .seek(SeekFrom::Start(start))
            .map_err(FetchError::Object)?;
        Ok(Opened {
            status,
            headers,
            length: Some(length),
            body: content(found.file, length),
            extension: extension_of(&self.name).map(str::to_owned),
            seal: None,
        })
    }

    fn empty(&self, status: StatusCode, headers: HeaderMap) -> Opened {
        Opened {
            status,
            headers,
            length: Some(0),
            body: futures_util::stream::empty().boxed(),
            extension: extension_of(&self.name).map(str::to_owned),
            seal: None,
        }
    }

    fn find(&self) -> Result<Found, FetchError> {
        let file =
            beneath::open(&self.root, &self.path, self.follow).map_err(FetchError::Object)?;
        let metadata = file.metadata().map_err(FetchError::Object)?;
        if !metadata.is_file() || is_made_up(&file) {
            return Err(FetchError::Object(io::ErrorKind::NotFound.into()));
        }
        Ok(Found::new(file, &metadata, &self.name))
    }
}

/// Whether a file is the kernel's: what stands in `/proc` and `/sys` is no picture and differs at each reading.
fn is_made_up(file: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        const SYSFS_MAGIC: rustix::fs::FsWord = 0x6265_6572;
        rustix::fs::fstatfs(file)
            .is_ok_and(|found| [rustix::fs::PROC_SUPER_MAGIC, SYSFS_MAGIC].contains(&found.f_type))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        false
    }
}

/// The next `length` bytes of a file. A file that has become shorter ends in an error, one that has grown is cut.
fn content(file: File, length: u64) -> BodyStream {
    let first = (file, length);
    futures_util::stream::try_unfold(first, |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let reading = tokio::task::spawn_blocking(move || {
            let mut chunk = Vec::new();
            (&mut file)
                .take(left.min(CHUNK))
                .read_to_end(&mut chunk)
                .map(|_| (chunk, file))
        });
        let (chunk, file) = reading.await.map_err(io::Error::other)??;
        match chunk.len() as u64 {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(Some((Bytes::from(chunk), (file, left - read)))),
        }
    })
    .boxed()
}

/// An open regular file.
#[derive(Debug)]
struct Found {
    file: File,
    size: u64,
    modified: SystemTime,
    etag: String,
}

impl Found {
    fn new(file: File, metadata: &Metadata, name: &str) -> Self {
        let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
        let nanoseconds = modified
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_nanos());
        let text = format!("{name}__{}__{nanoseconds}", metadata.len());
        Self {
            file,
            size: metadata.len(),
            modified,
            etag: format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(text))),
        }
    }

    fn validators(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        insert(&mut headers, ETAG, &self.etag);
        let representable = self
            .modified
            .duration_since(UNIX_EPOCH)
            .is_ok_and(|elapsed| elapsed.as_secs() < YEAR_9999);
        if representable {
            let date = httpdate::fmt_http_date(self.modified);
            insert(&mut headers, LAST_MODIFIED, &date);
        }
        headers
    }

    fn headers(&self, name: &str, head: &[u8]) -> HeaderMap {
        let mut headers = self.validators();
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(content_type(head, extension_of(name))),
        );
        insert(&mut headers, CONTENT_LENGTH, &self.size.to_string());
        headers
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Resolves dot segments and double slashes; the result is relative and cannot climb.
fn clean(key: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in key.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    kept.join("/")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(FetchError::Object(io::Error::other(error))))
}

/// Bytes that decide the content type.
const SNIFFED: u64 = 512;
/// Bytes that are read at a time.
const CHUNK: u64 = 256 * 1024;
/// First second, since 1970, of a year that HTTP dates cannot write.
const YEAR_9999: u64 = 253_370_764_800;
