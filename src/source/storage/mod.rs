//! Object storages: `s3`, `gs`, `abs`, `swift`. Rule: `spec/sources.md` sections 1 and 5 to 9.
//!
//! A file is one storage: how its requests look and are authenticated, and which headers of its answers count. The
//! guard of addresses does not apply here: the hosts are the operator's.

mod abs;
mod answer;
mod gcs;
mod object;
mod s3;
mod s3_envelope;
mod s3_keys;
mod s3_text;
mod swift;
mod swift_login;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::HeaderMap;

pub(super) use self::object::Object;

use self::abs::Abs;
use self::gcs::Gcs;
use self::s3::S3;
use self::swift::Swift;
use super::client::HttpClient;
use super::opened::{Opened, extension_of};
use super::{FetchError, SourceConfigError};
use crate::cloud::{Cloud, CloudError, Connection};
use crate::config::SourceConfig;
use crate::config::storage::Buckets;

/// The storages that are on.
#[derive(Clone, Debug)]
pub(super) struct Storages {
    s3: Option<Arc<S3>>,
    gcs: Option<Gcs>,
    abs: Option<Abs>,
    swift: Option<Arc<Swift>>,
    separator: String,
}

impl Storages {
    /// # Errors
    ///
    /// Settings or keys that a storage cannot work with.
    pub(super) fn new(config: &SourceConfig) -> Result<Self, SourceConfigError> {
        let storage = &config.storage;
        let connection: Arc<dyn Connection> = Arc::new(HttpClient::unguarded(config)?);
        let cloud = Cloud::new(storage.environment.0.clone(), connection);
        Self::over(config, &cloud)
    }

    /// The same with the way to the clouds given.
    fn over(config: &SourceConfig, cloud: &Cloud) -> Result<Self, SourceConfigError> {
        let storage = &config.storage;
        let failed =
            |text: &str, error: &CloudError| SourceConfigError::Storage(format!("{text}: {error}"));
        let s3 = storage
            .s3
            .enabled
            .then(|| S3::new(&storage.s3, cloud))
            .transpose()
            .map_err(|error| failed("can't load AWS S3 config", &error))?;
        let gcs = storage
            .gcs
            .enabled
            .then(|| Gcs::new(&storage.gcs, cloud, storage.environment.0.get(EMULATOR)))
            .transpose()
            .map_err(|error| failed("error creating GCS transport", &error))?;
        Ok(Self {
            s3: s3.map(Arc::new),
            gcs,
            abs: storage.abs.enabled.then(|| Abs::new(&storage.abs, cloud)),
            swift: storage
                .swift
                .enabled
                .then(|| Arc::new(Swift::new(&storage.swift, cloud))),
            separator: config.query_separator.clone(),
        })
    }

    /// Logs in where that is done before the first request.
    ///
    /// # Errors
    ///
    /// The login was refused, or nobody answers.
    pub(super) async fn log_in(&self) -> Result<(), SourceConfigError> {
        match &self.swift {
            Some(swift) => swift.log_in().await.map_err(|error| {
                SourceConfigError::Storage(format!("swift authentication failed: {error}"))
            }),
            None => Ok(()),
        }
    }

    /// Asks for the object that `url` names; `None` where its scheme is no storage that is on.
    pub(super) async fn open(
        &self,
        scheme: &str,
        url: &str,
        request: &HeaderMap,
    ) -> Option<Result<Opened, FetchError>> {
        let object = Object::parse(url, &self.separator);
        let key = object.as_ref().map_or("", |object| object.key);
        let extension = extension_of(key).map(str::to_owned);
        let opened = match scheme {
            "s3" => self.s3.as_ref()?.open(object, request).await,
            "gs" => self.gcs.as_ref()?.open(object, request).await,
            "abs" => self.abs.as_ref()?.open(object, request).await,
            "swift" => self.swift.as_ref()?.open(object, request).await,
            _ => return None,
        };
        Some(opened.map(|opened| Opened {
            extension,
            ..opened
        }))
    }
}

/// An object that may be read: it has a bucket and a key, and the lists permit the bucket.
fn permitted<'a>(object: Object<'a>, buckets: &Buckets) -> Result<Object<'a>, FetchError> {
    if object.bucket.is_empty() || object.key.is_empty() {
        return Err(FetchError::Object(std::io::ErrorKind::NotFound.into()));
    }
    if !buckets.permit(object.bucket) {
        return Err(FetchError::Bucket(object.bucket.to_owned()));
    }
    Ok(object)
}

impl From<CloudError> for FetchError {
    fn from(error: CloudError) -> Self {
        match error {
            CloudError::Request(why) => Self::InvalidUrl(why),
            CloudError::Unreachable(inner) => match inner.downcast::<Self>() {
                Ok(error) => *error,
                Err(inner) => Self::Unreachable(inner),
            },
            error => Self::Unreachable(Box::new(error)),
        }
    }
}

/// Where tests of others put an emulator of Google's storage; it wants no credentials.
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";
