//! What an error looks like in development mode. Rule: `spec/http.md` section 11.
//!
//! The content security policy allows inline styles and nothing else.

use std::fmt::Write;

use crate::error::{Error, chain};
use crate::redact;

/// The full message, then the chain of causes.
pub(super) fn text(error: &Error) -> String {
    let mut text = redact::text(error.detail()).into_owned();
    for cause in chain(error).skip(1) {
        let cause = cause.to_string();
        let cause = redact::text(&cause);
        // Writing to a String cannot fail.
        let _ = write!(text, "\n\ncaused by: {cause}");
    }
    text
}

/// A page with the public message as its heading.
pub(super) fn html(error: &Error, request_id: &str) -> String {
    let outcome = error.outcome();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{status} {message}</title>\
         <style>body{{font-family:sans-serif;margin:3em auto;max-width:50em}}\
         dt{{font-weight:bold}}pre{{white-space:pre-wrap;background:#eee;padding:1em}}</style></head>\n\
         <body><h1>{message}</h1>\n<pre>{detail}</pre>\n<dl>\n\
         <dt>Type</dt><dd>{kind}</dd>\n<dt>HTTP status</dt><dd>{status}</dd>\n\
         <dt>Request ID</dt><dd>{id}</dd>\n<dt>Version</dt><dd>{version}</dd>\n\
         <dt>Revision</dt><dd>{revision}</dd>\n</dl>\n",
        status = outcome.status,
        message = escape(outcome.message),
        detail = escape(&redact::text(error.detail())),
        kind = escape(&format!("{:?}", error.kind())),
        id = escape(request_id),
        version = env!("CARGO_PKG_VERSION"),
        revision = escape(option_env!("IMGFORGE_REVISION").unwrap_or("unknown")),
    );
    for cause in chain(error).skip(1) {
        let cause = cause.to_string();
        let cause = escape(&redact::text(&cause));
        let _ = writeln!(page, "<h2>Caused by</h2>\n<pre>{cause}</pre>");
    }
    page.push_str("</body></html>\n");
    page
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn the_first_line_of_the_text_is_the_message() {
        let error = Error::new(Kind::Internal, "outer").with_source(std::io::Error::other("inner"));
        assert_eq!(text(&error), "outer\n\ncaused by: inner");
        assert_eq!(text(&Error::new(Kind::InvalidUrl, "alone")), "alone");
    }

    #[test]
    fn the_page_escapes_what_the_client_wrote() {
        let error = Error::new(Kind::InvalidUrl, "<script>\"&");
        let page = html(&error, "id-1");
        assert!(page.contains("&lt;script&gt;&quot;&amp;"));
        assert!(!page.contains("<script"));
        assert!(page.contains("<h1>Invalid URL</h1>") && page.contains("id-1"));
    }
}
