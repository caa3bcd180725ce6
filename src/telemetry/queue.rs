//! A bounded queue between requests and the network: what does not fit is dropped and counted, nobody waits.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::monitoring::{self, Integration};

/// Takes things to send; cloning shares it.
#[derive(Debug)]
pub(super) struct Queue<T> {
    sender: mpsc::Sender<T>,
    integration: Integration,
}

/// Sends a batch. It bounds its own time.
pub(super) trait Export<T>: Send + 'static {
    /// Sends `batch`; the error is a text for the log.
    fn export(&mut self, batch: Vec<T>) -> impl Future<Output = Result<(), String>> + Send;
}

/// How things are gathered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batching {
    /// Things that wait at most.
    pub(super) queue: usize,
    /// Things that are sent at once.
    pub(super) batch: usize,
    /// Longest time for which things are gathered.
    pub(super) delay: Duration,
}

impl<T: Send + 'static> Queue<T> {
    /// Starts the task that empties the queue. After `stop` it sends what is left and ends.
    pub(super) fn start(
        integration: Integration,
        batching: Batching,
        stop: CancellationToken,
        export: impl Export<T>,
    ) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(batching.queue);
        let sending = Sending {
            failures: Failures::new(integration),
            export,
        };
        let task = tokio::spawn(run(receiver, batching, stop, sending));
        let queue = Self {
            sender,
            integration,
        };
        (queue, task)
    }

    /// Hands one thing over, or drops it.
    pub(super) fn push(&self, item: T) {
        if self.sender.try_send(item).is_err() {
            monitoring::telemetry_dropped(self.integration, 1);
        }
    }
}

/// What became of exports: counted, and logged when it changes.
#[derive(Debug)]
pub(super) struct Failures {
    integration: Integration,
    failing: bool,
}

impl Failures {
    pub(super) fn new(integration: Integration) -> Self {
        Self {
            integration,
            failing: false,
        }
    }

    /// Notes the result of sending `count` things.
    pub(super) fn note(&mut self, count: usize, result: Result<(), String>) {
        let source = self.integration.label();
        match result {
            Ok(()) if self.failing => {
                tracing::info!(source, "telemetry is being sent again");
                self.failing = false;
            }
            Ok(()) => {}
            Err(error) => {
                monitoring::telemetry_dropped(self.integration, count as u64);
                if !self.failing {
                    tracing::warn!(error, source, "telemetry could not be sent");
                }
                self.failing = true;
            }
        }
    }
}

struct Sending<E> {
    failures: Failures,
    export: E,
}

async fn run<T: Send + 'static>(
    mut receiver: mpsc::Receiver<T>,
    batching: Batching,
    stop: CancellationToken,
    mut sending: Sending<impl Export<T>>,
) {
    let mut stopping = false;
    loop {
        let mut batch = Vec::new();
        let mut until = Instant::now();
        while batch.len() < batching.batch {
            tokio::select! {
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    receiver.close();
                }
                item = receiver.recv() => {
                    let Some(item) = item else { break };
                    if batch.is_empty() {
                        until = Instant::now() + batching.delay;
                    }
                    batch.push(item);
                }
                () = tokio::time::sleep_until(until), if !batch.is_empty() && !stopping => break,
            }
        }
        if batch.is_empty() {
            return;
        }
        let count = batch.len();
        let result = sending.export.export(batch).await;
        sending.failures.note(count, result);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Keep {
        batches: Arc<Mutex<Vec<Vec<u32>>>>,
        hangs: bool,
    }

    impl Export<u32> for Keep {
        async fn export(&mut self, batch: Vec<u32>) -> Result<(), String> {
            self.batches.lock().unwrap().push(batch);
            if self.hangs {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    }

    const BATCHING: Batching = Batching {
        queue: 4,
        batch: 3,
        delay: Duration::from_secs(3600),
    };

    #[tokio::test]
    async fn what_is_left_goes_out_at_the_end() {
        let (keep, stop) = (Keep::default(), CancellationToken::new());
        let (queue, task) =
            Queue::start(Integration::Datadog, BATCHING, stop.clone(), keep.clone());
        for item in 0..4 {
            queue.push(item);
        }
        stop.cancel();
        task.await.unwrap();
        assert_eq!(*keep.batches.lock().unwrap(), [vec![0, 1, 2], vec![3]]);
        queue.push(5);
    }

    #[tokio::test]
    async fn a_receiver_that_hangs_holds_nobody() {
        let keep = Keep {
            hangs: true,
            ..Keep::default()
        };
        let stop = CancellationToken::new();
        let (queue, task) = Queue::start(Integration::Datadog, BATCHING, stop, keep.clone());
        for item in 0..100 {
            queue.push(item);
            tokio::task::yield_now().await;
        }
        assert_eq!(keep.batches.lock().unwrap().len(), 1);
        assert_eq!(queue.sender.capacity(), 0, "the queue is full");
        task.abort();
    }
}
