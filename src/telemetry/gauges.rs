//! The gauges that Datadog and CloudWatch get every ten seconds.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::queue::Failures;
use crate::monitoring::{self, Integration, Load};

/// Sends a reading. It bounds its own time.
pub(super) trait Send: std::marker::Send + 'static {
    /// Sends `load`; the error is a text for the log.
    fn send(&mut self, load: Load) -> impl Future<Output = Result<(), String>> + std::marker::Send;
}

/// Reads and sends every `interval`, and once more after `stop`.
pub(super) fn start(
    integration: Integration,
    interval: Duration,
    stop: CancellationToken,
    mut to: impl Send,
) -> JoinHandle<()> {
    let mut failures = Failures::new(integration);
    tokio::spawn(async move {
        let mut stopping = false;
        while !stopping {
            tokio::select! {
                () = stop.cancelled() => stopping = true,
                () = tokio::time::sleep(interval) => {}
            }
            let sent = to.send(monitoring::load()).await;
            failures.note(1, sent);
        }
    })
}

/// Between two readings.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
