//! What the suites share: a server, an origin, a client, pictures.

pub mod client;
pub mod origin;
pub mod pictures;
pub mod process;
pub mod recorder;
pub mod server;

pub use origin::{Origin, Script};
pub use process::Process;
pub use recorder::{Recorder, Sent};
pub use server::Server;

use std::time::{Duration, Instant};

/// Longest time that anything in a test may take before the test fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds; fails the test with `what` when it does not within [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
