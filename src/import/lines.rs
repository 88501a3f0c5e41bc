//! The lines of a file of JSON Lines.

use std::io::{self, BufRead, Read};

/// Longer than any record; a file that is something else must not fill the memory.
pub(super) const MAX_LINE: usize = 1 << 20;

/// Why the rest of a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// A line that does not end.
    #[error("line {0} is longer than any record: is this JSON Lines?")]
    TooLong(u64),
    /// Reading failed.
    #[error("cannot read the file: {0}")]
    Read(#[from] io::Error),
}

/// The lines, with their numbers. Those without anything on them are passed over.
pub struct Lines<R> {
    reader: R,
    line: u64,
}

impl<R: BufRead> Lines<R> {
    /// Those of `reader`.
    pub const fn new(reader: R) -> Self {
        Self { reader, line: 0 }
    }

    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// [`LinesError`] when the rest of the file cannot be read.
    // No iterator: what is behind an error is not to be read.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, LinesError> {
        loop {
            let mut bytes = Vec::new();
            let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
            if self.reader.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if bytes.len() >= MAX_LINE {
                return Err(LinesError::TooLong(self.line));
            }
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some((self.line, bytes)));
            }
        }
    }
}
