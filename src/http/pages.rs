//! The routes with a fixed answer: landing page, health, readiness, status. Rule: `spec/http.md` sections 3 and 12.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

use super::request::RequestContext;
use super::response::plain;
use super::{App, ready};

/// Says whether image processing works; called on a thread that may block.
pub type HealthProbe = Arc<dyn Fn() -> bool + Send + Sync>;

/// Health: a tiny operation of the image library within five seconds.
pub(super) async fn health(context: RequestContext) -> Response {
    let app = &context.app;
    let mut response = if is_healthy(app).await {
        plain(StatusCode::OK, app.health_message.clone())
    } else {
        tracing::error!("health check failed");
        plain(StatusCode::INTERNAL_SERVER_ERROR, "Error")
    };
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Readiness: healthy, not about to stop, and with room in the queue.
pub(super) async fn ready(context: RequestContext) -> Response {
    let app = &context.app;
    let healthy = is_healthy(app).await;
    ready::response(app.readiness.objection(healthy, Instant::now()))
}

async fn is_healthy(app: &App) -> bool {
    let probe = Arc::clone(&app.health);
    let check = tokio::task::spawn_blocking(move || probe());
    matches!(
        tokio::time::timeout(HEALTH_LIMIT, check).await,
        Ok(Ok(true))
    )
}

/// Status: alive, for programs.
pub(super) fn status() -> Response {
    let mut response = plain(StatusCode::OK, r#"{"status":"ok"}"#);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The landing page. The content security policy allows inline styles and nothing else.
pub(super) const LANDING: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<title>imgforge</title>
<style>
body { font-family: sans-serif; max-width: 40em; margin: 4em auto; padding: 0 1em; color: #222; }
</style>
</head>
<body>
<h1>imgforge is running</h1>
<p>This server resizes and converts images on request. Pictures are found under signed addresses; there is nothing else here.</p>
</body>
</html>
";

const HEALTH_LIMIT: Duration = Duration::from_secs(5);
