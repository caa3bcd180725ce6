//! How the signing library reaches the outside: HTTP, files, commands.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::HOST;
use reqsign_core::{CommandExecute, CommandOutput, Error, FileRead, HttpSend};
use reqwest::{Body, Client, Request, Response, Url};
use tokio::process::Command;

use super::CloudError;

/// A client, and origins that stand for others.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    client: Client,
    replaced: Vec<(String, String)>,
}

impl Transport {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            replaced: Vec::new(),
        }
    }

    pub(super) fn replace(&mut self, origin: &str, instead: &str) {
        let instead = instead.trim_end_matches('/').to_owned();
        self.replaced.push((origin.to_owned(), instead));
    }

    pub(super) async fn send(
        &self,
        mut parts: http::request::Parts,
        body: Bytes,
        limit: Option<Duration>,
    ) -> Result<Response, CloudError> {
        let (url, moved) = self.url(&parts.uri)?;
        // The client names the host itself; the signed name is only kept where another host stands for it.
        if !moved {
            parts.headers.remove(HOST);
        }
        let mut request = Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.timeout_mut() = limit;
        if !body.is_empty() {
            *request.body_mut() = Some(Body::from(body));
        }
        self.client
            .execute(request)
            .await
            .map_err(|error| CloudError::Unreachable(error.without_url()))
    }

    /// The target for the client. Its URLs resolve dot segments, which would ask for something else than was signed.
    fn url(&self, uri: &http::Uri) -> Result<(Url, bool), CloudError> {
        let text = uri.to_string();
        let replaced = self.replaced.iter().find_map(|(origin, instead)| {
            let rest = text.strip_prefix(origin.as_str())?;
            rest.starts_with(['/', '?'])
                .then(|| format!("{instead}{rest}"))
        });
        let moved = replaced.is_some();
        let text = replaced.unwrap_or(text);
        let url = Url::parse(&text).map_err(|_| CloudError::Request("invalid address"))?;
        if !moved && url.path() != uri.path() {
            return Err(CloudError::Request("dot segments cannot be requested"));
        }
        Ok((url, moved))
    }
}

impl HttpSend for Transport {
    async fn http_send(
        &self,
        request: http::Request<Bytes>,
    ) -> reqsign_core::Result<http::Response<Bytes>> {
        let (parts, body) = request.into_parts();
        let limit = if is_metadata_service(parts.uri.host().unwrap_or_default()) {
            METADATA_LIMIT
        } else {
            TOKEN_LIMIT
        };
        let response = self
            .send(parts, body, Some(limit))
            .await
            .map_err(|error| Error::unexpected("no answer").with_source(error))?;
        let status = response.status();
        let headers = response.headers().clone();
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| {
                Error::unexpected("incomplete answer").with_source(error.without_url())
            })?;
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER {
                return Err(Error::unexpected("the answer is too large"));
            }
        }
        let mut answer = http::Response::new(Bytes::from(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

/// Credential files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        tokio::fs::read(path)
            .await
            .map_err(|error| Error::unexpected("cannot read a credential file").with_source(error))
    }
}

/// Programs that give out credentials: `credential_process`, the Azure command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Commands;

impl CommandExecute for Commands {
    async fn command_execute(
        &self,
        program: &str,
        args: &[&str],
    ) -> reqsign_core::Result<CommandOutput> {
        let output = Command::new(program)
            .args(args)
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| {
                Error::unexpected("cannot run a credential program").with_source(error)
            })?;
        Ok(CommandOutput {
            status: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}

/// Whether a host answers at once or is not there at all.
fn is_metadata_service(host: &str) -> bool {
    host.starts_with("169.254.") || host == "metadata.google.internal"
}

/// Metadata services are next door; machines outside the cloud must not wait for them.
const METADATA_LIMIT: Duration = Duration::from_secs(2);
const TOKEN_LIMIT: Duration = Duration::from_secs(20);
/// Tokens have a few kB; 1 MiB is no token.
const LARGEST_ANSWER: usize = 1 << 20;
