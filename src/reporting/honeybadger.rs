//! Honeybadger: a notice. Format: `docs.honeybadger.io`, exceptions API.

use serde_json::{Value, json};

use super::{NAME, Outgoing, Report, Reporter, VERSION};
use crate::config::env::hostname;
use crate::config::reporting::{KeyedConfig, ReportingConfig};
use crate::monitoring::ReportService;

pub(super) fn start(config: &ReportingConfig) -> Option<Box<dyn Reporter>> {
    let config = config.honeybadger.clone();
    let endpoint = config
        .endpoint
        .as_ref()
        .filter(|_| !config.key.is_empty())?;
    Some(Box::new(Honeybadger {
        url: super::below(endpoint, "v1/notices"),
        config,
        host: hostname(),
    }))
}

struct Honeybadger {
    url: url::Url,
    config: KeyedConfig,
    host: String,
}

impl Reporter for Honeybadger {
    fn service(&self) -> ReportService {
        ReportService::Honeybadger
    }

    fn request(&self, report: &Report) -> Outgoing {
        // As a Rack application would name them.
        let upper = |name: &str| name.to_uppercase().replace(['-', ' '], "_");
        let mut cgi = report.headers(|name| format!("HTTP_{}", upper(name)));
        cgi.insert("REQUEST_METHOD".to_owned(), report.method.as_str().into());
        cgi.extend(report.facts(upper));
        let causes: Vec<Value> = report
            .causes
            .iter()
            .map(|cause| json!({ "class": "cause", "message": cause, "backtrace": [] }))
            .collect();
        let notice = json!({
            "notifier": { "name": NAME, "url": "https://imgproxy.net", "version": VERSION },
            "error": {
                "token": report.id,
                "class": report.class,
                "message": report.message,
                "fingerprint": report.class,
                "backtrace": [],
                "causes": causes,
            },
            "request": {
                "url": report.url,
                "context": report.facts(|name| upper(name).to_lowercase()),
                "cgi_data": cgi,
            },
            "server": {
                "environment_name": self.config.environment,
                "hostname": self.host,
                "pid": std::process::id(),
            },
        });
        Outgoing {
            url: self.url.clone(),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("accept", "application/json".to_owned()),
                ("x-api-key", self.config.key.clone()),
            ],
            body: notice.to_string().into(),
        }
    }
}
