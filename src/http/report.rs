//! What error reporting is told about a request. Rule: `spec/http.md` section 11.

use http::header::HOST;

use super::request::RequestContext;
use crate::error::Error;
use crate::redact;
use crate::reporting::{Report, reportable_headers};
use crate::service::Noted;

/// A request as far as reports are concerned.
pub(super) struct Reported<'a> {
    pub(super) context: &'a RequestContext,
    /// What the request turned out to ask for; nothing where it was refused before.
    pub(super) noted: Option<&'a Noted>,
}

impl Reported<'_> {
    /// Reports an error, if any service wants to hear of it.
    pub(super) fn error(&self, error: &Error) {
        if self.context.app.reporters.wants(error) {
            self.context.app.reporters.send(self.report(error));
        }
    }

    /// Everything about the request and the error.
    pub(super) fn report(&self, error: &Error) -> Report {
        let mut report = Report::new(error);
        report.method = self.context.method.to_string();
        report.url = self.url();
        report.headers = reportable_headers(&self.context.headers);
        let mut fact = |name, value: &str| {
            report.facts.push((name, redact::text(value).into_owned()));
        };
        fact("Request ID", &self.context.id);
        if let Some(asked) = self.noted.and_then(|noted| noted.get()) {
            fact("Source Image URL", asked.source_url());
            fact("Source Image Origin", &origin(asked.source_url()));
            fact("Processing Options", asked.canonical());
        }
        if let Some(url) = error.kind().docs_url() {
            fact("Documentation URL", url);
        }
        report
    }

    fn url(&self) -> String {
        let text = |name: &str| {
            let value = self.context.headers.get(name)?;
            value.to_str().ok()
        };
        let scheme = match text("x-forwarded-proto") {
            Some("https") => "https",
            _ => "http",
        };
        let host = text(HOST.as_str()).unwrap_or("localhost");
        let app = &self.context.app;
        let target = app
            .redaction
            .get()
            .reported(&app.routes, self.context.raw_path());
        redact::text(&format!("{scheme}://{host}{target}")).into_owned()
    }
}

/// Scheme and host of a URL.
fn origin(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return String::new();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (url, expected) in [
            ("http://u:p@h:1/a/b?c", "http://h:1"),
            ("s3://bucket/key", "s3://bucket"),
            ("local:///a.png", "local://"),
            ("rubbish", ""),
        ] {
            assert_eq!(origin(url), expected);
        }
    }
}
