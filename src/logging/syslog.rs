//! A copy of every line for a syslog daemon, in the form of RFC 3164 as Go's `log/syslog` writes it.
//!
//! A thread of its own owns the socket. It gets lines through a bounded queue: a daemon that is stuck or gone costs lines,
//! never a request. Rule: `spec/configuration.md` section 3.8.
//!
//! No crate does this: `syslog` 7 writes its own date, puts the host where Go has none, and blocks the caller.

mod socket;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use crate::config::datetime::{Civil, civil, rfc3339};
use crate::config::env::hostname;
use crate::config::logging::SyslogConfig;
use crate::monitoring;
use socket::{Endpoint, Socket};

use super::line::Severity;

/// The daemon could not be reached at the start.
#[derive(Debug, thiserror::Error)]
#[error("unable to connect to syslog daemon: {0}")]
pub struct SyslogError(#[from] io::Error);

/// Sends lines; cloning shares the connection.
#[derive(Clone)]
pub(super) struct Syslog {
    queue: SyncSender<Order>,
}

enum Order {
    Line(Severity, SystemTime, Arc<str>),
    /// Answered when every line before it was sent or given up.
    Flush(SyncSender<()>),
}

impl Syslog {
    /// Connects, and fails where nobody is there. UDP notices nothing.
    pub(super) fn connect(config: &SyslogConfig) -> Result<Self, SyslogError> {
        let endpoint = Endpoint::new(&config.network, &config.address)?;
        let socket = endpoint.connect()?;
        let (queue, orders) = sync_channel(QUEUE);
        let writer = Writer {
            endpoint,
            socket: Some(socket),
            tag: config.tag.clone(),
            host: hostname(),
            retry_at: None,
            told_at: None,
        };
        std::thread::Builder::new()
            .name("syslog".to_owned())
            .spawn(move || writer.run(&orders))?;
        Ok(Self { queue })
    }

    /// Queues a line, or counts it as dropped where the queue is full.
    pub(super) fn send(&self, severity: Severity, line: &str) {
        let order = Order::Line(severity, SystemTime::now(), line.into());
        if self.queue.try_send(order).is_err() {
            monitoring::syslog_line_dropped();
        }
    }

    /// Waits until everything so far was sent or given up.
    pub(super) fn flush(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let (done, wait) = sync_channel(1);
        let mut order = Order::Flush(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(order) {
            if Instant::now() >= end {
                return;
            }
            order = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        // Running out of time is as good an end as any.
        let _ = wait.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

/// The thread's side.
struct Writer {
    endpoint: Endpoint,
    socket: Option<Socket>,
    tag: String,
    host: String,
    retry_at: Option<Instant>,
    told_at: Option<Instant>,
}

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Line(severity, time, line) => {
                    let bytes = self.packet(severity, time, &line);
                    if !self.deliver(bytes.as_bytes()) {
                        monitoring::syslog_line_dropped();
                    }
                }
                // Whoever waited may have given up.
                Order::Flush(done) => _ = done.try_send(()),
            }
        }
    }

    /// Sends once, and once more on a new connection where the old one was closed. A stuck daemon gets
    /// [`socket::WRITE_TIME`], then a pause.
    fn deliver(&mut self, packet: &[u8]) -> bool {
        if let Some(socket) = &mut self.socket {
            match socket.send(packet) {
                Ok(()) => return true,
                Err(error) => {
                    let stuck = socket::is_timeout(&error);
                    if !(stuck && socket.survives_timeout()) {
                        self.lose(&error);
                    }
                    if stuck {
                        self.retry_at = Some(Instant::now() + PAUSE);
                        return false;
                    }
                }
            }
        }
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        match self.endpoint.connect() {
            Ok(mut socket) => {
                let sent = socket.send(packet);
                self.socket = Some(socket);
                self.retry_at = None;
                sent.is_ok()
            }
            Err(error) => {
                self.lose(&error);
                self.retry_at = Some(Instant::now() + PAUSE);
                false
            }
        }
    }

    /// Says so, but not often: the line is one more for syslog.
    fn lose(&mut self, error: &io::Error) {
        let lost = self.socket.take().is_some();
        if lost && self.told_at.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            self.told_at = Some(Instant::now());
            tracing::warn!(%error, "the connection to syslog is lost");
        }
    }

    /// `<priority>date tag[pid]: line` on sockets of this machine, with RFC 3339 and the host's name on others. The
    /// facility is 0, as imgproxy's.
    fn packet(&self, severity: Severity, time: SystemTime, line: &str) -> String {
        let Self { tag, host, .. } = self;
        let priority = severity.syslog();
        let pid = std::process::id();
        if self.endpoint.is_local() {
            let stamp = stamp(civil(time));
            format!("<{priority}>{stamp} {tag}[{pid}]: {line}\n")
        } else {
            let date = rfc3339(time);
            format!("<{priority}>{date} {host} {tag}[{pid}]: {line}\n")
        }
    }
}

/// `Jan _2 15:04:05`, in UTC as every date of the log.
fn stamp(time: Civil) -> String {
    let month = usize::try_from(time.month).unwrap_or_default();
    let month = MONTHS.get(month.wrapping_sub(1)).unwrap_or(&"Jan");
    format!(
        "{month} {:>2} {:02}:{:02}:{:02}",
        time.day, time.hour, time.minute, time.second
    )
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// Lines that may wait. At a few hundred bytes each, about a megabyte.
const QUEUE: usize = 4096;
/// How long nobody hears of another loss.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// How long nobody tries to connect after a failure.
const PAUSE: Duration = Duration::from_secs(1);
