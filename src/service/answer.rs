//! What a finished job gives, and the response that it becomes for each request that waited for it.
//!
//! Owns the step from a shared result to one request's reply. It starts no work and counts nothing.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::known::Understood;
use super::{Body, CacheStatus, ImageResponse, ReplyKind, Sizes};
use crate::config::AssetsConfig;
use crate::error::Error;
use crate::format::ImageFormat;

/// What a finished job gives to every request that waited for it.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A picture.
    Image(Arc<Finished>),
    /// The source says that the client's copy is still good; holds its validators.
    NotModified(Arc<HeaderMap>),
}

/// A finished picture.
#[derive(Debug)]
pub struct Finished {
    pub(super) body: Bytes,
    pub(super) format: ImageFormat,
    /// Those headers of the source's response that decide headers of ours.
    pub(super) headers: Arc<HeaderMap>,
    pub(super) sizes: Sizes,
    /// The error that the fallback image stands in for.
    pub(super) fallback_for: Option<Error>,
}

impl Answer {
    /// The source's headers that came with the answer.
    pub(super) fn source_headers(&self) -> &Arc<HeaderMap> {
        match self {
            Self::Image(finished) => &finished.headers,
            Self::NotModified(headers) => headers,
        }
    }

    /// The reply to one request; `config` says how a fallback image is answered.
    pub(super) fn into_response(
        self,
        understood: &Arc<Understood>,
        cache_status: Option<CacheStatus>,
        config: &AssetsConfig,
    ) -> ImageResponse {
        let response = match self {
            Self::NotModified(headers) => ImageResponse {
                status: StatusCode::NOT_MODIFIED,
                source_headers: headers,
                ..empty(ReplyKind::NotModified, understood)
            },
            Self::Image(finished) => finished.response(understood, config),
        };
        ImageResponse {
            cache_status,
            ..response
        }
    }
}

impl Finished {
    fn response(&self, understood: &Arc<Understood>, config: &AssetsConfig) -> ImageResponse {
        let fallback = self.fallback_for.as_ref();
        let status = fallback.map_or(200, |error| {
            config.fallback_status.unwrap_or(error.outcome().status)
        });
        let kind = ReplyKind::Processed {
            format: self.format,
            sizes: self.sizes,
        };
        ImageResponse {
            // A status below 200 is no final answer; the client would wait for another one.
            status: StatusCode::from_u16(status)
                .ok()
                .filter(|s| s.as_u16() >= 200)
                .unwrap_or_default(),
            body: Body::Bytes(self.body.clone()),
            source_headers: Arc::clone(&self.headers),
            fallback_for: fallback.cloned(),
            max_age: fallback.map(|_| config.fallback_ttl).filter(|ttl| *ttl > 0),
            ..empty(kind, understood)
        }
    }
}

/// 200 without a body, with what the URL says about delivery.
pub(super) fn empty(kind: ReplyKind, understood: &Arc<Understood>) -> ImageResponse {
    ImageResponse {
        status: StatusCode::OK,
        body: Body::Empty,
        kind,
        source_headers: Arc::default(),
        understood: Arc::clone(understood),
        max_age: None,
        fallback_for: None,
        cache_status: None,
        quota: None,
    }
}
