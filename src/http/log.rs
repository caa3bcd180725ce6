//! The two log lines of a request. Rule: `spec/http.md` section 11 and `spec/monitoring.md` A4.
//!
//! The message carries the target as received, as imgproxy's does, because operators search for it; only secrets are
//! taken out.

use super::request::RequestContext;
use crate::error::Error;
use crate::service::ImageResponse;

/// A request has arrived.
pub(super) fn started(context: &RequestContext) {
    tracing::info!(
        request_id = context.id,
        method = context.method.as_str(),
        client_ip = context.logged_client(),
        "Started {}",
        context.logged_target()
    );
}

/// An image request was answered.
pub(super) fn completed_image(context: &RequestContext, answer: &ImageResponse) {
    tracing::info!(
        request_id = context.id,
        method = context.method.as_str(),
        status = answer.status.as_u16(),
        client_ip = context.logged_client(),
        image_url = answer.understood.source_url(),
        processing_options = answer.understood.canonical(),
        "Completed in {:?} {}",
        context.started.elapsed(),
        context.logged_target()
    );
}

/// A request ended in an error.
pub(super) fn failed(context: &RequestContext, error: &Error) {
    let status = error.outcome().status;
    let elapsed = context.started.elapsed();
    let RequestContextFields {
        id,
        method,
        client_ip,
        target,
    } = fields(context);
    let error_docs_url = error.kind().docs_url();
    if status >= 500 {
        let stack = super::error_page::text(error);
        tracing::error!(
            request_id = id, method, status, client_ip, error = %error.detail(), error_docs_url, stack,
            "Completed in {elapsed:?} {target}"
        );
    } else {
        tracing::warn!(
            request_id = id, method, status, client_ip, error = %error.detail(), error_docs_url,
            "Completed in {elapsed:?} {target}"
        );
    }
}

/// The client did not take the whole response.
pub(super) fn unsent(context: &RequestContext, status: u16) {
    let elapsed = context.started.elapsed();
    let RequestContextFields {
        id,
        method,
        client_ip,
        target,
    } = fields(context);
    tracing::error!(
        request_id = id,
        method,
        status,
        client_ip,
        error = UNSENT,
        "Completed in {elapsed:?} {target}"
    );
}

/// imgproxy's words.
pub(super) const UNSENT: &str = "Failed to write response";

struct RequestContextFields<'a> {
    id: &'a str,
    method: &'a str,
    client_ip: &'a str,
    target: &'a str,
}

fn fields(context: &RequestContext) -> RequestContextFields<'_> {
    RequestContextFields {
        id: &context.id,
        method: context.method.as_str(),
        client_ip: context.logged_client(),
        target: context.logged_target(),
    }
}
