//! Sentry: one event in an envelope. Format: `develop.sentry.dev`, envelopes and event payloads.

use serde_json::{Map, Value, json};

use super::{NAME, Outgoing, Report, Reporter, VERSION};
use crate::config::datetime::rfc3339;
use crate::config::env::hostname;
use crate::config::reporting::{ReportingConfig, SentryConfig, SentryDsn};
use crate::monitoring::ReportService;

pub(super) fn start(config: &ReportingConfig) -> Option<Box<dyn Reporter>> {
    let dsn = config.sentry.dsn.clone()?;
    Some(Box::new(Sentry {
        dsn,
        config: config.sentry.clone(),
        host: hostname(),
    }))
}

struct Sentry {
    dsn: SentryDsn,
    config: SentryConfig,
    host: String,
}

impl Reporter for Sentry {
    fn service(&self) -> ReportService {
        ReportService::Sentry
    }

    fn request(&self, report: &Report) -> Outgoing {
        let time = rfc3339(report.time);
        let event = self.event(report, &time).to_string();
        let head = json!({ "event_id": report.id, "sent_at": time, "sdk": sdk() });
        let item = json!({
            "type": "event",
            "length": event.len(),
            "content_type": "application/json",
        });
        Outgoing {
            url: self.dsn.envelope_url.clone(),
            headers: vec![
                ("content-type", "application/x-sentry-envelope".to_owned()),
                ("x-sentry-auth", self.auth()),
            ],
            body: format!("{head}\n{item}\n{event}\n").into(),
        }
    }
}

impl Sentry {
    fn auth(&self) -> String {
        let key = &self.dsn.public_key;
        let mut auth =
            format!("Sentry sentry_version=7, sentry_client={NAME}/{VERSION}, sentry_key={key}");
        if let Some(secret) = &self.dsn.secret_key {
            auth.push_str(", sentry_secret=");
            auth.push_str(secret);
        }
        auth
    }

    fn event(&self, report: &Report, time: &str) -> Value {
        // The last one is the outermost.
        let mut exceptions: Vec<Value> = report
            .causes
            .iter()
            .rev()
            .map(|cause| json!({ "type": "cause", "value": cause }))
            .collect();
        exceptions.push(json!({ "type": report.class, "value": report.message }));
        let mut contexts = Map::new();
        contexts.insert(
            "Processing context".to_owned(),
            Value::Object(report.facts(str::to_owned)),
        );
        json!({
            "event_id": report.id,
            "timestamp": time,
            "platform": "other",
            "level": "error",
            "server_name": self.host,
            "environment": self.config.environment,
            "release": self.config.release,
            "sdk": sdk(),
            "exception": { "values": exceptions },
            "request": {
                "method": report.method,
                "url": report.url,
                "headers": report.headers(str::to_owned),
            },
            "contexts": contexts,
        })
    }
}

fn sdk() -> Value {
    json!({ "name": NAME, "version": VERSION })
}
