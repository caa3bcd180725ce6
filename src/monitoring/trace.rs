//! The seam for tracing: what a request leaves in a trace, and who gets it. Rule: `spec/monitoring.md` A2.
//!
//! The record functions of [`super`] feed the trace of the current task, so that nothing else has to know of it. Where
//! no tracer is set up there is no current trace, and all of this ends at one comparison. It knows no protocol.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;

use super::Span;
use crate::error::{Category, Error, chain};

/// Gives traces their identity and takes them when they are complete. Neither may wait for anything.
pub trait Tracer: Send + Sync {
    /// The identity of a new trace, continuing the one that the headers name.
    fn begin(&self, headers: &HeaderMap) -> Identity;

    /// A request has ended.
    fn finish(&self, request: Finished);

    /// Writes the identity into the headers of a source request; `span` is the download's.
    fn inject(&self, identity: &Identity, span: u64, headers: &mut HeaderMap);
}

/// Who a trace is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The trace; never 0.
    pub trace: u128,
    /// The request's own span; never 0.
    pub root: u64,
    /// The caller's span.
    pub parent: Option<u64>,
    /// What the caller decided about keeping the trace.
    pub asked: Option<bool>,
    /// Whether the sampler keeps it.
    pub sampled: bool,
    /// `tracestate` and `baggage` as they came, to be passed on.
    pub carried: HeaderMap,
}

/// What is known when a request begins.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Method.
    pub method: String,
    /// Target as received.
    pub target: String,
    /// Host of the `Host` header, without port.
    pub host: String,
    /// Port of the `Host` header.
    pub port: Option<u16>,
    /// Address of the other end of the connection; empty on a Unix socket.
    pub peer: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// Address of the client, from forwarding headers where there are any.
    pub client_ip: String,
    /// HTTP version, such as `1.1`.
    pub version: &'static str,
}

/// A part of a request.
#[derive(Clone, Debug)]
pub struct Child {
    /// Which part.
    pub span: Span,
    /// Its own span.
    pub id: u64,
    /// When it began.
    pub start: SystemTime,
    /// How long it took.
    pub duration: Duration,
}

/// An error of a request.
#[derive(Clone, Debug)]
pub struct Exception {
    /// Label of the error counter.
    pub category: Category,
    /// `<category>_error (<kind>)`.
    pub kind: String,
    /// What went wrong.
    pub message: String,
    /// The error and what it came from, one a line.
    pub stack: String,
    /// When.
    pub time: SystemTime,
}

/// A request that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Who it is.
    pub identity: Identity,
    /// What it asked.
    pub head: Head,
    /// When it began.
    pub start: SystemTime,
    /// How long it took, the body included.
    pub duration: Duration,
    /// What it was answered; `None` where no answer was made.
    pub status: Option<u16>,
    /// Its parts in the order in which they ended.
    pub children: Vec<Child>,
    /// Its errors.
    pub exceptions: Vec<Exception>,
    /// The source URL; empty where the request did not get so far.
    pub source_url: String,
    /// Its options in their canonical form.
    pub options: String,
}

impl Finished {
    /// Name and arguments of each option.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.split('/').filter_map(|o| o.split_once(':'))
    }

    /// The source URL and its origin, `scheme://host`; `None` where the request did not get so far.
    pub fn source(&self) -> Option<(String, String)> {
        let (scheme, rest) = self.source_url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // Credentials are nobody's business.
        let (credentials, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let path = rest.strip_prefix(authority).unwrap_or_default();
        let url = if credentials.is_empty() {
            self.source_url.clone()
        } else {
            format!("{scheme}://{host}{path}")
        };
        Some((url, format!("{scheme}://{host}")))
    }
}

/// The trace of one request; cloning shares it.
#[derive(Clone)]
pub struct Trace(Arc<Inner>);

struct Inner {
    tracer: Arc<dyn Tracer>,
    identity: Identity,
    head: Head,
    start: SystemTime,
    started: Instant,
    /// The span that a source request names as its parent; 0 before there is one.
    download: AtomicU64,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    status: Option<u16>,
    children: Vec<Child>,
    exceptions: Vec<Exception>,
    source_url: String,
    options: String,
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Trace").field(&self.0.identity).finish()
    }
}

impl Trace {
    /// A request begins.
    pub fn begin(tracer: Arc<dyn Tracer>, headers: &HeaderMap, head: Head) -> Self {
        Self(Arc::new(Inner {
            identity: tracer.begin(headers),
            tracer,
            head,
            start: SystemTime::now(),
            started: Instant::now(),
            download: AtomicU64::new(0),
            record: Mutex::default(),
        }))
    }

    /// The request has ended; what comes later is lost.
    pub fn finish(&self) {
        let record = std::mem::take(&mut *self.record());
        self.0.tracer.finish(Finished {
            identity: self.0.identity.clone(),
            head: self.0.head.clone(),
            start: self.0.start,
            duration: self.0.started.elapsed(),
            status: record.status,
            children: record.children,
            exceptions: record.exceptions,
            source_url: record.source_url,
            options: record.options,
        });
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.0.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn child(&self, span: Span, seconds: f64) {
        let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let id = match span {
            Span::DownloadingSourceImage => self.0.download.swap(0, Ordering::Relaxed),
            _ => 0,
        };
        let start = SystemTime::now();
        self.record().children.push(Child {
            span,
            id: if id == 0 { new_id() } else { id },
            start: start.checked_sub(duration).unwrap_or(start),
            duration,
        });
    }
}

/// Runs `future` with `trace` as the current one.
pub fn scope<F: Future>(trace: Option<Trace>, future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(trace, future)
}

/// Runs `work` on this thread with `trace` as the current one.
pub fn sync_scope<R>(trace: Option<Trace>, work: impl FnOnce() -> R) -> R {
    CURRENT.sync_scope(trace, work)
}

/// The trace of this task; `None` where nothing is traced.
pub fn current() -> Option<Trace> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// The identity of the current trace, for log lines.
pub fn current_identity() -> Option<(u128, u64)> {
    with(|trace| (trace.0.identity.trace, trace.0.identity.root))
}

/// What the request turned out to ask for.
pub fn describe(source_url: &str, options: impl FnOnce() -> String) {
    with(|trace| {
        let options = options();
        let mut record = trace.record();
        source_url.clone_into(&mut record.source_url);
        record.options = options;
    });
}

/// An error of the request. Cancellations by the client are none.
pub fn exception(error: &Error) {
    with(|trace| {
        let category = error.outcome().category;
        trace.record().exceptions.push(Exception {
            category,
            kind: format!("{}_error ({:?})", category.label(), error.kind()),
            message: error.detail().to_owned(),
            stack: stack(error),
            time: SystemTime::now(),
        });
    });
}

/// Lets a source request carry the trace, where the operator wants that.
pub fn inject(headers: &mut HeaderMap) {
    with(|trace| {
        let id = new_id();
        trace.0.download.store(id, Ordering::Relaxed);
        trace.0.tracer.inject(&trace.0.identity, id, headers);
    });
}

/// A part of the current request took `seconds` and ends now.
pub(super) fn child(span: Span, seconds: f64) {
    with(|trace| trace.child(span, seconds));
}

/// The current request is answered.
pub(super) fn status(code: u16) {
    with(|trace| trace.record().status = Some(code));
}

/// A span identity; never 0.
pub fn new_id() -> u64 {
    rand::random::<u64>().max(1)
}

fn with<R>(record: impl FnOnce(&Trace) -> R) -> Option<R> {
    CURRENT
        .try_with(|trace| trace.as_ref().map(record))
        .ok()
        .flatten()
}

fn stack(error: &Error) -> String {
    let lines: Vec<String> = chain(error).map(ToString::to_string).collect();
    lines.join("\n")
}

tokio::task_local! {
    static CURRENT: Option<Trace>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[derive(Default)]
    struct Keep(Mutex<Vec<Finished>>);

    impl Tracer for Keep {
        fn begin(&self, _: &HeaderMap) -> Identity {
            Identity {
                trace: 7,
                root: 8,
                ..Identity::default()
            }
        }

        fn finish(&self, request: Finished) {
            self.0.lock().unwrap().push(request);
        }

        fn inject(&self, identity: &Identity, span: u64, headers: &mut HeaderMap) {
            let text = format!("{}-{span}", identity.trace);
            headers.insert("carried", text.parse().unwrap());
        }
    }

    #[tokio::test]
    async fn record_functions_feed_the_current_trace() {
        let tracer = Arc::new(Keep::default());
        let trace = Trace::begin(
            Arc::<Keep>::clone(&tracer),
            &HeaderMap::new(),
            Head::default(),
        );
        let mut headers = HeaderMap::new();
        scope(Some(trace.clone()), async {
            super::super::span(Span::Queue, 0.5);
            describe("http://a/b", || "quality:80".to_owned());
            inject(&mut headers);
            super::super::span(Span::DownloadingSourceImage, 0.25);
            exception(&Error::new(Kind::Timeout, "too late"));
            super::super::image_status(503);
            let carried = current();
            let thread = std::thread::spawn(move || {
                assert!(current().is_none());
                sync_scope(carried, || super::super::span(Span::ProcessingImage, 0.1));
            });
            thread.join().unwrap();
        })
        .await;
        super::super::span(Span::StreamingImage, 1.0);
        trace.finish();
        let finished = tracer.0.lock().unwrap().pop().unwrap();
        let spans: Vec<_> = finished.children.iter().map(|c| c.span).collect();
        assert_eq!(
            spans,
            [
                Span::Queue,
                Span::DownloadingSourceImage,
                Span::ProcessingImage
            ]
        );
        let download = finished.children.get(1).unwrap();
        assert_eq!(
            headers.get("carried").unwrap(),
            &format!("7-{}", download.id)
        );
        assert_eq!(download.duration, Duration::from_millis(250));
        assert_eq!(finished.status, Some(503));
        assert_eq!(finished.exceptions[0].kind, "timeout_error (Timeout)");
        assert_eq!(finished.options, "quality:80");
    }
}
