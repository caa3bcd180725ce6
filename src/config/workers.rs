//! Worker threads and queue.

/// `spec/http.md` section 6.
#[derive(Clone, Debug)]
pub struct WorkersConfig {
    /// `WORKERS`: parallel image jobs, at least 1.
    pub workers: usize,
    /// `REQUESTS_QUEUE_SIZE`: waiting requests beyond the running ones; 0 is unlimited.
    pub queue_size: usize,
}
