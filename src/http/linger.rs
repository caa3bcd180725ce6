//! The end of a connection whose client still sends.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads on for a moment after the last response, because closing a socket with unread bytes resets it and the peer may
/// lose the response.
pub(super) async fn linger(mut stream: impl AsyncRead + Unpin) {
    let drain = async {
        let mut scratch = [0; 8192];
        let mut left = MAX_LINGER_BYTES;
        while let Ok(read @ 1..) = stream.read(&mut scratch).await {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    };
    // Running out of time is as good an end as any.
    let _ = tokio::time::timeout(LINGER_TIME, drain).await;
}

/// How long unread bytes are awaited after the last response.
const LINGER_TIME: Duration = Duration::from_millis(500);
/// How many of them are read.
const MAX_LINGER_BYTES: usize = 4 << 20;
