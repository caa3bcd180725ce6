//! Error reporting: one [`Report`], and a table of services that each turn it into one HTTP request.
//!
//! Reports are free of secrets before they get here. Nothing here can hold up a request: see [`lane`]. Rules:
//! `spec/http.md` section 11, `spec/configuration.md` section 3.7.

mod airbrake;
mod bugsnag;
mod honeybadger;
mod lane;
mod sentry;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use rand::Rng;
use rustls::ClientConfig;
use serde_json::{Map, Value};

use crate::config::ReportingConfig;
use crate::error::{Error, Reported, chain};
use crate::monitoring::ReportService;
use lane::Lane;

/// Everything that is told about one error. No field holds a secret or an address of a client.
#[derive(Clone, Debug)]
pub struct Report {
    /// 32 random hexadecimal digits.
    pub id: String,
    /// When it happened.
    pub time: SystemTime,
    /// Name of the kind of error, by which services group.
    pub class: String,
    /// What went wrong.
    pub message: String,
    /// Why, the nearest cause first.
    pub causes: Vec<String>,
    /// Request method.
    pub method: String,
    /// The whole URL as far as the request tells it.
    pub url: String,
    /// Request headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Facts under imgproxy's names, such as `Request ID`.
    pub facts: Vec<(&'static str, String)>,
}

impl Report {
    /// A report without facts; its texts are rid of secrets.
    pub fn new(error: &Error) -> Self {
        let mut causes = Vec::new();
        for cause in chain(error).skip(1) {
            let text = crate::redact::text(&cause.to_string()).into_owned();
            // An error often repeats its cause.
            if text != error.detail() && causes.last() != Some(&text) {
                causes.push(text);
            }
        }
        let id: u128 = rand::rng().random();
        Self {
            id: format!("{id:032x}"),
            time: SystemTime::now(),
            class: error.kind().name(),
            message: crate::redact::text(error.detail()).into_owned(),
            causes,
            method: String::new(),
            url: String::new(),
            headers: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// The facts as an object, with their names put through `name`.
    fn facts(&self, name: impl Fn(&str) -> String) -> Map<String, Value> {
        let facts = self.facts.iter();
        facts
            .map(|(key, value)| (name(key), value.as_str().into()))
            .collect()
    }

    /// The headers as an object, with their names put through `name`.
    fn headers(&self, name: impl Fn(&str) -> String) -> Map<String, Value> {
        let headers = self.headers.iter();
        headers
            .map(|(key, value)| (name(key), value.as_str().into()))
            .collect()
    }
}

/// The headers of a request that may be reported: without credentials, without addresses of clients.
pub fn reportable_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let is_kept = |name: &HeaderName| !CLIENT_HEADERS.contains(&name.as_str());
    let kept = headers.iter().filter(|(name, _)| is_kept(name));
    kept.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = if crate::redact::is_secret_header(name.as_str()) {
            crate::redact::MASK.to_owned()
        } else {
            crate::redact::text(&value).into_owned()
        };
        (name.as_str().to_owned(), value)
    })
    .collect()
}

/// A service that takes reports.
trait Reporter: Send + Sync {
    /// Which one.
    fn service(&self) -> ReportService;

    /// The request that carries a report.
    fn request(&self, report: &Report) -> Outgoing;
}

/// A POST request.
#[derive(Debug)]
struct Outgoing {
    url: url::Url,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Outgoing {
    fn headers(&self) -> HeaderMap {
        let pairs = self.headers.iter();
        pairs
            .filter_map(|(name, value)| {
                let value = HeaderValue::from_str(value).ok()?;
                Some((HeaderName::from_static(name), value))
            })
            .collect()
    }
}

/// A path below a base URL.
fn below(base: &url::Url, path: &str) -> url::Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// Gives the reporter of a service that is on.
type Start = fn(&ReportingConfig) -> Option<Box<dyn Reporter>>;

/// Every service.
const SERVICES: &[Start] = &[
    sentry::start,
    honeybadger::start,
    bugsnag::start,
    airbrake::start,
];

/// The services that are on, none by default. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Reporters {
    lanes: Arc<Vec<Lane>>,
    downloads: bool,
    io: bool,
}

/// Reports cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ReportingError {
    /// The HTTP client cannot be set up.
    #[error("error reporting: the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

impl Reporters {
    /// Starts a lane for each service that is on. Must be called inside a runtime.
    ///
    /// # Errors
    /// The HTTP client refuses its settings.
    pub fn start(config: &ReportingConfig, tls: ClientConfig) -> Result<Self, ReportingError> {
        let reporters: Vec<_> = SERVICES.iter().filter_map(|start| start(config)).collect();
        let mut lanes = Vec::with_capacity(reporters.len());
        if !reporters.is_empty() {
            let client = reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .tls_backend_preconfigured(tls)
                .redirect(reqwest::redirect::Policy::none())
                .timeout(SEND_TIME)
                .build()?;
            let start = |reporter| Lane::start(reporter, client.clone());
            lanes.extend(reporters.into_iter().map(start));
        }
        Ok(Self {
            lanes: Arc::new(lanes),
            downloads: config.downloading_errors,
            io: config.io_errors,
        })
    }

    /// Whether there is any service.
    pub fn is_on(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// The services that are on.
    pub fn services(&self) -> Vec<ReportService> {
        self.lanes.iter().map(Lane::service).collect()
    }

    /// Whether any service wants to hear of such an error.
    pub fn wants(&self, error: &Error) -> bool {
        !self.lanes.is_empty()
            && match error.kind().reported() {
                Reported::Always => true,
                Reported::Download => self.downloads,
                Reported::Never => false,
            }
    }

    /// Whether any service wants to hear of a response that could not be written.
    pub fn wants_io(&self) -> bool {
        !self.lanes.is_empty() && self.io
    }

    /// Hands a report to every service, or counts it as dropped. Never waits.
    pub fn send(&self, report: Report) {
        let report = Arc::new(report);
        for lane in self.lanes.iter() {
            lane.send(Arc::clone(&report));
        }
    }

    /// Takes no more reports and waits until those that are queued were sent, at most `limit`.
    pub async fn stop(&self, limit: Duration) {
        let lanes = self.lanes.iter().map(Lane::finish);
        let all = futures_util::future::join_all(lanes);
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("stopping with errors that were not reported yet");
        }
    }
}

/// Headers that tell who the client is.
const CLIENT_HEADERS: &[&str] = &[
    "x-forwarded-for",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
    "forwarded",
];
const NAME: &str = "imgforge";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const USER_AGENT: &str = concat!("imgforge/", env!("CARGO_PKG_VERSION"));
/// How long a service may take for one report.
const SEND_TIME: Duration = Duration::from_secs(5);
