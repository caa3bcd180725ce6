//! Google Cloud Storage over its XML API. Rule: `spec/sources.md` section 6.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, RANGE};

use super::object::{Object, escape};
use super::{answer, permitted};
use crate::cloud::google::Google;
use crate::cloud::{Cloud, CloudError};
use crate::config::storage::{Buckets, GcsConfig};
use crate::source::FetchError;
use crate::source::opened::Opened;

/// Reads objects with access tokens.
#[derive(Clone, Debug)]
pub(super) struct Gcs {
    cloud: Cloud,
    /// `None` towards an emulator.
    google: Option<Google>,
    /// Scheme and authority.
    origin: String,
    buckets: Buckets,
}

impl Gcs {
    pub(super) fn new(
        config: &GcsConfig,
        cloud: &Cloud,
        emulator: Option<&String>,
    ) -> Result<Self, CloudError> {
        let emulator = emulator.filter(|host| !host.is_empty());
        let google = match emulator {
            Some(_) => None,
            None => Some(Google::new(cloud, config.key.as_deref(), SCOPE)?),
        };
        let endpoint = config.endpoint.as_ref().or(emulator);
        Ok(Self {
            cloud: cloud.clone(),
            google,
            origin: endpoint.map_or_else(|| ORIGIN.to_owned(), |endpoint| origin(endpoint)),
            buckets: config.buckets.clone(),
        })
    }

    pub(super) async fn open(
        &self,
        object: Result<Object<'_>, FetchError>,
        request: &HeaderMap,
    ) -> Result<Opened, FetchError> {
        let object = permitted(object?, &self.buckets)?;
        let generation = object
            .query
            .and_then(|query| query.parse::<i64>().ok())
            .filter(|generation| *generation > 0)
            .map_or_else(String::new, |generation| {
                format!("?generation={generation}")
            });
        let (bucket, path) = (escape(object.bucket), object.path());
        let uri = format!("{}/{bucket}/{path}{generation}", self.origin);
        let mut parts = answer::asked(uri, "GCS endpoint", request, &RANGE)?;
        if let Some(google) = &self.google {
            google.authorize(&mut parts).await?;
        }
        let response = self.cloud.send(parts, Bytes::new()).await?;
        let mut opened = answer::opened(response, request, Some(answer::KEPT)).await?;
        if opened
            .headers
            .get(CACHE_CONTROL)
            .is_some_and(|value| value.is_empty())
        {
            opened.headers.remove(CACHE_CONTROL);
        }
        Ok(opened)
    }
}

/// Scheme and authority of an endpoint, whose path does not count; without a scheme it is plain HTTP.
fn origin(endpoint: &str) -> String {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    let authority = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{authority}")
}

const ORIGIN: &str = "https://storage.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (endpoint, expected) in [
            ("http://h:4443/storage/v1/", "http://h:4443"),
            ("https://h", "https://h"),
            ("localhost:9199", "http://localhost:9199"),
        ] {
            assert_eq!(origin(endpoint), expected);
        }
    }
}
