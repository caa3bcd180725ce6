//! Standard output: lines are gathered for a moment and written together by a thread of its own.
//!
//! A request then pays for its lines with a copy instead of a system call each. Warnings and errors are written at once,
//! with everything before them, so that all that a crash can take is the harmless lines of the last moment. Whoever would
//! make the gathered text grow without end waits for the reader.

use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::line::Severity;

/// Gathers lines.
pub(super) struct Stdout {
    /// Whole lines that have not been written.
    pending: Mutex<Vec<u8>>,
    /// Rung when the first of them comes.
    bell: Condvar,
    /// Who holds it writes; the buffer is empty outside of that.
    output: Mutex<Output>,
}

struct Output {
    buffer: Vec<u8>,
    write: Write,
}

/// Where the bytes of whole lines go.
type Write = Box<dyn FnMut(&[u8]) + Send>;

impl Stdout {
    /// Starts the thread. Without one, lines are written when something calls [`Stdout::flush`].
    pub(super) fn open(write: impl FnMut(&[u8]) + Send + 'static) -> Arc<Self> {
        let stdout = Arc::new(Self {
            pending: Mutex::default(),
            bell: Condvar::new(),
            output: Mutex::new(Output {
                buffer: Vec::new(),
                write: Box::new(write),
            }),
        });
        let shared = Arc::clone(&stdout);
        let thread = std::thread::Builder::new().name("log".to_owned());
        if thread.spawn(move || shared.run()).is_err() {
            stdout.line(Severity::Warning, "no thread for log lines");
        }
        stdout
    }

    /// Takes a line without its end.
    pub(super) fn line(&self, severity: Severity, line: &str) {
        let mut pending = lock(&self.pending);
        let is_first = pending.is_empty();
        pending.extend_from_slice(line.as_bytes());
        pending.push(b'\n');
        let is_full = pending.len() >= MOST_BYTES;
        drop(pending);
        if is_full || severity >= Severity::Warning {
            self.flush();
        } else if is_first {
            self.bell.notify_one();
        }
    }

    /// Writes what has been gathered.
    pub(super) fn flush(&self) {
        let mut output = lock(&self.output);
        let Output { buffer, write } = &mut *output;
        std::mem::swap(&mut *lock(&self.pending), buffer);
        if !buffer.is_empty() {
            write(buffer);
            buffer.clear();
        }
    }

    fn run(&self) {
        loop {
            let pending = self
                .bell
                .wait_while(lock(&self.pending), |pending| pending.is_empty());
            drop(pending);
            std::thread::sleep(GATHER);
            self.flush();
        }
    }
}

/// Writes to standard output. That nobody reads it is no reason to stop.
pub(super) fn print(lines: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(lines).and_then(|()| stdout.flush());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long lines are gathered.
const GATHER: Duration = Duration::from_millis(2);
/// Gathered bytes from which on a line is written by whom it comes from.
const MOST_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// What was written, in one piece each.
    fn open() -> (Arc<Stdout>, Arc<Mutex<Vec<String>>>) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let pieces = Arc::clone(&written);
        let stdout = Stdout::open(move |bytes| {
            lock(&pieces).push(String::from_utf8(bytes.to_vec()).unwrap());
        });
        (stdout, written)
    }

    #[test]
    fn lines_are_written_soon_in_order_and_together() {
        let (stdout, written) = open();
        for number in 0..1000 {
            stdout.line(Severity::Info, &number.to_string());
        }
        let end = Instant::now() + Duration::from_secs(10);
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        while lock(&written).concat() != expected {
            assert!(Instant::now() < end, "{:?}", lock(&written));
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(lock(&written).len() < 500);
    }

    #[test]
    fn a_warning_is_written_at_once_behind_what_came_before() {
        let (stdout, written) = open();
        stdout.line(Severity::Info, "a");
        stdout.line(Severity::Warning, "b");
        assert_eq!(lock(&written).concat(), "a\nb\n");
    }

    #[test]
    fn what_is_gathered_is_bounded() {
        let (stdout, written) = open();
        let line = "x".repeat(1000);
        for _ in 0..MOST_BYTES / 1000 {
            stdout.line(Severity::Info, &line);
        }
        let length = |written: &Mutex<Vec<String>>| lock(written).concat().len();
        stdout.line(Severity::Info, &line);
        assert!(length(&written) > 0);
        stdout.flush();
        assert_eq!(length(&written), 1001 * (MOST_BYTES / 1000 + 1));
    }
}
