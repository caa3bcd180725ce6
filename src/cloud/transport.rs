//! How the signing library reaches the outside: HTTP, files, commands.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response};
use reqsign_core::{CommandExecute, CommandOutput, Error, FileRead, HttpSend};
use tokio::process::Command;
use tokio::time::timeout;

use super::{Body, CloudError, Connection, whole};

/// A connection, and origins that stand for others.
#[derive(Clone)]
pub(super) struct Transport {
    connection: Arc<dyn Connection>,
    replaced: Vec<(String, String)>,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

impl Transport {
    pub(super) fn new(connection: Arc<dyn Connection>) -> Self {
        Self {
            connection,
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
    ) -> Result<Response<Body>, CloudError> {
        let text = parts.uri.to_string();
        let replaced = self.replaced.iter().find_map(|(origin, instead)| {
            let rest = text.strip_prefix(origin.as_str())?;
            rest.starts_with(['/', '?'])
                .then(|| format!("{instead}{rest}"))
        });
        match replaced {
            // The name that was signed stays where another host stands for it.
            Some(uri) => {
                parts.uri = uri
                    .parse()
                    .map_err(|_| CloudError::Request("invalid address"))?;
            }
            // The client names the host itself.
            None => {
                parts.headers.remove(HOST);
            }
        }
        self.connection
            .send(Request::from_parts(parts, body))
            .await
            .map_err(CloudError::Unreachable)
    }
}

impl HttpSend for Transport {
    async fn http_send(&self, request: Request<Bytes>) -> reqsign_core::Result<Response<Bytes>> {
        let (parts, body) = request.into_parts();
        let limit = if is_metadata_service(parts.uri.host().unwrap_or_default()) {
            METADATA_LIMIT
        } else {
            TOKEN_LIMIT
        };
        let exchange = async {
            let (parts, body) = self.send(parts, body).await?.into_parts();
            Ok(Response::from_parts(parts, whole(body).await?))
        };
        timeout(limit, exchange)
            .await
            .unwrap_or(Err(CloudError::TimedOut(limit)))
            .map_err(|error| Error::unexpected("no answer").with_source(error))
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
