//! What requests to storages have in common, and the way from a storage's answer to that of a source.

use futures_util::StreamExt;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RANGE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use crate::cloud::{Body, DeclaredLength};
use crate::source::FetchError;
use crate::source::opened::Opened;

/// Takes what a picture, a part of one, or an unchanged one is; everything else becomes the error of its status, with
/// the storage's own words for the log only. Of the headers those in `kept` count; `None` is all.
pub(super) async fn opened(
    response: Response<Body>,
    request: &HeaderMap,
    kept: Option<&[HeaderName]>,
) -> Result<Opened, FetchError> {
    let (parts, body) = response.into_parts();
    let mut status = parts.status;
    if !matches!(status.as_u16(), 200 | 206 | 304) {
        return Err(FetchError::Status {
            status: status.as_u16(),
            excerpt: excerpt(body).await,
        });
    }
    let mut headers = parts.headers;
    if let Some(kept) = kept {
        headers = kept
            .iter()
            .filter_map(|name| Some((name.clone(), headers.get(name)?.clone())))
            .collect();
    }
    if status == StatusCode::OK && headers.contains_key(CONTENT_RANGE) {
        status = StatusCode::PARTIAL_CONTENT;
    }
    if status == StatusCode::NOT_MODIFIED && !headers.contains_key(ETAG) {
        repeat_tag(request, &mut headers);
    }
    let length = parts.extensions.get::<DeclaredLength>();
    Ok(Opened {
        status,
        headers,
        length: length.map(|length| length.0),
        body,
        extension: None,
        seal: None,
    })
}

/// A storage that finds a copy unchanged may leave its tag out; where the client sent one only, it is that.
fn repeat_tag(request: &HeaderMap, headers: &mut HeaderMap) {
    let mut tags = request.get_all(IF_NONE_MATCH).iter();
    if let (Some(tag), None) = (tags.next(), tags.next())
        && !tag.as_bytes().contains(&b',')
        && tag != "*"
    {
        headers.insert(ETAG, tag.clone());
    }
}

/// A request for `uri` with the conditions of `request`, and its range under the name that the storage wants; without
/// credentials. `endpoint` names the setting that is wrong where `uri` is none.
pub(super) fn asked(
    uri: String,
    endpoint: &'static str,
    request: &HeaderMap,
    range: &HeaderName,
) -> Result<Parts, FetchError> {
    let (mut parts, ()) = Request::get(uri)
        .body(())
        .map_err(|_| FetchError::InvalidUrl(endpoint))?
        .into_parts();
    parts.headers = conditions(request, range);
    Ok(parts)
}

/// The conditions of `request`, which a range puts aside, and the range under the name that the storage wants.
fn conditions(request: &HeaderMap, range: &HeaderName) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(value) = request.get(RANGE) {
        headers.insert(range.clone(), value.clone());
        return headers;
    }
    for value in request.get_all(IF_NONE_MATCH) {
        headers.append(IF_NONE_MATCH, value.clone());
    }
    if let Some(value) = request
        .get(IF_MODIFIED_SINCE)
        .filter(|value| is_date(value))
    {
        headers.insert(IF_MODIFIED_SINCE, value.clone());
    }
    headers
}

/// Whether a date has the one form that storages read.
fn is_date(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| {
        httpdate::parse_http_date(text).is_ok_and(|date| httpdate::fmt_http_date(date) == text)
    })
}

/// The start of an error's body on one line.
async fn excerpt(mut body: Body) -> String {
    let mut text = Vec::new();
    while text.len() < EXCERPT
        && let Some(Ok(chunk)) = body.next().await
    {
        text.extend_from_slice(&chunk);
    }
    text.truncate(EXCERPT);
    String::from_utf8_lossy(&text)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

const EXCERPT: usize = 1024;
/// The headers of S3 and of Google's storage that count.
pub(super) const KEPT: &[HeaderName] = &[
    ACCEPT_RANGES,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
];
