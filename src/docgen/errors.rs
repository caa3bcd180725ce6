//! `docs/errors.md`, from the table of [`crate::error`].

use super::page::Page;
use crate::error::{Kind, Reported};

/// Every status and public text.
pub(super) fn page() -> String {
    let mut page = Page::new("Errors");
    page.text(
        "What a client sees where a request fails. The body is plain text and never says more than this; the log has the \
         details, with the request ID that the response carries in `X-Request-ID`. \
         `IMGPROXY_DEVELOPMENT_ERRORS_MODE` puts the details into the response.",
    );
    page.row(&[
        "Status",
        "Body",
        "When",
        "`errors_total` category",
        "Reported",
    ]);
    page.rule(5);
    for kind in Kind::ALL {
        let outcome = kind.outcome();
        let status = match kind {
            Kind::SourceClientError(_) => "the source's, 4xx".to_owned(),
            _ => outcome.status.to_string(),
        };
        let body = match outcome.message {
            " " => "one space".to_owned(),
            message => format!("`{message}`"),
        };
        let category = format!("`{}`", outcome.category.label());
        let reported = match kind.reported() {
            Reported::Always => "yes",
            Reported::Download => "as a downloading error",
            Reported::Never => "no",
        };
        page.row(&[&status, &body, situation(kind), &category, reported]);
    }
    page.text(
        "[Error reporting](error-reporting.md) hears of the rows that say so; downloading errors follow \
         `IMGPROXY_REPORT_DOWNLOADING_ERRORS`.",
    );
    page.finish()
}

/// When a kind of error happens, in a client's words.
fn situation(kind: Kind) -> &'static str {
    match kind {
        Kind::RouteNotFound => "no route has this path",
        Kind::InvalidUrl => {
            "the path, an option, a preset or the source URL is malformed, an option is not allowed, or the URL has expired"
        }
        Kind::SecurityOptionDenied => {
            "a limit is overridden although `IMGPROXY_ALLOW_SECURITY_OPTIONS` is off"
        }
        Kind::InvalidSecret => "the bearer token is missing or wrong",
        Kind::InvalidSignature => "the signature is missing, unreadable or wrong",
        Kind::SignatureIsOption => {
            "signatures are not checked, and the URL has an option in the place of the signature"
        }
        Kind::SourceNotAllowed => "the source URL is not in `IMGPROXY_ALLOWED_SOURCES`",
        Kind::SourceBlocked => "the source has an address that may not be used",
        Kind::SourceUnreachable => {
            "the source cannot be reached: unknown scheme, name, connection, TLS, or too many redirects"
        }
        Kind::SourceClientError(_) => "the source answered with a 4xx status",
        Kind::SourceServerError => "the source answered with a 5xx status",
        Kind::SourceTimeout => "the source took longer than `IMGPROXY_DOWNLOAD_TIMEOUT`",
        Kind::SourceIncomplete => "the source ended before its declared end",
        Kind::SourceTooLarge => "the source has more bytes than `IMGPROXY_MAX_SRC_FILE_SIZE`",
        Kind::SourceFormatUnknown => "the source is no known image format",
        Kind::SourceFormatUndetectable => {
            "the beginning of the source, which shows the format, could not be read"
        }
        Kind::SourceFormatUnsupported => "this build cannot decode the source's format",
        Kind::SourceTypeNotAllowed => "the source's type is not in `IMGFORGE_ALLOWED_MIME_TYPES`",
        Kind::ResultFormatUnsupported => "this build cannot write the requested format",
        Kind::ResolutionTooLarge => "the source has more pixels than allowed",
        Kind::ResultTooLarge => "the result would be larger than the server is willing to make",
        Kind::BrokenImage => "the source cannot be decoded",
        Kind::BrokenSvg => "the SVG source is not well-formed",
        Kind::RateLimitGlobal => {
            "more requests than `IMGFORGE_RATE_LIMIT_PER_MINUTE`, from all clients together"
        }
        Kind::RateLimitClient => {
            "more requests from one client than `IMGFORGE_CLIENT_RATE_LIMIT_PER_MINUTE`"
        }
        Kind::NoTime => {
            "too much work waits for the image to be done before `IMGPROXY_TIMEOUT`, so it is not begun"
        }
        Kind::QueueFull => "too many requests wait already",
        Kind::Timeout => "the request took longer than `IMGPROXY_TIMEOUT`",
        Kind::Cancelled => "the client closed the connection",
        Kind::Internal => "something unexpected went wrong in the server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_row() {
        let page = page();
        assert_eq!(page.matches("\n| ").count(), Kind::ALL.len() + 1);
        assert!(page.contains("| 429 | `Too many requests` |"), "{page}");
        assert!(page.contains("| `unexpected` | yes |"), "{page}");
    }
}
