//! Azure Blob Storage. Rule: `spec/sources.md` section 7.

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::object::{Object, escape};
use super::{answer, permitted};
use crate::cloud::Cloud;
use crate::cloud::azure::Azure;
use crate::config::storage::{AbsConfig, Buckets};
use crate::source::FetchError;
use crate::source::opened::Opened;

/// Reads blobs of one account.
#[derive(Clone, Debug)]
pub(super) struct Abs {
    cloud: Cloud,
    azure: Azure,
    endpoint: String,
    buckets: Buckets,
}

impl Abs {
    pub(super) fn new(config: &AbsConfig, cloud: &Cloud) -> Self {
        let endpoint = config
            .endpoint
            .clone()
            .unwrap_or_else(|| format!("https://{}.blob.core.windows.net", config.name));
        Self {
            cloud: cloud.clone(),
            azure: Azure::new(cloud, &config.name, config.key.as_deref()),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            buckets: config.buckets.clone(),
        }
    }

    pub(super) async fn open(
        &self,
        object: Result<Object<'_>, FetchError>,
        request: &HeaderMap,
    ) -> Result<Opened, FetchError> {
        let object = permitted(object?, &self.buckets)?;
        let (container, path) = (escape(object.bucket), object.path());
        let version = object.query.and_then(version).unwrap_or_default();
        let uri = format!("{}/{container}/{path}{version}", self.endpoint);
        let range = HeaderName::from_static("x-ms-range");
        let mut parts = answer::asked(uri, "ABS endpoint", request, &range)?;
        parts
            .headers
            .insert("x-ms-version", HeaderValue::from_static(API_VERSION));
        self.azure.authorize(&mut parts).await?;
        let response = self.cloud.send(parts, Bytes::new()).await?;
        answer::opened(response, request, Some(KEPT)).await
    }
}

/// The query that asks for a version or a snapshot, where `text` names one: both are moments. Anything else does not
/// count, as in imgproxy.
fn version(text: &str) -> Option<String> {
    let (name, moment) = text.split_once('=').unwrap_or(("versionid", text));
    let is_moment = crate::config::datetime::parse(moment).is_ok();
    (matches!(name, "versionid" | "snapshot") && is_moment)
        .then(|| format!("?{name}={}", escape(moment)))
}

/// The oldest that all of this needs; newer ones refuse older emulators.
const API_VERSION: &str = "2020-10-02";
const KEPT: &[HeaderName] = &[
    ACCEPT_RANGES,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let moment = "2021-08-03T15:54:10.7123456Z";
        let escaped = "2021-08-03T15%3A54%3A10.7123456Z";
        for (text, expected) in [
            (moment.to_owned(), Some(format!("?versionid={escaped}"))),
            (
                format!("versionid={moment}"),
                Some(format!("?versionid={escaped}")),
            ),
            (
                format!("snapshot={moment}"),
                Some(format!("?snapshot={escaped}")),
            ),
            (format!("sv={moment}"), None),
            ("comp=list".to_owned(), None),
            ("7".to_owned(), None),
        ] {
            assert_eq!(version(&text), expected, "{text}");
        }
    }
}
