//! Output of commands: results on standard output, remarks on standard error.

use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::failure::Failure;

/// Maximum time to wait until a message is written to a standard error that is not read.
const MESSAGE_LIMIT: Duration = Duration::from_secs(5);

/// Prints a remark or an error on standard error. If standard error is closed, full or not read,
/// the message is dropped, so that the command goes on, and ends with its exit code.
pub(super) fn message(text: impl std::fmt::Display) {
    let line = format!("sentinel: {text}\n");
    let (done, written) = channel();
    let write = move || {
        let _ = io::stderr().write_all(line.as_bytes());
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = written.recv_timeout(MESSAGE_LIMIT);
    }
}

/// Prints a result and a newline on standard output.
///
/// # Errors
/// [`Failure::io`] if the result cannot be written, also because its reader has closed the pipe.
pub(super) fn line(text: impl AsRef<str>) -> Result<(), Failure> {
    write(&format!("{}\n", text.as_ref())).map_err(|error| failed(&error))
}

/// Returns the result of printing, with a failure that says that the change itself is made.
pub(super) fn of_change(printed: Result<(), Failure>) -> Result<(), Failure> {
    printed.map_err(Failure::after_change)
}

/// Prints a part of a long text on standard output. Returns `false` if the reader has closed the
/// pipe (`| head`).
pub(super) fn print(text: impl AsRef<str>) -> Result<bool, Failure> {
    match write(text.as_ref()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}

/// Prints a long text and a newline on standard output. The reader may close the pipe early.
pub(super) fn long_text(text: &str) -> Result<(), Failure> {
    print(format!("{}\n", text.trim_end())).map(drop)
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

fn failed(error: &io::Error) -> Failure {
    Failure::io(format!("cannot write the output: {error}"))
}

/// Prints a value as one line of JSON on standard output.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string(value).map_err(Failure::io)?)
}

/// Prints rows in columns, under a heading, on standard output.
pub(super) fn table<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<(), Failure> {
    let mut table = Table::with_heading(heading);
    line(table.lines(rows))
}

/// Formatter of rows in columns. Later rows may widen the columns.
pub(super) struct Table<const N: usize> {
    heading: Option<[String; N]>,
    widths: [usize; N],
}

impl<const N: usize> Table<N> {
    pub(super) fn with_heading(heading: [&str; N]) -> Self {
        Self { heading: Some(heading.map(str::to_owned)), widths: [0; N] }
    }

    /// Formats rows of the table, under the heading at the first call, and returns the text without
    /// the last newline. [`plain`] escapes the cells for a terminal.
    pub(super) fn lines(&mut self, rows: impl IntoIterator<Item = [String; N]>) -> String {
        let plain = rows.into_iter().map(|row| row.map(|cell| plain(&cell)));
        let rows: Vec<[String; N]> = self.heading.take().into_iter().chain(plain).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let lines = rows.iter().map(|row| {
            let cells = row.iter().zip(self.widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Prints the properties of a record, one on each line; [`plain`] escapes the values.
pub(super) fn properties(of: &[(&str, String)]) -> Result<(), Failure> {
    let width = of.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line_of = |(name, value): &(&str, String)| format!("{name:width$}  {}", plain(value));
    let lines = of.iter().map(|property| line_of(property).trim_end().to_owned());
    line(lines.collect::<Vec<_>>().join("\n"))
}

/// Escapes a text for a terminal. A name may contain characters that move the cursor, change
/// colours or reverse the direction of writing, and so forge the text around it. Such characters
/// are escaped, and backslashes are doubled, so that no other text looks like an escape.
pub(super) fn plain(text: &str) -> String {
    // Quotation marks are harmless, and escaping them would confuse.
    const QUOTES: [char; 2] = ['\'', '"'];
    let mut shown = String::with_capacity(text.len());
    for piece in text.split_inclusive(QUOTES) {
        let (words, quote) = piece.split_at(piece.trim_end_matches(QUOTES).len());
        shown.extend(words.escape_debug());
        shown.push_str(quote);
    }
    shown
}
