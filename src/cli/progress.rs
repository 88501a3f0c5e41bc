//! Progress of a long command, shown on standard error if that is a terminal.

use std::io::{IsTerminal, Read};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Interval between redraws of the progress bar.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// Progress bar on standard error, removed on drop. `None` (no bar) if standard error is not a
/// terminal, or with `--json`.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Creates a progress display for work of unknown length.
    pub(super) fn counting(json: bool) -> Self {
        Self::new(json, None, "{spinner} {msg} {human_pos} ({per_sec})")
    }

    /// Creates a progress display for reading a file, whose length may be unknown.
    pub(super) fn reading(json: bool, bytes: Option<u64>) -> Self {
        match bytes {
            None => Self::counting(json),
            Some(bytes) => Self::new(json, Some(bytes), "{wide_bar} {percent}% {eta} {msg}"),
        }
    }

    fn new(json: bool, length: Option<u64>, template: &str) -> Self {
        if json || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(10));
        #[expect(clippy::expect_used, reason = "all templates are constants of this file")]
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        bar.enable_steady_tick(REDRAW_INTERVAL);
        Self(Some(bar))
    }

    /// Returns a reader of `file` that moves the progress bar if the length of the file is known.
    pub(super) fn reader(&self, file: Box<dyn Read>) -> Box<dyn Read> {
        match &self.0 {
            Some(bar) if bar.length().is_some() => Box::new(bar.wrap_read(file)),
            _ => file,
        }
    }

    /// Shows the number of rows of a file read so far, of users for example (`kind`).
    pub(super) fn rows_read(&self, rows: u64, kind: &str) {
        match &self.0 {
            Some(bar) if bar.length().is_some() => bar.set_message(format!("{rows} {kind}")),
            _ => self.at(rows, format!("{rows} {kind}")),
        }
    }

    /// Shows how much work is done (`position`), and a message.
    pub(super) fn at(&self, position: u64, message: impl Into<std::borrow::Cow<'static, str>>) {
        if let Some(bar) = &self.0 {
            bar.set_message(message);
            bar.set_position(position);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
