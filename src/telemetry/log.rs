//! Log lines on their way to an integration: a layer that takes them where one has asked for them.

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::monitoring::trace;
use crate::redact;

/// One log line.
#[derive(Debug)]
pub struct Line {
    /// When it was written.
    pub time: SystemTime,
    /// Its level.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Its fields.
    pub fields: Vec<(&'static str, Value)>,
    /// Trace and span of the request that it belongs to.
    pub trace: Option<(u128, u64)>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A fraction.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

/// Takes every line that its filter lets pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // What is said about sending must not be sent, or it never ends.
        if event.metadata().target().starts_with(OWN) {
            return;
        }
        let taker = TAKER.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(taker) = &*taker {
            let mut line = Line {
                time: SystemTime::now(),
                level: *event.metadata().level(),
                message: String::new(),
                fields: Vec::new(),
                trace: trace::current_identity(),
            };
            event.record(&mut line);
            taker(line);
        }
    }
}

/// Sends lines to `taker` from now on, which may not wait and may not log.
pub(super) fn send_to(taker: Taker) {
    *TAKER.write().unwrap_or_else(PoisonError::into_inner) = Some(taker);
}

impl Line {
    fn push(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text)) => self.message = text,
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, Value::Text(redact::text(value).into_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, Value::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = i64::try_from(value);
        self.push(field, Value::Int(value.unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, Value::Bool(value));
    }
}

type Taker = Box<dyn Fn(Line) + Send + Sync>;

static TAKER: RwLock<Option<Taker>> = RwLock::new(None);

/// Where this module's own lines come from.
const OWN: &str = "imgforge::telemetry";
