//! The only writer of response headers: image responses, raw streams, errors, fixed pages. Rules: `spec/http.md`
//! sections 8 and 11.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, LINK, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use warp::Reply;
use warp::reply::Response;

use super::request::vary;
use super::{Settings, cache_status, caching, disposition, error_page};
use crate::config::DeliveryConfig;
use crate::error::{Error, Quota};
use crate::redact;
use crate::service::{Body, ImageResponse, ReplyKind, Sizes, validators};

/// Room for the headers of an image, those that the gateway adds included.
const USUAL_HEADERS: usize = 16;
/// Headers that a raw response relays from the source.
const RELAYED: [HeaderName; 6] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    ACCEPT_RANGES,
    LAST_MODIFIED,
    ETAG,
];

/// Writes responses according to the configuration.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    delivery: DeliveryConfig,
    vary: Option<HeaderValue>,
    client_hints: bool,
    development_errors: bool,
}

impl Writer {
    pub(super) fn new(settings: &Settings) -> Self {
        let vary = vary(settings.negotiation, settings.client_hints);
        Self {
            delivery: settings.delivery.clone(),
            vary: vary.map(HeaderValue::from_static),
            client_hints: settings.client_hints,
            development_errors: settings.server.development_errors,
        }
    }

    /// A processed image, a "not modified" or a raw stream.
    pub(super) fn image(&self, response: ImageResponse, now: SystemTime) -> Response {
        let mut headers = HeaderMap::with_capacity(USUAL_HEADERS);
        let (url, delivery) = (
            response.understood.source_url(),
            response.understood.delivery(),
        );
        match response.kind {
            ReplyKind::Processed { format, sizes } => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.info().mime));
                let name = delivery.filename.as_deref();
                let attachment = delivery
                    .attachment
                    .unwrap_or(self.delivery.return_attachment);
                let value = disposition::processed(url, name, format, attachment);
                headers.insert(CONTENT_DISPOSITION, value);
                self.validators(&mut headers, &response.source_headers);
                self.canonical(&mut headers, url);
                if self.delivery.enable_debug_headers {
                    debug_headers(&mut headers, sizes);
                }
                self.negotiated(&mut headers);
            }
            ReplyKind::NotModified => {
                self.validators(&mut headers, &response.source_headers);
                self.negotiated(&mut headers);
            }
            ReplyKind::Raw => self.raw(&mut headers, &response),
        }
        if let Some(value) = caching::cache_control(
            &self.delivery,
            response.status,
            caching::Limits {
                expires: delivery.expires,
                max_age: response.max_age,
            },
            &response.source_headers,
            now,
        ) {
            headers.insert(CACHE_CONTROL, value);
        }
        quota(&mut headers, response.quota);
        if let Some(status) = response.cache_status {
            cache_status::write(&mut headers, status);
            if self.delivery.cache_control_passthrough {
                cache_status::age(&mut headers, status);
            }
        }
        let body = match response.body {
            Body::Empty => bytes(Bytes::new()),
            Body::Bytes(body) => bytes(body),
            Body::Stream(stream) => {
                warp::reply::stream(SyncStream(Mutex::new(stream))).into_response()
            }
        };
        with(body, response.status, headers)
    }

    /// An error of the image route.
    pub(super) fn error(&self, error: &Error, accepts_html: bool, request_id: &str) -> Response {
        let outcome = error.outcome();
        let status =
            StatusCode::from_u16(outcome.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HeaderMap::new();
        let (content_type, body) = if !self.development_errors {
            ("text/plain", outcome.message.to_owned())
        } else if accepts_html {
            (
                "text/html; charset=utf-8",
                error_page::html(error, request_id),
            )
        } else {
            ("text/plain; charset=utf-8", error_page::text(error))
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(seconds) = error.retry_after() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        quota(&mut headers, error.quota());
        self.negotiated(&mut headers);
        with(body.into_response(), status, headers)
    }

    /// The landing page: no length, so that it goes out in chunks as imgproxy's does.
    pub(super) fn landing(&self, page: &'static str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        headers.insert(CACHE_CONTROL, caching::default(&self.delivery));
        let chunk = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(page)]);
        with(
            warp::reply::stream(chunk).into_response(),
            StatusCode::OK,
            headers,
        )
    }

    /// The answer to HEAD and OPTIONS, kept by caches as long as a picture: imgproxy's rule.
    pub(super) fn always(&self) -> Response {
        let mut response = plain(StatusCode::OK, " ");
        let value = caching::default(&self.delivery);
        response.headers_mut().insert(CACHE_CONTROL, value);
        response
    }

    fn raw(&self, headers: &mut HeaderMap, response: &ImageResponse) {
        let source = &response.source_headers;
        let (url, delivery) = (
            response.understood.source_url(),
            response.understood.delivery(),
        );
        for name in RELAYED {
            for value in source.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        if let (Some(length), Body::Stream(_)) = (source.get(CONTENT_LENGTH), &response.body) {
            headers.insert(CONTENT_LENGTH, length.clone());
        }
        if response.status.is_success() {
            let content_type = source.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
            let name = delivery.filename.as_deref();
            let attachment = delivery
                .attachment
                .unwrap_or(self.delivery.return_attachment);
            let value = disposition::raw(url, name, content_type, attachment);
            headers.insert(CONTENT_DISPOSITION, value);
        }
        self.canonical(headers, url);
    }

    fn validators(&self, headers: &mut HeaderMap, source: &HeaderMap) {
        if let Some(tag) = validators::etag(source, &self.delivery) {
            headers.insert(ETAG, tag);
        }
        if let Some(time) = validators::last_modified(source, &self.delivery) {
            headers.insert(LAST_MODIFIED, time);
        }
    }

    fn canonical(&self, headers: &mut HeaderMap, url: &str) {
        let is_web = url.starts_with("http://") || url.starts_with("https://");
        // With a password or a signature in it, the URL is nobody else's to know.
        if self.delivery.set_canonical_header && is_web && !redact::has_secret(url) {
            headers.insert(LINK, header_value(&format!("<{url}>; rel=\"canonical\"")));
        }
    }

    fn negotiated(&self, headers: &mut HeaderMap) {
        if let Some(vary) = &self.vary {
            headers.insert(VARY, vary.clone());
        }
        if self.client_hints {
            let hints = HeaderValue::from_static("Sec-CH-DPR, Sec-CH-Width");
            headers.insert(HeaderName::from_static("accept-ch"), hints);
        }
    }
}

/// A plain text response with nothing else on it.
pub(super) fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    with(bytes(body.into()), status, headers)
}

/// A header value from any text: control characters become spaces, other bytes pass.
pub(super) fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let visible = |byte: u8| if byte.is_ascii_control() { b' ' } else { byte };
        let bytes: Vec<u8> = text.bytes().map(visible).collect();
        HeaderValue::from_bytes(&bytes).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}

fn bytes(body: Bytes) -> Response {
    http::Response::new(body).into_response()
}

fn with(mut response: Response, status: StatusCode, headers: HeaderMap) -> Response {
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// `draft-ietf-httpapi-ratelimit-headers-06`.
fn quota(headers: &mut HeaderMap, quota: Option<Quota>) {
    let Some(quota) = quota else { return };
    for (name, value) in [
        ("ratelimit-limit", quota.limit),
        ("ratelimit-remaining", quota.remaining),
        ("ratelimit-reset", quota.reset),
    ] {
        headers.insert(HeaderName::from_static(name), value.into());
    }
}

fn debug_headers(headers: &mut HeaderMap, sizes: Sizes) {
    let mut put = |name: &'static str, value: u64| {
        headers.insert(HeaderName::from_static(name), value.into());
    };
    if let Some(size) = sizes.origin {
        put(
            "x-origin-width",
            u64::try_from(size.width).unwrap_or_default(),
        );
        put(
            "x-origin-height",
            u64::try_from(size.height).unwrap_or_default(),
        );
    }
    if let Some(size) = sizes.result {
        put(
            "x-result-width",
            u64::try_from(size.width).unwrap_or_default(),
        );
        put(
            "x-result-height",
            u64::try_from(size.height).unwrap_or_default(),
        );
    }
    put("x-origin-content-length", sizes.origin_bytes);
}

/// Makes a stream shareable between threads by type; it is only ever polled through `&mut`.
struct SyncStream(Mutex<BoxStream<'static, Result<Bytes, std::io::Error>>>);

impl Stream for SyncStream {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self
            .get_mut()
            .0
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        stream.as_mut().poll_next(cx)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::http) fn delivery() -> DeliveryConfig {
        DeliveryConfig {
            ttl: 1000,
            cache_control_passthrough: false,
            set_canonical_header: false,
            enable_debug_headers: false,
            use_etag: true,
            etag_buster: String::new(),
            use_last_modified: true,
            last_modified_buster: None,
            return_attachment: false,
        }
    }
}
