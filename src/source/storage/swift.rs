//! OpenStack Swift. Rule: `spec/sources.md` section 8.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ETAG, RANGE};
use http::{HeaderMap, HeaderValue, Response};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::object::{Object, escape};
use super::swift_login::log_in;
use super::{answer, permitted};
use crate::cloud::{Body, Cloud, CloudError};
use crate::config::storage::SwiftConfig;
use crate::source::FetchError;
use crate::source::opened::{Opened, until};

/// Reads objects with the token of a login that is renewed when it ends.
#[derive(Debug)]
pub(super) struct Swift {
    cloud: Cloud,
    config: SwiftConfig,
    session: Mutex<Option<Session>>,
}

/// What a login gives.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) token: HeaderValue,
    /// Address of the account, without a slash at the end.
    pub(super) storage_url: String,
    /// When the token ends, where the service says.
    pub(super) expires: Option<SystemTime>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("storage_url", &self.storage_url)
            .finish_non_exhaustive()
    }
}

impl Session {
    fn is_good(&self) -> bool {
        self.expires
            .is_none_or(|expires| expires > SystemTime::now() + HEADROOM)
    }
}

impl Swift {
    pub(super) fn new(config: &SwiftConfig, cloud: &Cloud) -> Self {
        Self {
            cloud: cloud.clone(),
            config: config.clone(),
            session: Mutex::default(),
        }
    }

    pub(super) async fn log_in(&self) -> Result<(), CloudError> {
        self.session(None).await.map(drop)
    }

    pub(super) async fn open(
        &self,
        object: Result<Object<'_>, FetchError>,
        request: &HeaderMap,
    ) -> Result<Opened, FetchError> {
        let object = permitted(object?, &self.config.buckets)?;
        let session = self.session(None).await?;
        let mut response = self.get(&object, request, &session).await?;
        if response.status() == 401 {
            let session = self.session(Some(&session)).await?;
            response = self.get(&object, request, &session).await?;
        }
        let mut opened = answer::opened(response, request, None).await?;
        quote_tag(&mut opened.headers);
        let pause = self.config.pause_limit();
        opened.body = until(opened.body, move || Instant::now() + pause);
        Ok(opened)
    }

    async fn get(
        &self,
        object: &Object<'_>,
        request: &HeaderMap,
        session: &Session,
    ) -> Result<Response<Body>, FetchError> {
        let (container, path) = (escape(object.bucket), object.path());
        let uri = format!("{}/{container}/{path}", session.storage_url);
        let mut parts = answer::asked(uri, "Swift storage URL", request, &RANGE)?;
        parts.headers.insert("x-auth-token", session.token.clone());
        let limit = self.config.head_limit();
        Ok(timeout(limit, self.cloud.send(parts, Bytes::new()))
            .await
            .unwrap_or(Err(CloudError::TimedOut(limit)))?)
    }

    /// A session that is neither over nor `refused`. One login at a time; who waits for it shares it.
    async fn session(&self, refused: Option<&Session>) -> Result<Session, CloudError> {
        let mut current = self.session.lock().await;
        if let Some(session) = &*current
            && session.is_good()
            && refused.is_none_or(|refused| refused.token != session.token)
        {
            return Ok(session.clone());
        }
        let limit = self.config.head_limit();
        let session = timeout(limit, log_in(&self.cloud, &self.config))
            .await
            .unwrap_or(Err(CloudError::TimedOut(limit)))?;
        *current = Some(session.clone());
        Ok(session)
    }
}

/// Swift's tags are bare digests; HTTP wants them in quotes.
fn quote_tag(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG).and_then(|tag| tag.to_str().ok()) else {
        return;
    };
    if !tag.ends_with('"')
        && let Ok(quoted) = HeaderValue::from_str(&format!("\"{tag}\""))
    {
        headers.insert(ETAG, quoted);
    }
}

/// Tokens are renewed this long before they end.
const HEADROOM: Duration = Duration::from_secs(60);
