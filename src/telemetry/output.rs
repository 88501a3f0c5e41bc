//! Writes log lines to standard error on a thread of its own.
//!
//! A thread that logs appends its line to a queue of limited size and never waits for standard
//! error. If the queue is full, because standard error is not read, or if a write fails, because
//! the pipe is closed or the disk is full, lines are dropped and counted. When standard error
//! works again, an audit event has their number.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use prometheus::IntCounter;
use tracing_subscriber::fmt::MakeWriter;

use super::repeats::Repeats;
use crate::observe::audit::TARGET;

/// Capacity of the queue of log lines, in bytes.
const CAPACITY: usize = 1024 * 1024;
/// Capacity of a buffer that is kept while the log is idle, in bytes.
const IDLE_CAPACITY: usize = 64 * 1024;
/// Maximum time to wait at the end of the process until the queued lines are written.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);
/// Pause before another attempt to write to a standard error that is in non-blocking mode and full.
const FULL_PAUSE: Duration = Duration::from_millis(10);
/// Interval between two checks whether the numbers of repeated lines are due.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Queue of the log lines of this process, and the state of the thread that writes them. Clones
/// share the queue.
#[derive(Clone)]
pub(super) struct LogOutput(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Notified when a line is added to an empty queue.
    added: Condvar,
    /// Notified when the thread has written the lines that it took from the queue.
    written: Condvar,
}

#[derive(Default)]
struct State {
    /// Queued log lines, each with its newline.
    lines: Vec<u8>,
    /// Whether the thread is writing lines that it took from the queue.
    is_writing: bool,
    /// Number of dropped lines since the last report of them.
    dropped: u64,
    /// Number of lines that were dropped before `counter` was set.
    uncounted: u64,
    /// Metric of dropped lines, if metrics are on.
    counter: Option<IntCounter>,
}

impl LogOutput {
    /// Starts the thread that writes the queued lines to standard error. It also reports the
    /// numbers of `repeats`.
    ///
    /// # Errors
    /// When standard error cannot be duplicated, or the thread cannot be started.
    pub(super) fn start(repeats: Option<Repeats>) -> io::Result<Self> {
        // A descriptor of its own: the thread must not hold the lock of `std::io::stderr` while
        // nothing reads standard error.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let output = Self::new();
        let queue = output.clone();
        let run = move || queue.run(stderr, repeats.as_ref());
        thread::Builder::new().name("log".into()).spawn(run)?;
        Ok(output)
    }

    fn new() -> Self {
        let (state, added, written) = Default::default();
        Self(Arc::new(Shared { state, added, written }))
    }

    /// Counts dropped lines in `counter` too, including those that were dropped before this call.
    pub(super) fn count_in(&self, counter: IntCounter) {
        let mut state = self.state();
        counter.inc_by(std::mem::take(&mut state.uncounted));
        state.counter = Some(counter);
    }

    /// Waits until the queued lines are written or dropped, for [`FLUSH_LIMIT`] at most.
    pub(super) fn flush(&self) {
        let is_busy = |state: &mut State| state.is_writing || !state.lines.is_empty();
        // After the time limit the process ends without the lines.
        let _ = self.0.written.wait_timeout_while(self.state(), FLUSH_LIMIT, is_busy);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut state = self.state();
        if state.lines.len() + line.len() > CAPACITY {
            state.drop_lines(1);
            return;
        }
        let was_empty = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.0.added.notify_one();
        }
    }

    /// Writes the queued lines to `out`. Never returns.
    fn run(&self, mut out: impl Write, repeats: Option<&Repeats>) {
        let mut writer = LineWriter::default();
        let mut batch = Vec::new();
        let mut report = DroppedReport::default();
        loop {
            self.take(&mut batch);
            // Now, since the queue has room, and without its lock, since the report is a line too.
            let due = report.due(&mut self.state());
            due.into_iter().for_each(report_dropped);
            let lost = writer.write(&mut out, &batch);
            report.written(lost, &mut self.state());
            if let Some(repeats) = repeats {
                repeats.report_due();
            }
            self.state().is_writing = false;
            self.0.written.notify_all();
        }
    }

    /// Waits for queued lines, for [`REPORT_INTERVAL`] at most, and moves them to `batch`, which
    /// gives its memory to the queue.
    fn take(&self, batch: &mut Vec<u8>) {
        batch.clear();
        batch.shrink_to(IDLE_CAPACITY);
        let is_empty = |state: &mut State| state.lines.is_empty();
        let waited = self.0.added.wait_timeout_while(self.state(), REPORT_INTERVAL, is_empty);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.lines, batch);
        state.is_writing = true;
    }
}

impl State {
    fn drop_lines(&mut self, count: u64) {
        self.dropped += count;
        match &self.counter {
            Some(counter) => counter.inc_by(count),
            None => self.uncounted += count,
        }
    }
}

/// Decides when the number of dropped lines is reported: after a write that has succeeded.
#[derive(Default)]
struct DroppedReport {
    has_failed: bool,
    /// Number in a report among the lines that are being written.
    being_written: u64,
    /// Number in a report that is in the queue.
    queued: u64,
}

impl DroppedReport {
    /// Returns the number of dropped lines that is to be reported now. To be called when lines have
    /// been taken from the queue.
    fn due(&mut self, state: &mut State) -> Option<u64> {
        self.being_written = std::mem::take(&mut self.queued);
        if !self.has_failed {
            self.queued = std::mem::take(&mut state.dropped);
        }
        (self.queued > 0).then_some(self.queued)
    }

    /// Counts the lines that could not be written. If a report was among them, its number is due
    /// again, and the report itself does not count.
    fn written(&mut self, lost: u64, state: &mut State) {
        self.has_failed = lost > 0;
        if self.has_failed {
            state.dropped += self.being_written;
            state.drop_lines(lost - u64::from(self.being_written > 0));
        }
    }
}

/// Writes an audit event of dropped log lines, since they may have been audit events.
fn report_dropped(dropped: u64) {
    tracing::warn!(
        target: TARGET, event = "log_lines_dropped", dropped,
        "log lines were dropped, because standard error was full, closed or not read",
    );
}

impl<'a> MakeWriter<'a> for LogOutput {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &LogOutput {
    /// Queues a log line, which tracing-subscriber writes as a whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines, and ends a line that an earlier failure cut off.
#[derive(Default)]
struct LineWriter {
    /// Whether a failure has cut a line off, so that a newline must precede the next line.
    is_cut_off: bool,
}

impl LineWriter {
    /// Writes `lines` to `out` and returns the number of lines that could not be written.
    fn write(&mut self, out: &mut impl Write, lines: &[u8]) -> u64 {
        if lines.is_empty() || (self.is_cut_off && write_all(out, b"\n") == 0) {
            return count(lines);
        }
        let (written, rest) = lines.split_at(write_all(out, lines).min(lines.len()));
        self.is_cut_off = written.last().is_some_and(|last| *last != b'\n');
        count(rest)
    }
}

/// Writes `bytes` until a write fails, and returns the number of bytes that were written.
fn write_all(out: &mut impl Write, bytes: &[u8]) -> usize {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match out.write(rest) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::park_timeout(FULL_PAUSE);
            }
            Err(_) => break,
        }
    }
    written
}

/// Returns the number of lines that end in `bytes`.
fn count(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests;
