//! The whole server over real sockets: one binary, so that it links once and shares its helpers.
//!
//! Every test starts its own server and its own origin on free ports of 127.0.0.1 and passes the configuration as a value.
//! Nothing of ours is replaced by a stand-in.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]
#![expect(unreachable_pub, reason = "nothing is outside of a test program")]

mod common;

mod admission;
mod animation;
mod attacks;
mod attacks_operation;
mod attacks_sources;
mod bitmaps;
mod cache;
mod cache_attacks;
mod cache_disk;
mod cache_faults;
mod cache_sources;
mod cancellation;
mod downloads;
mod formats;
mod freshness;
mod fuzz;
mod golden;
mod harness;
mod hostile;
mod limits;
mod logs;
mod memory;
mod metrics;
mod metrics_cases;
mod migration;
mod options_matrix;
mod pixels;
mod process;
mod purge;
mod queue;
mod rate_limits;
mod reload;
mod reporting;
mod routes;
mod security;
mod signatures;
mod signing;
mod sources;
mod svg;
mod syslog;
mod telemetry;
mod torture;
mod watermark;
