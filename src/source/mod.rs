//! Fetching source images: schemes, limits, deadlines, address guard. Rule: `spec/sources.md`.
//!
//! Owns everything between a source URL that the service has accepted and bytes of a known format. It applies no
//! allow-list, knows nothing of options, and records no metrics: [`FetchError::started`] says what to count.

mod body;
mod conditional;
mod content_type;
mod cookies;
mod dial;
mod error;
pub mod guard;
mod http;
mod local;
mod storage;
mod target;
mod tls;

#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use ::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt};
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

pub use self::error::{FetchError, SourceConfigError, Step};

use self::body::{Buffer, Expected};
use self::dial::Proxies;
use self::http::{Answer, HttpSource};
use self::local::LocalSource;
use crate::config::SourceConfig;
use crate::format::ImageFormat;

/// A fetched source: whole, within its size limit, and of a known format.
#[derive(Clone, Debug)]
pub struct SourceImage {
    /// The encoded picture, content coding undone.
    pub bytes: Bytes,
    /// Format by its own bytes.
    pub format: ImageFormat,
    /// Headers of the source's response.
    pub headers: HeaderMap,
}

/// What to fetch.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The source URL after replacements and base URL.
    pub url: String,
    /// Headers to send besides our own: conditions, cookies; for raw replies `Range` and `Accept-Encoding` too.
    pub headers: HeaderMap,
    /// Largest source in bytes; 0 is no limit. Raw replies know none.
    pub max_bytes: u64,
    /// When the request that this fetch is for gives up, whatever `DOWNLOAD_TIMEOUT` says.
    pub deadline: Option<Instant>,
}

/// The outcome of a fetch.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// A picture.
    Image(SourceImage),
    /// The client's copy is still good; the headers hold the validators.
    NotModified(HeaderMap),
}

/// A source's answer as it is, for raw replies.
pub struct RawResponse {
    /// The source's own status, whatever it is.
    pub status: StatusCode,
    /// The source's headers.
    pub headers: HeaderMap,
    /// The body; an error means that it is not whole.
    pub body: BoxStream<'static, Result<Bytes, io::Error>>,
}

impl std::fmt::Debug for RawResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawResponse")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// All enabled sources.
#[derive(Clone, Debug)]
pub struct Sources {
    http: HttpSource,
    local: Option<LocalSource>,
    download_timeout: Duration,
}

impl Sources {
    /// Builds every enabled source. Proxies are taken from the environment, once.
    ///
    /// # Errors
    ///
    /// A part of the configuration that no source can work with.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceConfigError> {
        Self::with_proxies(config, Proxies::from_environment())
    }

    fn with_proxies(config: &SourceConfig, proxies: Proxies) -> Result<Self, SourceConfigError> {
        let local = config
            .local_root
            .as_deref()
            .map(|root| LocalSource::new(root, &config.query_separator))
            .transpose()?;
        Ok(Self {
            http: HttpSource::new(config, proxies)?,
            local,
            download_timeout: config.download_timeout,
        })
    }

    /// Fetches a picture for processing. Dropping the future closes the connection to the source.
    ///
    /// # Errors
    ///
    /// Anything but a whole picture of a known format, or "not modified".
    pub async fn fetch(&self, request: FetchRequest) -> Result<Fetched, FetchError> {
        let deadline = self.deadline(&request);
        match self.scheme(&request.url)? {
            Scheme::Http => {
                let opening = self.http.open(&request.url, &request.headers);
                let answer = deadline.head(opening).await?;
                read(answer, request.max_bytes, deadline).await
            }
            Scheme::Local(local) => {
                let reading = local.fetch(&request.url, &request.headers, request.max_bytes);
                deadline.head(reading).await
            }
        }
    }

    /// Fetches a source for a raw reply: any status will do, and the body is not looked at.
    ///
    /// # Errors
    ///
    /// No response head came.
    pub async fn stream(&self, request: FetchRequest) -> Result<RawResponse, FetchError> {
        let deadline = self.deadline(&request);
        let opened = match self.scheme(&request.url)? {
            Scheme::Http => {
                let opening = self.http.open(&request.url, &request.headers);
                deadline.head(opening).await.map(|answer| RawResponse {
                    status: answer.response.status(),
                    headers: answer.response.headers().clone(),
                    body: data(answer.response).boxed(),
                })
            }
            Scheme::Local(local) => {
                deadline
                    .head(local.stream(&request.url, &request.headers))
                    .await
            }
        };
        let mut raw = opened.map_err(|error| match error {
            // Raw replies do not tell the two deadlines apart.
            FetchError::RequestTimeout { .. } => FetchError::RequestTimeout { head: true },
            error => error,
        })?;
        raw.body = until(raw.body, deadline.at());
        Ok(raw)
    }

    fn deadline(&self, request: &FetchRequest) -> Deadline {
        Deadline {
            download: Instant::now() + self.download_timeout,
            request: request.deadline,
        }
    }

    fn scheme(&self, url: &str) -> Result<Scheme<'_>, FetchError> {
        let scheme = url
            .split_once(':')
            .map_or("", |(scheme, _)| scheme)
            .to_ascii_lowercase();
        match (scheme.as_str(), &self.local) {
            ("http" | "https", _) => Ok(Scheme::Http),
            ("local", Some(local)) => Ok(Scheme::Local(local)),
            _ => Err(FetchError::Scheme {
                variable: SCHEME_VARIABLES
                    .iter()
                    .find(|(name, _)| *name == scheme)
                    .map(|(_, variable)| *variable),
                scheme,
            }),
        }
    }
}

enum Scheme<'a> {
    Http,
    Local(&'a LocalSource),
}

/// The two moments at which a fetch ends, and which of them it was.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    download: Instant,
    request: Option<Instant>,
}

impl Deadline {
    fn at(self) -> Instant {
        self.request
            .map_or(self.download, |request| request.min(self.download))
    }

    async fn head<T>(
        self,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        timeout_at(self.at(), work)
            .await
            .unwrap_or_else(|_| Err(self.passed(false, false)))
    }

    fn passed(self, head: bool, detected: bool) -> FetchError {
        if self.at() < self.download {
            FetchError::RequestTimeout { head }
        } else {
            FetchError::DownloadTimeout { detected }
        }
    }
}

/// Turns a response into a picture, or into the error that its status or body stands for.
async fn read(answer: Answer, limit: u64, deadline: Deadline) -> Result<Fetched, FetchError> {
    let Answer { response, target } = answer;
    match response.status().as_u16() {
        200 => {}
        206 if is_whole(&response) => {}
        206 => return Err(FetchError::Partial),
        304 => return Ok(Fetched::NotModified(response.headers().clone())),
        status => {
            let excerpt = timeout_at(deadline.at(), excerpt(response))
                .await
                .unwrap_or_default();
            return Err(FetchError::Status { status, excerpt });
        }
    }
    let mut headers = response.headers().clone();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let gzip = text(CONTENT_ENCODING) == Some("gzip");
    let mut buffer = Buffer::new(Expected {
        gzip,
        length: response.content_length(),
        limit,
        extension: extension_of(target.path()).map(str::to_owned),
        content_type: text(CONTENT_TYPE).map(str::to_owned),
    })?;
    match timeout_at(deadline.at(), buffer.fill(data(response))).await {
        Ok(filled) => filled?,
        Err(_) => return Err(deadline.passed(true, buffer.is_detected())),
    }
    if gzip {
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
    let (bytes, format) = buffer.finish()?;
    Ok(Fetched::Image(SourceImage {
        bytes,
        format,
        headers,
    }))
}

/// Whether a partial response covers the whole file: `bytes 0-<end>/<total>`, where an unknown total is the length.
fn is_whole(response: &Response) -> bool {
    let covered = || {
        let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
        let (end, total) = range.strip_prefix("bytes 0-")?.split_once('/')?;
        let total = match total {
            "*" => response.content_length()?,
            total => total.parse().ok()?,
        };
        Some(end.parse::<u64>().ok()?.checked_add(1)? == total)
    };
    covered().unwrap_or(false)
}

/// The start of a textual error body, for the log.
async fn excerpt(response: Response) -> String {
    let textual = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/"));
    let mut text = Vec::new();
    if textual {
        let mut body = data(response);
        while text.len() < EXCERPT
            && let Some(Ok(chunk)) = body.next().await
        {
            text.extend_from_slice(&chunk);
        }
    }
    text.truncate(EXCERPT);
    String::from_utf8_lossy(&text).into_owned()
}

fn data(response: Response) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin {
    response.bytes_stream().map_err(io::Error::other)
}

/// Ends a body with an error once the deadline has passed.
fn until(
    body: BoxStream<'static, Result<Bytes, io::Error>>,
    deadline: Instant,
) -> BoxStream<'static, Result<Bytes, io::Error>> {
    futures_util::stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match timeout_at(deadline, body.next()).await {
            Ok(chunk) => {
                let chunk = chunk?;
                let rest = chunk.is_ok().then_some(body);
                Some((chunk, rest))
            }
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    })
    .boxed()
}

/// What follows the last dot of the last path segment.
fn extension_of(path: &str) -> Option<&str> {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.rsplit_once('.').map(|(_, extension)| extension)
}

/// A client for the services of clouds: no guard of addresses, no redirects, certificates always checked.
///
/// # Errors
///
/// TLS cannot be set up.
pub fn cloud_client() -> Result<reqwest::Client, SourceConfigError> {
    storage::client(None)
}

/// Schemes that exist but have to be turned on, with the variable that does so.
const SCHEME_VARIABLES: &[(&str, &str)] = &[
    ("local", "LOCAL_FILESYSTEM_ROOT"),
    ("s3", "USE_S3"),
    ("gs", "USE_GCS"),
    ("abs", "USE_ABS"),
    ("swift", "USE_SWIFT"),
];
const EXCERPT: usize = 1024;
