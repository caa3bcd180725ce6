//! What a download leaves in the metrics, however it ends.

use std::time::Instant;

use crate::monitoring::{self, Span};
use crate::source::FetchError;

/// Counts one download, also where the client leaves in the middle of it.
pub(super) struct FetchCount {
    started: Instant,
    counted: bool,
}

impl FetchCount {
    /// A download begins.
    pub(super) fn begin() -> Self {
        Self {
            started: Instant::now(),
            counted: false,
        }
    }

    /// It has ended; one that was refused before it began is not counted.
    pub(super) fn ended<T>(&mut self, result: &Result<T, FetchError>) {
        self.counted = true;
        if let Err(error) = result {
            if matches!(error, FetchError::Blocked(_)) {
                monitoring::ssrf_blocked();
            }
            if !error.started() {
                return;
            }
        }
        self.record(result.is_ok());
    }

    fn record(&self, success: bool) {
        let elapsed = self.started.elapsed().as_secs_f64();
        monitoring::source_fetched(success, elapsed);
        monitoring::span(Span::DownloadingSourceImage, elapsed);
    }
}

impl Drop for FetchCount {
    fn drop(&mut self) {
        if !self.counted {
            self.record(false);
        }
    }
}
