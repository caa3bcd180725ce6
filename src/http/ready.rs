//! Whether a load balancer should send requests here. Rule: `spec/http.md` section 12, "better".
//!
//! Liveness (`/health`) says whether a restart would help; readiness whether others should take over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

use super::response::plain;

/// What readiness depends on besides health.
pub struct Readiness {
    draining: AtomicBool,
    queue_is_full: Box<dyn Fn() -> bool + Send + Sync>,
    full_since: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readiness")
            .field("draining", &self.draining)
            .finish_non_exhaustive()
    }
}

impl Readiness {
    /// `queue_is_full`: whether one more request would be refused now.
    pub fn new(queue_is_full: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            draining: AtomicBool::new(false),
            queue_is_full: Box::new(queue_is_full),
            full_since: Mutex::new(None),
        }
    }

    /// The server is about to stop; it never becomes ready again.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether requests are welcome, as far as that can be told without trying.
    pub fn takes_requests(&self) -> bool {
        self.objection(true, Instant::now()).is_none()
    }

    /// Why requests should go elsewhere, at the moment `now`; `None` where they should not.
    pub(super) fn objection(&self, healthy: bool, now: Instant) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Some(DRAINING);
        }
        if !healthy {
            return Some(UNHEALTHY);
        }
        self.is_overloaded(now).then_some(OVERLOADED)
    }

    /// A queue that is full for a moment is a queue at work; one that is full whenever it is looked at is too short.
    fn is_overloaded(&self, now: Instant) -> bool {
        let mut since = self
            .full_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !(self.queue_is_full)() {
            *since = None;
            return false;
        }
        now.duration_since(*since.get_or_insert(now)) >= OVERLOAD_TIME
    }
}

/// 200, or 503 with the reason.
pub(super) fn response(objection: Option<&'static str>) -> Response {
    let mut response = match objection {
        None => plain(StatusCode::OK, r#"{"status":"ready"}"#),
        Some(body) => plain(StatusCode::SERVICE_UNAVAILABLE, body),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

const DRAINING: &str = r#"{"status":"draining"}"#;
const UNHEALTHY: &str = r#"{"status":"unhealthy"}"#;
const OVERLOADED: &str = r#"{"status":"overloaded"}"#;
/// How long the queue has to be full at every look.
const OVERLOAD_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_queue_has_to_be_full_for_long() {
        let full = Arc::new(AtomicBool::new(true));
        let probe = Arc::clone(&full);
        let readiness = Readiness::new(move || probe.load(Ordering::Relaxed));
        let start = Instant::now();
        let at = |seconds: u64| readiness.objection(true, start + Duration::from_secs(seconds));
        assert_eq!((at(0), at(9), at(10)), (None, None, Some(OVERLOADED)));
        full.store(false, Ordering::Relaxed);
        assert_eq!(at(11), None);
        full.store(true, Ordering::Relaxed);
        assert_eq!((at(12), at(21), at(22)), (None, None, Some(OVERLOADED)));
    }

    #[test]
    fn a_stop_is_final() {
        let readiness = Readiness::new(|| false);
        let now = Instant::now();
        assert_eq!(readiness.objection(true, now), None);
        assert_eq!(readiness.objection(false, now), Some(UNHEALTHY));
        assert!(readiness.takes_requests());
        readiness.drain();
        assert!(!readiness.takes_requests());
        assert_eq!(readiness.objection(true, now), Some(DRAINING));
    }
}
