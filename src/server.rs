//! Builds every component once, owns the listeners, drains and shuts down.

use thiserror::Error;

use crate::config::Config;

/// Why the server could not start.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StartError {
    /// There is nothing to listen with.
    #[error("can't listen on {0}: this build has no listener")]
    NoListener(String),
}

/// Serves until a stop signal.
///
/// # Errors
///
/// The address cannot be listened on.
#[expect(clippy::unused_async, reason = "serving waits")]
pub async fn run(config: Config) -> Result<(), StartError> {
    Err(StartError::NoListener(config.server.bind))
}
