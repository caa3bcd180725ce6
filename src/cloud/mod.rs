//! Credentials and signed requests of the big clouds, over a client that the caller brings.
//!
//! Owns the credential chains and the shape of authenticated requests. It knows neither pictures nor our variables,
//! reads no environment of its own, and imports nothing of the crate. Rule: `spec/sources.md` sections 5 to 7.

pub mod aws;
pub mod azure;
#[cfg(test)]
pub(crate) mod fake;
pub mod google;
mod transport;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::{Request, Response};
use reqsign_core::{Context, StaticEnv};

use self::transport::{Commands, Files, Transport};

/// Why a cloud could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// No credentials, or none that may be used.
    #[error("{0}")]
    Credentials(String),
    /// The configuration files of a cloud's own tools cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The request cannot be written as one.
    #[error("{0}")]
    Request(&'static str),
    /// No answer came.
    #[error("no answer from the service")]
    Unreachable(#[source] BoxError),
    /// The service refused.
    #[error("the service answered with status {status}: {detail}")]
    Refused {
        /// Status of the answer.
        status: u16,
        /// The service's own code and message.
        detail: String,
    },
    /// No answer came in time.
    #[error("no answer within {0:?}")]
    TimedOut(std::time::Duration),
    /// The service's answer is not what its documentation says.
    #[error("unexpected answer: {0}")]
    Answer(String),
}

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body as it arrives; an error means that it is not whole.
pub type Body = BoxStream<'static, Result<Bytes, io::Error>>;

/// The way to the services: sends a request exactly as it is, follows no redirects, answers with whatever comes.
pub trait Connection: Send + Sync + 'static {
    /// Sends a request.
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Body>, BoxError>>;
}

/// Bytes of a body as the answer declares them; an extension of the response.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredLength(pub u64);

/// What every cloud needs: the environment as it was at the start, and a client.
#[derive(Clone)]
pub struct Cloud {
    environment: HashMap<String, String>,
    transport: Transport,
}

impl std::fmt::Debug for Cloud {
    // The environment holds secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").finish_non_exhaustive()
    }
}

impl Cloud {
    /// Credentials come from `environment`, from the files it leads to, and from the metadata services of the machine.
    /// Variables that are set to nothing count as not set.
    pub fn new(
        environment: impl IntoIterator<Item = (String, String)>,
        connection: Arc<dyn Connection>,
    ) -> Self {
        let environment = environment
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Self {
            environment,
            transport: Transport::new(connection),
        }
    }

    /// Requests to `origin` (scheme and authority) go to `instead`; they stay signed for `origin`.
    #[must_use]
    pub fn with_origin(mut self, origin: &str, instead: &str) -> Self {
        self.transport.replace(origin, instead);
        self
    }

    /// Sends a request that is already signed.
    ///
    /// # Errors
    ///
    /// [`CloudError::Unreachable`], or a replaced origin that is no address.
    pub async fn send(
        &self,
        parts: http::request::Parts,
        body: Bytes,
    ) -> Result<Response<Body>, CloudError> {
        self.transport.send(parts, body).await
    }

    fn var(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    fn context(&self) -> Context {
        Context::new()
            .with_env(StaticEnv {
                home_dir: self.var("HOME").map(Into::into),
                envs: self.environment.clone(),
            })
            .with_file_read(Files)
            .with_http_send(self.transport.clone())
            .with_command_execute(Commands)
    }
}

/// The whole body of a service's answer.
///
/// # Errors
///
/// It breaks off, or is larger than any answer of a service's own.
pub async fn whole(mut body: Body) -> Result<Bytes, CloudError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| CloudError::Unreachable(Box::new(error)))?;
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST_ANSWER {
            return Err(CloudError::Answer("it is too large".to_owned()));
        }
    }
    Ok(bytes.into())
}

/// Tokens and parameters have a few kB, secrets 64 kB at most; a page of parameters has ten.
const LARGEST_ANSWER: usize = 4 << 20;

/// What the signing library says, with what it says about it.
fn credentials_error(error: &reqsign_core::Error) -> CloudError {
    let mut text = error.to_string();
    for context in error.context() {
        text.push_str("; ");
        text.push_str(context);
    }
    CloudError::Credentials(text)
}
