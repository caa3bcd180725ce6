//! The HTTP client of the exporters: ours, with the operator's headers and nobody else's.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use rustls::ClientConfig;

/// Sends exports.
#[derive(Debug)]
pub(super) struct Client {
    client: reqwest::Client,
    headers: HeaderMap,
}

impl Client {
    /// `timeout` is that of one export, answer included.
    pub(super) fn new(
        tls: ClientConfig,
        timeout: Duration,
        headers: &[(String, String)],
    ) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            client,
            headers: map(headers)?,
        })
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        // The exporter adds headers of the process environment by itself, also those of another integration.
        let mut headers = HeaderMap::new();
        for name in [CONTENT_TYPE, CONTENT_ENCODING, USER_AGENT] {
            if let Some(value) = head.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        headers.extend(self.headers.clone());
        let request = self.client.post(head.uri.to_string()).headers(headers);
        let answer = request.body(body).send().await?;
        let status = answer.status();
        let mut response = Response::new(limited(answer).await?);
        *response.status_mut() = status;
        Ok(response)
    }
}

/// Collectors answer in a few bytes.
async fn limited(mut answer: reqwest::Response) -> Result<Bytes, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err("the answer is too long".into());
        }
    }
    Ok(body.into())
}

/// Headers from configuration.
pub(super) fn map(headers: &[(String, String)]) -> Result<HeaderMap, String> {
    let pairs = headers.iter().map(|(name, value)| {
        let bad = || format!("the header {name:?} cannot be sent");
        let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
        value.set_sensitive(true);
        Ok((HeaderName::try_from(name).map_err(|_| bad())?, value))
    });
    pairs.collect()
}

const MAX_ANSWER: usize = 1 << 20;
