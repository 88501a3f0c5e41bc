//! What a command prints: the answer on standard output, remarks on standard error.

use std::io::Write;

use clap::Args;
use serde::Serialize;

use super::failure::Failure;

/// How much of a list to print.
#[derive(Debug, Args)]
pub(super) struct Limit {
    /// Lists at most so many
    #[arg(
        long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    limit: u32,
}

impl Limit {
    /// One more than will be printed, which tells whether there are more.
    pub(super) const fn to_ask_for(&self) -> u32 {
        self.limit + 1
    }

    /// Cuts off the one too many, and says on standard error how to go on behind the last one left:
    /// a list that is cut short in silence would be taken for the whole.
    pub(super) fn cut<T>(&self, found: &mut Vec<T>, key: impl FnOnce(&T) -> String) {
        if found.len() <= self.limit as usize {
            return;
        }
        found.truncate(self.limit as usize);
        if let Some(last) = found.last() {
            let key = plain(&key(last)).replace('\'', r"'\''");
            // As with failures: with standard error closed there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "sentinel: there are more, with --after '{key}'");
        }
    }
}

/// Prints a text and ends the line.
pub(super) fn line(text: impl AsRef<str>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush());
    match written {
        // Whoever reads has seen enough (`| head`).
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Failure::io(format!("cannot write the output: {error}"))),
    }
}

/// Says something beside the answer, on standard error.
pub(super) fn remark(text: impl std::fmt::Display) {
    // As with failures: with standard error closed there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "sentinel: {text}");
}

/// Prints a value as one line of JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string(value).map_err(Failure::io)?)
}

/// Prints rows under a heading, in columns. The cells are made [`plain`].
pub(super) fn table<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<(), Failure> {
    let rows: Vec<[String; N]> = std::iter::once(heading.map(str::to_owned))
        .chain(rows.into_iter().map(|row| row.map(|cell| plain(&cell))))
        .collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    line(lines.collect::<Vec<_>>().join("\n"))
}

/// Prints one thing, a line for each of its properties. The values are made [`plain`].
pub(super) fn properties(of: &[(&str, String)]) -> Result<(), Failure> {
    let width = of.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line_of = |(name, value): &(&str, String)| format!("{name:width$}  {}", plain(value));
    let lines = of.iter().map(|property| line_of(property).trim_end().to_owned());
    line(lines.collect::<Vec<_>>().join("\n"))
}

/// Text that a terminal shows as it is. A name may hold characters that move the cursor, change
/// colours or turn the direction of writing, and so forge what stands around it; they are written as
/// escapes, and a backslash as two, so that nothing else looks like an escape.
pub(super) fn plain(text: &str) -> String {
    // Quotes do no harm, and escaped they would puzzle.
    const QUOTES: [char; 2] = ['\'', '"'];
    let mut shown = String::with_capacity(text.len());
    for piece in text.split_inclusive(QUOTES) {
        let (words, quote) = piece.split_at(piece.trim_end_matches(QUOTES).len());
        shown.extend(words.escape_debug());
        shown.push_str(quote);
    }
    shown
}
