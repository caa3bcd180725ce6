//! The image route: CORS, secret, deadline, then the service; and what every outcome leaves in metrics and log.
//! Rules: `spec/http.md` sections 3, 7 and 11.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use futures_util::{FutureExt, StreamExt};
use http::HeaderMap;
use http::header::ACCEPT;
use warp::reply::Response;

use super::report::Reported;
use super::request::{RequestContext, client_features};
use super::{client, log};
use crate::error::{Error, Kind};
use crate::monitoring::trace::{self, Trace};
use crate::monitoring::{self, InProgress, Reason, Span};
use crate::service::{Body, CacheOutcome, ImageRequest, ImageResponse, Noted};

/// Answers one image request.
pub(super) async fn image(context: RequestContext) -> Response {
    let app = &context.app;
    monitoring::request_started();
    let mut outcome = Outcome {
        context: &context,
        recorded: false,
    };
    // Kept only where somebody may want to know.
    let noted = app.reporters.is_on().then(Noted::default);
    let report = |error: &Error| {
        if noted.is_some() {
            let (context, noted) = (&context, noted.as_ref());
            Reported { context, noted }.error(error);
        }
    };
    let answer = match app.secrets.get().check(&context.headers) {
        Ok(()) => run(&context, noted.clone()).await,
        Err(error) => Err(error),
    };
    let response = match answer {
        Ok(answer) => {
            outcome.succeeded(&answer);
            // Of requests that share an answer, the one that did the work reports.
            if let Some(error) = &answer.fallback_for
                && answer.cache_status.map(|status| status.outcome) != Some(CacheOutcome::Collapsed)
            {
                report(error);
            }
            app.writer.image(answer, SystemTime::now())
        }
        Err(error) => {
            outcome.failed(&error);
            report(&error);
            app.writer
                .error(&error, accepts_html(&context.headers), &context.id)
        }
    };
    if app.cors.is_on() {
        app.cors.allow(response, &context.headers)
    } else {
        response
    }
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .any(|line| String::from_utf8_lossy(line.as_bytes()).contains("text/html"))
}

/// The service under the request deadline, stopped early when the client goes. A panic is an internal error.
async fn run(context: &RequestContext, noted: Option<Noted>) -> Result<ImageResponse, Error> {
    let app = &context.app;
    let deadline = tokio::time::Instant::from_std(context.started) + app.timeout;
    let request = ImageRequest {
        target: app.routes.image_target(context.raw_path()).to_owned(),
        features: client_features(&context.headers, app.negotiation, app.client_hints),
        headers: Arc::clone(&context.headers),
        client: client::address(&context.headers, context.peer, &app.proxies),
        noted,
        deadline: Some(deadline),
    };
    let work = AssertUnwindSafe(async { app.images.handle(request).await }).catch_unwind();
    let answer = tokio::select! {
        biased;
        answer = work => answer.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "panic while handling the request"))),
        () = tokio::time::sleep_until(deadline) => {
            Err(Error::new(Kind::Timeout, "request timeout").with_retry_after(app.images.retry_after()))
        }
        () = context.closed.cancelled() => Err(Error::new(Kind::Cancelled, "client closed the connection")),
    };
    answer.map(|answer| ImageResponse {
        body: streamed(answer.body, context),
        ..answer
    })
}

/// A streamed body that breaks off when the client goes, and counts as an image in progress until it ends.
fn streamed(body: Body, context: &RequestContext) -> Body {
    let Body::Stream(stream) = body else {
        return body;
    };
    let closed = context.closed.clone();
    let progress = Streaming {
        since: context.started,
        trace: trace::current(),
        _images: InProgress::images(),
    };
    let gone = futures_util::stream::once(async move {
        closed.cancelled().await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    // `None` marks the end of the source, so that the merged stream ends with it.
    let source = stream.map(Some).chain(futures_util::stream::iter([None]));
    let merged = futures_util::stream::select(source, gone.map(Some));
    let ended = merged.take_while(|item| std::future::ready(item.is_some()));
    Body::Stream(
        ended
            .filter_map(move |item| {
                let _ = &progress;
                std::future::ready(item)
            })
            .boxed(),
    )
}

struct Streaming {
    since: Instant,
    trace: Option<Trace>,
    _images: InProgress,
}

impl Drop for Streaming {
    fn drop(&mut self) {
        // The body is sent outside of the request's task.
        trace::sync_scope(self.trace.take(), || {
            monitoring::span(Span::StreamingImage, self.since.elapsed().as_secs_f64());
        });
    }
}

/// Records exactly one result of a request; dropped without one, the client has gone.
struct Outcome<'a> {
    context: &'a RequestContext,
    recorded: bool,
}

impl Outcome<'_> {
    fn succeeded(&mut self, answer: &ImageResponse) {
        self.record(answer.status.as_u16());
        let outcome = answer.cache_status.map(|status| status.outcome);
        if outcome == Some(CacheOutcome::Collapsed) {
            monitoring::collapsed();
        }
        log::completed_image(self.context, answer);
    }

    fn failed(&mut self, error: &Error) {
        let outcome = error.outcome();
        self.record(outcome.status);
        if error.kind() != Kind::Cancelled {
            monitoring::error(outcome.category);
            trace::exception(error);
        }
        if let Some(reason) = rejection(error.kind()) {
            monitoring::rejected(reason);
        }
        log::failed(self.context, error);
    }

    fn record(&mut self, status: u16) {
        self.recorded = true;
        monitoring::status(status);
        monitoring::image_status(status);
    }
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        if !self.recorded {
            self.failed(&Error::new(Kind::Cancelled, "client closed the connection"));
        }
    }
}

fn rejection(kind: Kind) -> Option<Reason> {
    match kind {
        Kind::QueueFull => Some(Reason::Queue),
        Kind::NoTime => Some(Reason::Deadline),
        Kind::RateLimitGlobal => Some(Reason::RateLimitGlobal),
        Kind::RateLimitClient => Some(Reason::RateLimitClient),
        Kind::InvalidSecret | Kind::InvalidSignature | Kind::SignatureIsOption => {
            Some(Reason::Signature)
        }
        Kind::SourceNotAllowed | Kind::SourceBlocked => Some(Reason::Source),
        Kind::SourceTooLarge | Kind::ResolutionTooLarge | Kind::ResultTooLarge => {
            Some(Reason::Limits)
        }
        _ => None,
    }
}
