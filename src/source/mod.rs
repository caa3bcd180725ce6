//! Fetching source images: schemes, limits, deadlines, address guard. Rule: `spec/sources.md`.
//!
//! Owns everything between a source URL that the service has accepted and bytes of a known format. It applies no
//! allow-list, knows nothing of options, and records no metrics: [`FetchError::started`] says what to count.

mod beneath;
mod body;
mod client;
mod coding;
mod conditional;
mod connect;
mod content_type;
mod cookies;
mod dial;
mod error;
pub mod guard;
mod http;
mod local;
mod memory;
mod opened;
mod passthrough;
mod proxy;
mod seal;
mod storage;
mod target;
pub mod tls;

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

pub use self::error::{FetchError, SourceConfigError, Step};
pub use self::memory::{Claim, Memory};
pub use self::opened::{BodyStream, Opened, Received};

use self::body::{Buffer, Expected};
use self::client::HttpClient;
use self::coding::Coding;
use self::dial::{Names, system_names};
use self::http::{HttpSource, RedirectCheck};
use self::local::LocalSource;
use self::opened::until;
use self::proxy::Proxies;
use self::storage::Storages;
use crate::cloud::Connection;
use crate::config::SourceConfig;
use crate::config::cookies::CookieConfig;
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
    /// What the bytes are claimed from, for as long as the caller keeps it; `None` is without a budget. Raw replies claim
    /// only where they have to hold a body whole.
    pub claim: Option<Arc<Claim>>,
}

/// The outcome of a fetch.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// A picture.
    Image(SourceImage),
    /// The client's copy is still good; the headers hold the validators.
    NotModified(HeaderMap),
}

/// What sources are reached through: the environment's own, except in tests.
#[derive(Clone)]
struct Network {
    proxies: Proxies,
    names: Names,
}

/// All enabled sources.
#[derive(Clone, Debug)]
pub struct Sources {
    http: HttpSource,
    local: Option<LocalSource>,
    storages: Storages,
    cookies: CookieConfig,
    download_timeout: Duration,
}

impl Sources {
    /// Builds every enabled source. Proxies are taken from the environment, once.
    ///
    /// # Errors
    ///
    /// A part of the configuration that no source can work with.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceConfigError> {
        Self::over(
            config,
            Network {
                proxies: Proxies::from_environment(),
                names: system_names(),
            },
        )
    }

    fn over(config: &SourceConfig, network: Network) -> Result<Self, SourceConfigError> {
        let local = config
            .local_root
            .as_deref()
            .map(|root| LocalSource::new(root, config))
            .transpose()?;
        Ok(Self {
            http: HttpSource::new(config, network)?,
            local,
            storages: Storages::new(config)?,
            cookies: config.cookies.clone(),
            download_timeout: config.download_timeout,
        })
    }

    /// Follows redirects only to URLs that `is_allowed` agrees to.
    #[must_use]
    pub fn checking_redirects(
        mut self,
        is_allowed: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let check = RedirectCheck(Arc::new(is_allowed));
        self.http.check_redirects(check);
        self
    }

    /// Those of a client's cookies that the source `url` may see, as a `Cookie` header.
    pub fn cookies(&self, url: &str, client: &HeaderMap) -> Option<HeaderValue> {
        passthrough::cookie(&self.cookies, url, client)
    }

    /// Fetches a picture for processing. Dropping the future closes the connection to the source.
    ///
    /// # Errors
    ///
    /// Anything but a whole picture of a known format, or "not modified".
    pub async fn fetch(&self, request: FetchRequest) -> Result<Fetched, FetchError> {
        self.fetch_counted(request, &Received::default()).await
    }

    /// [`Sources::fetch`] that tells how many bytes of the body have come, also where it fails or is dropped.
    ///
    /// # Errors
    ///
    /// As [`Sources::fetch`].
    pub async fn fetch_counted(
        &self,
        request: FetchRequest,
        received: &Received,
    ) -> Result<Fetched, FetchError> {
        let deadline = self.deadline(&request);
        let mut opened = deadline.head(self.open(&request)).await?;
        opened.body = received.counting(opened.body);
        read(opened, &request, deadline).await
    }

    /// Fetches a source for a raw reply: any status will do, and the body is not looked at.
    ///
    /// # Errors
    ///
    /// No response head came.
    pub async fn stream(&self, request: FetchRequest) -> Result<Opened, FetchError> {
        let deadline = self.deadline(&request);
        let mut opened = deadline
            .head(self.open(&request))
            .await
            .map_err(|error| match error {
                // Raw replies do not tell the two deadlines apart.
                FetchError::RequestTimeout { .. } => FetchError::RequestTimeout { head: true },
                error => error,
            })?;
        opened.body = until(opened.body, move || deadline.at());
        opened.unsealed(&request, deadline).await
    }

    async fn open(&self, request: &FetchRequest) -> Result<Opened, FetchError> {
        let FetchRequest { url, headers, .. } = request;
        let scheme = url
            .split_once(':')
            .map_or("", |(scheme, _)| scheme)
            .to_ascii_lowercase();
        match (scheme.as_str(), &self.local) {
            ("http" | "https", _) => return self.http.open(url, headers).await,
            ("local", Some(local)) => return local.open(url, headers).await,
            _ => {}
        }
        if let Some(opened) = self.storages.open(&scheme, url, headers).await {
            return opened;
        }
        Err(FetchError::Scheme {
            variable: SCHEME_VARIABLES
                .iter()
                .find(|(name, _)| *name == scheme)
                .map(|(_, variable)| *variable),
            scheme,
        })
    }

    /// Logs in to the storages that need it before the first request.
    ///
    /// # Errors
    ///
    /// A storage refuses, or does not answer.
    pub async fn log_in(&self) -> Result<(), SourceConfigError> {
        self.storages.log_in().await
    }

    fn deadline(&self, request: &FetchRequest) -> Deadline {
        Deadline {
            download: Instant::now() + self.download_timeout,
            request: request.deadline,
        }
    }
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

    /// The outcome of reading a body, unless time runs out; the time in which it waited for room is not the source's.
    async fn body<T>(self, claim: Option<&Claim>, work: impl Future<Output = T>) -> Option<T> {
        let waited = || claim.map_or(Duration::ZERO, Claim::waited);
        let mut work = pin!(work);
        let mut allowed = waited();
        loop {
            let download = self.download + allowed;
            let at = self.request.map_or(download, |end| end.min(download));
            if let Ok(done) = timeout_at(at, work.as_mut()).await {
                return Some(done);
            }
            let now = waited();
            if at < download || now == allowed {
                return None;
            }
            allowed = now;
        }
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
async fn read(
    opened: Opened,
    request: &FetchRequest,
    deadline: Deadline,
) -> Result<Fetched, FetchError> {
    let claim = request.claim.as_deref();
    match opened.status.as_u16() {
        200 => {}
        206 if opened.is_whole() => {}
        206 => return Err(FetchError::Partial),
        304 => return Ok(Fetched::NotModified(opened.headers)),
        status => {
            let excerpt = timeout_at(deadline.at(), opened.excerpt())
                .await
                .unwrap_or_default();
            return Err(FetchError::Status { status, excerpt });
        }
    }
    let opened = opened.unsealed(request, deadline).await?;
    let mut headers = opened.headers;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let coding = text(CONTENT_ENCODING).and_then(Coding::by_name);
    let mut buffer = Buffer::new(Expected {
        coding,
        length: opened.length,
        limit: request.max_bytes,
        extension: opened.extension,
        content_type: text(CONTENT_TYPE).map(str::to_owned),
    })?;
    match deadline.body(claim, buffer.fill(opened.body, claim)).await {
        Some(filled) => filled?,
        None => return Err(deadline.passed(true, buffer.is_detected())),
    }
    if coding.is_some() {
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

/// A client for the services of clouds: no guard of addresses, no redirects, certificates always checked.
///
/// # Errors
///
/// TLS cannot be set up.
pub fn cloud_client() -> Result<impl Connection, SourceConfigError> {
    HttpClient::unguarded(&SourceConfig {
        user_agent: concat!("imgforge/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..SourceConfig::default()
    })
}

/// Schemes that exist but have to be turned on, with the variable that does so.
const SCHEME_VARIABLES: &[(&str, &str)] = &[
    ("local", "LOCAL_FILESYSTEM_ROOT"),
    ("s3", "USE_S3"),
    ("gs", "USE_GCS"),
    ("abs", "USE_ABS"),
    ("swift", "USE_SWIFT"),
];
