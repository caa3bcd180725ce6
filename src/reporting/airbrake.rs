//! Airbrake: a notice of version 3, which Errbit takes too. Format: `docs.airbrake.io`, create notice v3.

use serde_json::{Value, json};

use super::{NAME, Outgoing, Report, Reporter, VERSION};
use crate::config::env::hostname;
use crate::config::reporting::{KeyedConfig, ReportingConfig};
use crate::monitoring::ReportService;

pub(super) fn start(config: &ReportingConfig) -> Option<Box<dyn Reporter>> {
    let project = config.airbrake_project;
    let config = config.airbrake.clone();
    let endpoint = config
        .endpoint
        .as_ref()
        .filter(|_| !config.key.is_empty())?;
    let mut url = super::below(endpoint, &format!("api/v3/projects/{project}/notices"));
    url.query_pairs_mut().append_pair("key", &config.key);
    Some(Box::new(Airbrake {
        url,
        config,
        host: hostname(),
    }))
}

struct Airbrake {
    url: url::Url,
    config: KeyedConfig,
    host: String,
}

impl Reporter for Airbrake {
    fn service(&self) -> ReportService {
        ReportService::Airbrake
    }

    fn request(&self, report: &Report) -> Outgoing {
        let error = |class: &str, message: &str| json!({ "type": class, "message": message, "backtrace": [] });
        let mut errors = vec![error(&report.class, &report.message)];
        errors.extend(report.causes.iter().map(|cause| error("cause", cause)));
        let agent = report.headers.iter().find(|(name, _)| name == "user-agent");
        let agent = agent.map_or(Value::Null, |(_, value)| value.as_str().into());
        let notice = json!({
            "errors": errors,
            "context": {
                "notifier": { "name": NAME, "version": VERSION, "url": "https://imgproxy.net" },
                "environment": self.config.environment,
                "severity": "error",
                "hostname": self.host,
                "version": VERSION,
                "url": report.url,
                "httpMethod": report.method,
                "userAgent": agent,
                "headers": report.headers(str::to_owned),
            },
            "environment": {},
            "session": {},
            "params": report.facts(str::to_owned),
        });
        Outgoing {
            url: self.url.clone(),
            headers: vec![("content-type", "application/json".to_owned())],
            body: notice.to_string().into(),
        }
    }
}
