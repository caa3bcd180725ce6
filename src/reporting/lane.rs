//! One service's queue and the task that empties it.
//!
//! A service has a lane of its own, so that a slow one keeps nothing from the others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Outgoing, Report, Reporter};
use crate::error::on_one_line;
use crate::monitoring::{self, Delivery, ReportService};

/// The sending end.
pub(super) struct Lane {
    service: ReportService,
    /// Closed by taking it away.
    queue: Mutex<Option<Sender<Arc<Report>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lane({})", self.service.label())
    }
}

impl Lane {
    pub(super) fn start(reporter: Box<dyn Reporter>, client: reqwest::Client) -> Self {
        let service = reporter.service();
        let (queue, reports) = channel(QUEUE);
        let worker = Worker {
            reporter,
            client,
            paused_until: None,
            is_failing: false,
        };
        Self {
            service,
            queue: Mutex::new(Some(queue)),
            task: Mutex::new(Some(tokio::spawn(worker.run(reports)))),
        }
    }

    pub(super) fn service(&self) -> ReportService {
        self.service
    }

    pub(super) fn send(&self, report: Arc<Report>) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = queue.as_ref().is_some_and(|q| q.try_send(report).is_ok());
        if !taken {
            monitoring::error_report(self.service, Delivery::Dropped);
        }
    }

    /// Returns when the queue is empty.
    pub(super) async fn finish(&self) {
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(queue);
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            // A panic has been logged by its hook; there is nothing to save.
            let _ = task.await;
        }
    }
}

struct Worker {
    reporter: Box<dyn Reporter>,
    client: reqwest::Client,
    paused_until: Option<Instant>,
    is_failing: bool,
}

impl Worker {
    async fn run(mut self, mut reports: Receiver<Arc<Report>>) {
        while let Some(report) = reports.recv().await {
            let delivery = if self.is_paused() {
                Delivery::Dropped
            } else {
                self.deliver(self.reporter.request(&report)).await
            };
            monitoring::error_report(self.reporter.service(), delivery);
        }
    }

    fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|end| Instant::now() < end)
    }

    async fn deliver(&mut self, outgoing: Outgoing) -> Delivery {
        let headers = outgoing.headers();
        let request = self.client.post(outgoing.url).headers(headers);
        let failure = match request.body(outgoing.body).send().await {
            Ok(response) if response.status().is_success() => {
                self.is_failing = false;
                return Delivery::Sent;
            }
            Ok(response) => {
                if response.status() == StatusCode::TOO_MANY_REQUESTS {
                    self.paused_until = Some(Instant::now() + pause(&response));
                }
                format!("status {}", response.status())
            }
            // The URL may hold a key.
            Err(error) => on_one_line(&error.without_url()),
        };
        // Once for every outage: each report would be a line.
        if !self.is_failing {
            self.is_failing = true;
            let service = self.reporter.service().label();
            tracing::warn!(service, error = failure, "an error could not be reported");
        }
        Delivery::Failed
    }
}

/// How long the service wants to be left alone.
fn pause(response: &reqwest::Response) -> Duration {
    let value = response.headers().get(RETRY_AFTER);
    let seconds = value.and_then(|v| v.to_str().ok()?.trim().parse().ok());
    seconds
        .map_or(PAUSE, Duration::from_secs)
        .min(LONGEST_PAUSE)
}

/// Reports that may wait, a few kilobytes each.
const QUEUE: usize = 100;
/// Where the service does not say how long.
const PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
