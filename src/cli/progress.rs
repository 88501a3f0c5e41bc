//! How far a long command has come: for people at a terminal, on standard error; nothing on a pipe.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Looks are cheap, and so is drawing, but not a million times.
const DRAWN_EVERY: Duration = Duration::from_millis(100);

/// A bar, if there is somebody to see it. It goes when it is dropped.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Of something whose end is not known.
    pub(super) fn counting(json: bool) -> Self {
        Self::new(json, None, "{spinner} {msg} {human_pos} ({per_sec})")
    }

    /// Of a file of so many bytes, or of one whose end is not known.
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
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(DRAWN_EVERY);
        Self(Some(bar))
    }

    /// How far it is, and with what.
    pub(super) fn at(&self, position: u64, what: impl Into<std::borrow::Cow<'static, str>>) {
        if let Some(bar) = &self.0 {
            bar.set_message(what);
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
