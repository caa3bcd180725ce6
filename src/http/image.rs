//! The image route: CORS, secret, deadline, then the service; and what every outcome leaves in metrics and log.
//! Rules: `spec/http.md` sections 3, 7 and 11.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use futures_util::{FutureExt, StreamExt};
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION};
use subtle::ConstantTimeEq;
use warp::reply::Response;

use super::request::{RequestContext, client_features};
use super::{App, log};
use crate::error::{Error, Kind};
use crate::monitoring::{self, InProgress, Reason, Span};
use crate::service::{Body, CacheStatus, ImageRequest, ImageResponse};

/// Answers one image request.
pub(super) async fn image(app: Arc<App>, context: RequestContext, headers: HeaderMap) -> Response {
    monitoring::request_started();
    let mut outcome = Outcome {
        context: &context,
        recorded: false,
    };
    let accepts_html = headers
        .get_all(ACCEPT)
        .iter()
        .any(|line| String::from_utf8_lossy(line.as_bytes()).contains("text/html"));
    let answer = match authorize(&headers, &app.secret) {
        Ok(()) => run(&app, &context, headers).await,
        Err(error) => Err(error),
    };
    let response = match answer {
        Ok(answer) => {
            outcome.succeeded(&answer);
            app.writer.image(answer, SystemTime::now())
        }
        Err(error) => {
            outcome.failed(&error);
            app.writer.error(&error, accepts_html, &context.id)
        }
    };
    app.writer.cors(response)
}

/// The service under the request deadline, stopped early when the client goes. A panic is an internal error.
async fn run(
    app: &App,
    context: &RequestContext,
    headers: HeaderMap,
) -> Result<ImageResponse, Error> {
    let features = client_features(&headers, app.negotiation, app.client_hints);
    let deadline = tokio::time::Instant::from_std(context.started) + app.timeout;
    let request = ImageRequest {
        target: app.routes.image_target(&context.raw_path).to_owned(),
        headers,
        features,
        client: context.client.address,
        deadline: Some(deadline),
    };
    let work = AssertUnwindSafe(async { app.images.handle(request).await }).catch_unwind();
    let answer = tokio::select! {
        biased;
        answer = work => answer.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "panic while handling the request"))),
        () = tokio::time::sleep_until(deadline) => Err(Error::new(Kind::Timeout, "request timeout")),
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
    _images: InProgress,
}

impl Drop for Streaming {
    fn drop(&mut self) {
        monitoring::span(Span::StreamingImage, self.since.elapsed().as_secs_f64());
    }
}

/// `spec/http.md` section 3: byte for byte, of the first line only, in constant time.
fn authorize(headers: &HeaderMap, secret: &str) -> Result<(), Error> {
    if secret.is_empty() {
        return Ok(());
    }
    let expected = format!("Bearer {secret}");
    let given = headers
        .get(AUTHORIZATION)
        .map_or(&[][..], |value| value.as_bytes());
    if bool::from(given.ct_eq(expected.as_bytes())) {
        Ok(())
    } else {
        Err(Error::new(Kind::InvalidSecret, "Invalid secret"))
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
        if answer.cache_status == Some(CacheStatus::Collapsed) {
            monitoring::collapsed();
        }
        log::completed_image(self.context, answer);
    }

    fn failed(&mut self, error: &Error) {
        let outcome = error.outcome();
        self.record(outcome.status);
        if error.kind() != Kind::Cancelled {
            monitoring::error(outcome.category);
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
