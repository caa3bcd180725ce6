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

use bytes::Bytes;
use reqsign_core::{Context, StaticEnv};
use reqwest::{Client, Response};

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
    Unreachable(#[source] reqwest::Error),
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
    pub fn new(environment: impl IntoIterator<Item = (String, String)>, client: Client) -> Self {
        let environment = environment
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Self {
            environment,
            transport: Transport::new(client),
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
    /// [`CloudError::Unreachable`], or a target that the client would not send as it was signed.
    pub async fn send(
        &self,
        parts: http::request::Parts,
        body: Bytes,
    ) -> Result<Response, CloudError> {
        self.transport.send(parts, body, None).await
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

/// What the signing library says, with what it says about it.
fn credentials_error(error: &reqsign_core::Error) -> CloudError {
    let mut text = error.to_string();
    for context in error.context() {
        text.push_str("; ");
        text.push_str(context);
    }
    CloudError::Credentials(text)
}
