//! What is done at intervals: free memory goes back to the system, and the log is told how much there is.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::config::debugging::DebuggingConfig;
use crate::{monitoring, vips};

/// Ends when dropped.
#[derive(Debug)]
pub(super) struct Housekeeping(JoinHandle<()>);

impl Housekeeping {
    pub(super) fn start(config: &DebuggingConfig) -> Self {
        let (interval, log) = (config.free_memory_interval, config.log_memory);
        Self(tokio::spawn(run(interval, log)))
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(interval: Duration, log: bool) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        // The allocator's locks are held for a while, so not on a thread that serves requests.
        let done = tokio::task::spawn_blocking(move || {
            vips::trim();
            if log {
                log_memory();
            }
        });
        if done.await.is_err() {
            return;
        }
    }
}

/// All numbers are bytes but that of the allocations.
fn log_memory() {
    let vips = vips::memory();
    let allocator = vips::allocator();
    tracing::info!(
        rss = monitoring::resident_bytes(),
        malloc_used = allocator.map(|a| a.used as u64),
        malloc_free = allocator.map(|a| a.free as u64),
        malloc_mapped = allocator.map(|a| a.mapped as u64),
        vips_memory = vips.current,
        vips_max_memory = vips.highwater,
        vips_allocs = vips.allocs,
        "Memory statistics"
    );
}
