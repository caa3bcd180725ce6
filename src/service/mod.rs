//! Use cases, free of transport types: what a request asks and what it is answered.

pub mod answer;
pub mod assets;
pub mod downloads;
mod fetch_count;
mod gcra;
pub mod hosts;
pub mod image;
mod known;
mod lookup;
mod process;
pub mod purge;
pub mod queue;
pub mod rate_limits;
mod raw;
pub mod rules;
mod stored;
pub mod validators;
pub mod workers;

use std::net::IpAddr;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::{HeaderMap, StatusCode};

use crate::error::{Error, Quota};
use crate::format::ImageFormat;
use crate::geometry::Size;
use crate::options::ClientFeatures;

pub use known::Understood;

/// The use case that a transport calls for one image.
pub trait Images: Send + Sync + 'static {
    /// Answers one request. Dropping the future cancels the work: the client has gone or the deadline has passed.
    ///
    /// # Errors
    /// Every failure of `spec/http.md` section 11, as its [`crate::error::Kind`].
    fn handle(&self, request: ImageRequest) -> BoxFuture<'static, Result<ImageResponse, Error>>;

    /// Seconds, 1 to 60, after which a request that could not be served in time may be sent again.
    fn retry_after(&self) -> u32;
}

/// What a transport hands in for one image.
#[derive(Clone, Debug)]
pub struct ImageRequest {
    /// The raw request target as received, without the route prefix and without the query.
    pub target: String,
    /// Request headers; conditional headers, `Range` and the like are read from here.
    pub headers: Arc<HeaderMap>,
    /// What the headers say about the client, already filtered by configuration.
    pub features: ClientFeatures,
    /// Address of the client as far as it can be trusted: its own, or what a trusted proxy says. `None` where it has none.
    pub client: Option<IpAddr>,
    /// Where the service notes what the URL turned out to ask for; `None` where nobody wants to know.
    pub noted: Option<Noted>,
    /// When the request gives up; `None` where the transport has no deadline.
    pub deadline: Option<tokio::time::Instant>,
}

/// What a request asks for, for error reports. Filled once, after parsing.
pub type Noted = Arc<OnceLock<Arc<Understood>>>;

/// What a transport sends out. Headers are written by `http::response` from these facts only.
#[derive(Debug)]
pub struct ImageResponse {
    /// 200, 304, or a raw source's own status.
    pub status: StatusCode,
    /// The body.
    pub body: Body,
    /// Which header rules apply.
    pub kind: ReplyKind,
    /// Headers of the source's response: validators, caching, and for raw replies what is relayed.
    pub source_headers: Arc<HeaderMap>,
    /// What the URL asked for: its delivery options decide headers.
    pub understood: Arc<Understood>,
    /// Longest caching in seconds, above 0, where the body stands in for one that could not be had.
    pub max_age: Option<u64>,
    /// The error that a fallback image stands in for.
    pub fallback_for: Option<Error>,
    /// How the result cache took part; `None` where no cache is on.
    pub cache_status: Option<CacheStatus>,
    /// What the rate limits leave, of the one that leaves the least; `None` where none is on.
    pub quota: Option<Quota>,
}

/// Bytes in memory or a stream from the source.
pub enum Body {
    /// No body.
    Empty,
    /// A whole body.
    Bytes(Bytes),
    /// A body as it arrives; an error cuts the connection.
    Stream(BoxStream<'static, Result<Bytes, std::io::Error>>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(b) => write!(f, "Bytes({})", b.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// Which header rules of `spec/http.md` section 8 apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// A processed or skipped image.
    Processed {
        /// Format of the body.
        format: ImageFormat,
        /// Debug facts.
        sizes: Sizes,
    },
    /// The source answered "not modified".
    NotModified,
    /// A raw stream.
    Raw,
}

/// Sizes for the debug headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Source size in its displayed orientation; `None` where it is not known.
    pub origin: Option<Size>,
    /// Result size.
    pub result: Option<Size>,
    /// Bytes of the source as downloaded.
    pub origin_bytes: u64,
}

/// How the result cache took part in a response. Rule: RFC 9211.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStatus {
    /// What happened.
    pub outcome: CacheOutcome,
    /// Seconds of freshness that are left, below zero after its end; `None` where nothing is kept.
    pub ttl: Option<i64>,
    /// Seconds since the source's response, where it is not of now.
    pub age: Option<u64>,
}

/// What a look-up has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOutcome {
    /// Answered from the cache.
    Hit,
    /// Answered from the cache, stale; the source is being asked.
    WhileRevalidate,
    /// Not in the cache; this request did the work.
    Miss {
        /// Whether it is there now.
        stored: bool,
    },
    /// In the cache, stale; the source has confirmed it.
    Confirmed {
        /// Whether it is there now.
        stored: bool,
    },
    /// In the cache, stale; the source had another one.
    Replaced {
        /// Whether it is there now.
        stored: bool,
    },
    /// Answered from the cache, stale, because the source could not be had.
    IfError,
    /// The request asked not to use the cache.
    Bypass,
    /// Not in the cache; the answer came from a job that was already running.
    Collapsed,
}

impl From<CacheOutcome> for CacheStatus {
    fn from(outcome: CacheOutcome) -> Self {
        Self {
            outcome,
            ttl: None,
            age: None,
        }
    }
}
