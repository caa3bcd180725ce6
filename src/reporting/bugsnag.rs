//! Bugsnag: an event in a payload of version 5. Format: `bugsnagerrorreportingapi.docs.apiary.io`.

use serde_json::{Value, json};

use super::{NAME, Outgoing, Report, Reporter, VERSION};
use crate::config::datetime::rfc3339;
use crate::config::env::hostname;
use crate::config::reporting::{KeyedConfig, ReportingConfig};
use crate::monitoring::ReportService;

pub(super) fn start(config: &ReportingConfig) -> Option<Box<dyn Reporter>> {
    let config = config.bugsnag.clone();
    let url = config.endpoint.clone().filter(|_| !config.key.is_empty())?;
    Some(Box::new(Bugsnag {
        url,
        config,
        host: hostname(),
    }))
}

struct Bugsnag {
    url: url::Url,
    config: KeyedConfig,
    host: String,
}

impl Reporter for Bugsnag {
    fn service(&self) -> ReportService {
        ReportService::Bugsnag
    }

    fn request(&self, report: &Report) -> Outgoing {
        let time = rfc3339(report.time);
        let payload = json!({
            "apiKey": self.config.key,
            "payloadVersion": PAYLOAD,
            "notifier": { "name": NAME, "version": VERSION, "url": "https://imgproxy.net" },
            "events": [self.event(report, &time)],
        });
        Outgoing {
            url: self.url.clone(),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("bugsnag-api-key", self.config.key.clone()),
                ("bugsnag-payload-version", PAYLOAD.to_owned()),
                ("bugsnag-sent-at", time),
            ],
            body: payload.to_string().into(),
        }
    }
}

impl Bugsnag {
    fn event(&self, report: &Report, time: &str) -> Value {
        let exception = |class: &str, message: &str| {
            // A stack of at least one frame is asked for, and errors here have none.
            let frame = json!({ "file": NAME, "lineNumber": 0, "method": class });
            json!({ "errorClass": class, "message": message, "stacktrace": [frame] })
        };
        let mut exceptions = vec![exception(&report.class, &report.message)];
        exceptions.extend(report.causes.iter().map(|cause| exception("cause", cause)));
        json!({
            "exceptions": exceptions,
            "groupingHash": report.class,
            "unhandled": false,
            "severity": "error",
            "severityReason": { "type": "handledError" },
            "context": report.class,
            "request": {
                "httpMethod": report.method,
                "url": report.url,
                "headers": report.headers(str::to_owned),
            },
            "app": {
                "version": VERSION,
                "releaseStage": self.config.environment,
                "type": "web",
            },
            "device": { "hostname": self.host, "time": time },
            "metaData": { "Processing context": report.facts(str::to_owned) },
        })
    }
}

const PAYLOAD: &str = "5";
