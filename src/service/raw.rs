//! Raw replies: the source as it is, without a worker and past the caches. Rule: `spec/http.md` section 9.

use std::sync::Arc;

use http::HeaderName;
use http::header::{ACCEPT_ENCODING, COOKIE, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE};

use super::answer::empty;
use super::fetch_count::FetchCount;
use super::image::ImageService;
use super::known::Understood;
use super::{Body, ImageRequest, ImageResponse, ReplyKind, validators};
use crate::error::Error;
use crate::monitoring::trace;
use crate::source::FetchRequest;

impl ImageService {
    /// Streams the source as it is, whatever its status.
    pub(super) async fn stream(
        &self,
        request: &ImageRequest,
        understood: &Arc<Understood>,
    ) -> Result<ImageResponse, Error> {
        let parsed = &understood.parsed;
        let fetch = FetchCount::begin(&parsed.source_url);
        let sources = self.parts.downloads.sources();
        let mut headers = validators::picked(&request.headers, RAW_REQUEST_HEADERS);
        let cookie = sources.cookies(&parsed.source_url, &request.headers);
        headers.extend(cookie.map(|value| (COOKIE, value)));
        trace::inject(&mut headers);
        let result = sources
            .stream(FetchRequest {
                url: parsed.source_url.clone(),
                headers,
                max_bytes: 0,
                deadline: request.deadline,
                claim: Some(Arc::new(self.parts.memory.claim())),
            })
            .await;
        let raw = match result {
            Ok(raw) => fetch.follow(raw),
            Err(error) => {
                fetch.failed(&error);
                return Err(error.into());
            }
        };
        Ok(ImageResponse {
            status: raw.status,
            body: Body::Stream(raw.body),
            source_headers: Arc::new(raw.headers),
            ..empty(ReplyKind::Raw, understood)
        })
    }
}

/// Headers of a client that a raw source gets to see. Rule: `spec/http.md` section 9.
const RAW_REQUEST_HEADERS: &[HeaderName] =
    &[IF_NONE_MATCH, IF_MODIFIED_SINCE, ACCEPT_ENCODING, RANGE];
