//! Files below a root directory: `local:///path`. Rule: `spec/sources.md` sections 1.2 and 4.
//!
//! Owns names, validators and ranges of local files. Symbolic links are followed, also out of the root, as imgproxy
//! does; whoever can write below the root decides what is served. Nothing here blocks an async thread.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
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
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::conditional::{Part, is_unmodified, part};
use super::content_type::content_type;
use super::{FetchError, Fetched, RawResponse, SourceConfigError, SourceImage, extension_of};
use crate::format::sniff::sniff;

/// The files below one root.
#[derive(Clone, Debug)]
pub(super) struct LocalSource {
    root: Arc<Path>,
    separator: String,
}

impl LocalSource {
    /// # Errors
    ///
    /// The root is no directory.
    pub(super) fn new(root: &Path, separator: &str) -> Result<Self, SourceConfigError> {
        let failed = |source| SourceConfigError::LocalRoot {
            path: root.to_owned(),
            source,
        };
        if !root.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self {
            root: root.into(),
            separator: separator.to_owned(),
        })
    }

    /// Reads a whole file of at most `limit` bytes; 0 is no limit.
    pub(super) async fn fetch(
        &self,
        url: &str,
        request: &HeaderMap,
        limit: u64,
    ) -> Result<Fetched, FetchError> {
        let entry = self.entry(url)?;
        let request = request.clone();
        blocking(move || {
            let mut open = entry.open()?;
            if is_unmodified(&request, &open.etag, open.modified) {
                return Ok(Fetched::NotModified(open.validators()));
            }
            if limit > 0 && open.size > limit {
                return Err(FetchError::DeclaredTooLarge {
                    declared: open.size,
                    limit,
                });
            }
            let mut bytes = Vec::new();
            // A file that grows meanwhile is read up to the size that was checked.
            let mut file = (&mut open.file).take(open.size);
            file.read_to_end(&mut bytes).map_err(FetchError::Object)?;
            let format =
                sniff(&bytes, extension_of(&entry.name), None).ok_or(FetchError::FormatUnknown)?;
            if bytes.len() as u64 != open.size {
                return Err(FetchError::Incomplete {
                    received: bytes.len() as u64,
                });
            }
            let headers = open.headers(&entry.name, &bytes);
            Ok(Fetched::Image(SourceImage {
                bytes: bytes.into(),
                format,
                headers,
            }))
        })
        .await
    }

    /// Answers as a file server would.
    pub(super) async fn stream(
        &self,
        url: &str,
        request: &HeaderMap,
    ) -> Result<RawResponse, FetchError> {
        let entry = self.entry(url)?;
        let request = request.clone();
        let (status, headers, file, length) = blocking(move || {
            let mut open = entry.open()?;
            if !request.contains_key(RANGE) && is_unmodified(&request, &open.etag, open.modified) {
                return Ok((StatusCode::NOT_MODIFIED, open.validators(), None, 0));
            }
            let mut head = Vec::new();
            (&mut open.file)
                .take(SNIFFED)
                .read_to_end(&mut head)
                .map_err(FetchError::Object)?;
            let mut headers = open.headers(&entry.name, &head);
            let (status, start, length) = match part(&request, open.size) {
                Part::Whole => (StatusCode::OK, 0, open.size),
                Part::Bytes(start, end) => {
                    headers.remove(ETAG);
                    headers.remove(LAST_MODIFIED);
                    let range = format!("bytes {start}-{end}/{}", open.size);
                    insert(&mut headers, CONTENT_RANGE, &range);
                    (StatusCode::PARTIAL_CONTENT, start, end - start + 1)
                }
                Part::Unsatisfiable => {
                    headers.clear();
                    let range = format!("bytes */{}", open.size);
                    insert(&mut headers, CONTENT_RANGE, &range);
                    (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0)
                }
            };
            insert(&mut headers, CONTENT_LENGTH, &length.to_string());
            open.file
                .seek(SeekFrom::Start(start))
                .map_err(FetchError::Object)?;
            Ok((status, headers, Some(open.file), length))
        })
        .await?;
        let body = match file {
            Some(file) => {
                let file = tokio::fs::File::from_std(file).take(length);
                ReaderStream::with_capacity(file, CHUNK).boxed()
            }
            None => futures_util::stream::empty::<io::Result<Bytes>>().boxed(),
        };
        Ok(RawResponse {
            status,
            headers,
            body,
        })
    }

    /// The key is literal: no escape in it means anything, and it ends at the query separator.
    fn entry(&self, url: &str) -> Result<Entry, FetchError> {
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_host(host) {
            return Err(FetchError::InvalidUrl("host"));
        }
        let mut key = key.trim_start_matches('/');
        if !self.separator.is_empty() {
            key = key
                .split_once(self.separator.as_str())
                .map_or(key, |(key, _)| key);
        }
        if key.is_empty() || key.contains('\0') {
            return Err(FetchError::Object(io::ErrorKind::NotFound.into()));
        }
        Ok(Entry {
            path: self.root.join(clean(key)),
            name: format!("/{key}"),
        })
    }
}

/// A file by name.
#[derive(Debug)]
struct Entry {
    path: PathBuf,
    /// The key with a leading slash, as the tag of the file is made from.
    name: String,
}

impl Entry {
    fn open(&self) -> Result<Open, FetchError> {
        // Opening a FIFO would wait for its other end without the flag.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&self.path)
            .map_err(FetchError::Object)?;
        let metadata = file.metadata().map_err(FetchError::Object)?;
        if !metadata.is_file() {
            return Err(FetchError::Object(io::ErrorKind::NotFound.into()));
        }
        Ok(Open::new(file, &metadata, &self.name))
    }
}

/// An open regular file.
#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
    modified: SystemTime,
    etag: String,
}

impl Open {
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

/// The host part is ignored but has to be one.
fn is_host(host: &str) -> bool {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    port.bytes().all(|byte| byte.is_ascii_digit())
        && name.bytes().all(|byte| {
            !byte.is_ascii()
                || byte.is_ascii_alphanumeric()
                || b"-._~!$&'()*+,;=[]@:".contains(&byte)
        })
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
const CHUNK: usize = 64 * 1024;
/// First second, since 1970, of a year that HTTP dates cannot write.
const YEAR_9999: u64 = 253_370_764_800;
