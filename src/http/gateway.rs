//! What happens to every request on the main listener around its route: refusing what is malformed, dropping the body,
//! naming the request, the headers that every response has, and the duration.
//!
//! It stands outside the warp filters, so that even a panic or a missing route is answered with those headers. Rules:
//! `spec/http.md` sections 1, 2 and 8.1.

use std::net::IpAddr;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, EXPECT, HOST, HeaderValue,
    SERVER, TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::Service;
use memchr::memchr;
use tokio::time::timeout_at;

use super::connection::ResponseBody;
use super::endpoint::Endpoint;
use super::exchange::Exchange;
use super::report::Reported;
use super::request::{Facts, RequestContext, X_REQUEST_ID, request_id};
use super::response::header_value;
use super::target::{Swap, restore};
use super::{App, log};
use crate::error::{Error, Kind};
use crate::monitoring::trace::{self, Head, Trace, Tracer};
use crate::monitoring::{self, InProgress, Route, Verb};

type Response = http::Response<ResponseBody>;

/// warp filters as a service.
pub(super) trait Filters:
    Service<Request<Empty<Bytes>>, Response = warp::reply::Response, Error = std::convert::Infallible>
{
}

impl<S> Filters for S where
    S: Service<
            Request<Empty<Bytes>>,
            Response = warp::reply::Response,
            Error = std::convert::Infallible,
        >
{
}

/// The image route, and all others.
#[derive(Clone, Debug)]
pub(super) struct Routes<I, P> {
    pub(super) image: I,
    pub(super) pages: P,
}

/// Answers one request with the given routes.
pub(super) async fn answer(
    app: &Arc<App>,
    routes: &Routes<impl Filters, impl Filters>,
    peer: Option<IpAddr>,
    request: Request<Incoming>,
    exchange: Arc<Exchange>,
) -> Response {
    if let Err(reason) = check(&request) {
        exchange.work(true);
        monitoring::status(400);
        let verb = Verb::from(request.method());
        exchange.hold(Finish::new(verb, Endpoint::Unmatched, Instant::now()));
        return bad_request(reason);
    }
    let (mut head, body) = request.into_parts();
    let (target, path) = target(&head.uri, &exchange.take_swaps());
    let endpoint = target.get(path.clone()).unwrap_or_default();
    let endpoint = app.routes.endpoint(&head.method, endpoint);
    let headers = std::mem::take(&mut head.headers);
    let context = RequestContext::new(Facts {
        app: Arc::clone(app),
        id: request_id(&headers),
        peer,
        method: head.method.clone(),
        headers: Arc::new(headers),
        target,
        path,
        endpoint,
        started: Instant::now(),
        closed: exchange.closed(),
    });
    let tracer = app.tracer.as_ref();
    let trace = tracer
        .filter(|_| context.endpoint == Endpoint::Image)
        .map(|tracer| begin_trace(tracer, &context, head.version));
    let mut finish = Finish::new(Verb::from(&head.method), context.endpoint, context.started);
    finish.trace.clone_from(&trace);
    exchange.hold(finish);
    let complete = drop_body(&context.headers, body, &exchange).await;
    exchange.work(!complete);
    let mut response = if head.method == Method::OPTIONS && head.uri.path() == "*" {
        http::Response::new(full(""))
    } else {
        let routed = route(routes, Request::from_parts(head, Empty::new()), &context);
        let mut response = trace::scope(trace, routed).await;
        common_headers(response.headers_mut(), &context);
        if context.endpoint == Endpoint::Image {
            let status = response.status().as_u16();
            exchange.unless_sent(move || unsent(&context, status));
        }
        response
    };
    if !complete {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What a trace says of a request before anything is done about it.
fn begin_trace(tracer: &Arc<dyn Tracer>, context: &RequestContext, version: Version) -> Trace {
    let text = |name| {
        let value = context.headers.get(name).map(HeaderValue::as_bytes);
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    };
    let authority = text(HOST).parse::<http::uri::Authority>().ok();
    let facts = Head {
        method: context.method.to_string(),
        target: context.logged_target().to_owned(),
        host: authority
            .as_ref()
            .map_or_else(String::new, |a| a.host().to_owned()),
        port: authority.as_ref().and_then(http::uri::Authority::port_u16),
        peer: context
            .peer
            .map_or_else(String::new, |address| address.to_string()),
        user_agent: text(USER_AGENT),
        client_ip: context.logged_client().to_owned(),
        version: if version == Version::HTTP_10 {
            "1.0"
        } else {
            "1.1"
        },
    };
    Trace::begin(Arc::clone(tracer), &context.headers, facts)
}

async fn route(
    routes: &Routes<impl Filters, impl Filters>,
    mut request: Request<Empty<Bytes>>,
    context: &RequestContext,
) -> Response {
    if context.endpoint.is_logged() {
        log::started(context);
    }
    request.extensions_mut().insert(context.clone());
    let answer = AssertUnwindSafe(async {
        match context.endpoint {
            Endpoint::Image => routes.image.call(request).await,
            _ => routes.pages.call(request).await,
        }
    });
    let answer = answer.catch_unwind().await;
    if context.endpoint == Endpoint::Unmatched {
        monitoring::status(404);
        let detail = format!("Route for {} is not defined", context.logged_target());
        log::failed(context, &Error::new(Kind::RouteNotFound, detail));
    }
    match answer {
        Ok(Ok(response)) => response.map(|body| Counted(body).boxed_unsync()),
        Ok(Err(never)) => match never {},
        Err(_panic) => {
            log::failed(
                context,
                &Error::new(Kind::Internal, "panic outside of the image route"),
            );
            let mut response = http::Response::new(full("Internal error"));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            response
        }
    }
}

/// The target as the client wrote it, and where in it the path is.
fn target(uri: &Uri, swaps: &[Swap]) -> (String, Range<usize>) {
    let path_and_query = uri.path_and_query();
    let (None, Some(target)) = (uri.scheme(), path_and_query) else {
        let target = uri.to_string();
        let start = target.len() - path_and_query.map_or(0, |path| path.as_str().len());
        return (target, start..start + uri.path().len());
    };
    let target = restore(target.as_str(), swaps);
    let length = memchr(b'?', target.as_bytes()).unwrap_or(target.len());
    (target, 0..length)
}

fn common_headers(headers: &mut HeaderMap, context: &RequestContext) {
    headers.insert(SERVER, context.app.server_name.clone());
    headers.insert(X_REQUEST_ID, header_value(&context.id));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_POLICY),
    );
}

/// The connection ended before the response did.
fn unsent(context: &RequestContext, status: u16) {
    log::unsent(context, status);
    let reporters = &context.app.reporters;
    if reporters.wants_io() {
        let reported = Reported {
            context,
            noted: None,
        };
        let mut report = reported.report(&Error::new(Kind::Internal, log::UNSENT));
        report.class = "ResponseWrite".to_owned();
        reporters.send(report);
    }
}

/// What hyper lets pass although it is malformed.
fn check<B>(request: &Request<B>) -> Result<(), &'static str> {
    let uri = request.uri();
    let is_authority = uri.scheme().is_none() && uri.authority().is_some();
    if !has_valid_escapes(uri.path()) || (is_authority && *request.method() != Method::CONNECT) {
        return Err("");
    }
    if !has_plain_coding(request) {
        return Err(": unsupported transfer encoding");
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 => Err(": missing required Host header"),
        (Some(_), Some(_)) => Err(": too many Host headers"),
        (Some(host), None) if !host.as_bytes().iter().all(is_host_byte) => {
            Err(": malformed Host header")
        }
        _ => Ok(()),
    }
}

/// One line, `chunked` and nothing else. hyper looks at the last coding only, another server in front perhaps at the
/// first: then the two would not agree where the request ends.
fn has_plain_coding<B>(request: &Request<B>) -> bool {
    let mut lines = request.headers().get_all(TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(coding), None) => {
            request.version() != Version::HTTP_10
                && coding.as_bytes().eq_ignore_ascii_case(b"chunked")
        }
        (Some(_), Some(_)) => false,
    }
}

fn has_valid_escapes(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes();
        let mut digit = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        digit() && digit()
    })
}

/// RFC 3986 `host [ ":" port ]`, leniently.
fn is_host_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&()*+,-.:;=@[]'_~".contains(byte)
}

/// Answered like the HTTP library of imgproxy does: without the headers of a routed response, and closing.
fn bad_request(reason: &str) -> Response {
    let mut response = http::Response::new(full(&format!("400 Bad Request{reason}")));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Reads and drops a request body, so that the connection stays usable. Says whether it was read to its end: a long,
/// slow or broken one is not, nor one whose sender waits for "100 Continue".
async fn drop_body(headers: &HeaderMap, mut body: Incoming, exchange: &Exchange) -> bool {
    if body.is_end_stream() {
        return true;
    }
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if headers.contains_key(EXPECT) || declared.is_some_and(|length| length > MAX_BODY_BYTES) {
        return false;
    }
    let read = async {
        let mut left = MAX_BODY_BYTES;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    timeout_at(exchange.read_deadline(), read)
        .await
        .unwrap_or(false)
}

fn full(text: &str) -> ResponseBody {
    let body = Full::new(Bytes::copy_from_slice(text.as_bytes()));
    body.map_err(|never| match never {}).boxed_unsync()
}

/// A response body whose bytes are counted. `map_frame` would lose the length.
struct Counted<B>(B);

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes, Error: Into<<ResponseBody as Body>::Error>> + Unpin,
{
    type Data = Bytes;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.0).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            monitoring::response_bytes(data.len() as u64);
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Records the duration when the last byte has been handed to the kernel or the connection is gone.
struct Finish {
    verb: Verb,
    route: Route,
    started: Instant,
    image: Option<InProgress>,
    trace: Option<Trace>,
}

impl Finish {
    fn new(verb: Verb, endpoint: Endpoint, started: Instant) -> Self {
        Self {
            verb,
            route: endpoint.route(),
            started,
            image: (endpoint == Endpoint::Image).then(InProgress::requests),
            trace: None,
        }
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        monitoring::http_request(self.verb, self.route, seconds);
        if self.image.is_some() {
            monitoring::request_finished(seconds);
        }
        if let Some(trace) = &self.trace {
            trace.finish();
        }
    }
}

/// On every response: `spec/http.md` section 8.1.
const CONTENT_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox";
/// Longest request body that is read and dropped.
const MAX_BODY_BYTES: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let rows = [
            ("/a", true),
            ("/a%20b%2f%2F", true),
            ("/100%.png", false),
            ("/a%", false),
            ("/a%2", false),
            ("/a%zz", false),
            ("/a%2g", false),
            ("/%%20", false),
        ];
        for (path, valid) in rows {
            assert_eq!(has_valid_escapes(path), valid, "{path}");
        }
    }

    #[test]
    fn hosts() {
        let request = |version, hosts: &[&str]| {
            let mut request = Request::get("/").version(version).body(()).unwrap();
            for host in hosts {
                request
                    .headers_mut()
                    .append(HOST, HeaderValue::from_str(host).unwrap());
            }
            check(&request).is_ok()
        };
        let (old, new) = (Version::HTTP_10, Version::HTTP_11);
        assert!(request(old, &[]));
        assert!(!request(new, &[]));
        assert!(request(new, &[""]));
        assert!(request(new, &["[::1]:80"]));
        assert!(!request(new, &["a", "a"]));
        assert!(!request(new, &["a b"]));
        assert!(!request(new, &["a/b"]));
    }
}
