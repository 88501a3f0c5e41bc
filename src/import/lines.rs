//! Line reader for JSON Lines.

use std::io::{self, BufRead, Read};

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// Maximum length of a line in bytes. It limits memory if the file is not JSON Lines.
pub(super) const MAX_LINE: usize = 1 << 20;

/// Byte order mark in UTF-8, with which some editors begin a file. It is no part of the first line.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reason why the rest of a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// The line of the file with this number is too long.
    #[error("line {0} is longer than 1 MiB; the file may not be JSON Lines")]
    TooLong(u64),
    /// The first line of the file begins a JSON value and does not end it.
    #[error(
        "line {0} is not a complete JSON object; JSON Lines has one object per line, which \
         `jq -c .` makes of indented JSON, and `jq -c '.[]'` of an array"
    )]
    Incomplete(u64),
    /// Reading the file failed.
    #[error("cannot read the file: {0}")]
    Read(#[from] io::Error),
}

/// A row of a file of users or clients that cannot be imported.
#[derive(Debug, serde::Serialize)]
pub struct InvalidRow {
    /// Line number of the row in the file, counted from 1.
    pub line: u64,
    /// User name or client id of the row, if the row has one.
    #[serde(flatten)]
    pub name: Option<RowName>,
    /// Reason why the row cannot be imported, without its contents.
    pub reason: String,
}

/// User name or client id of a row.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowName {
    /// User name, in a file of users.
    Username(String),
    /// Client identifier (RFC 6749 §2.2), in a file of clients.
    ClientId(String),
}

/// Number of a line, and its JSON object or the reason why it has none.
pub type NumberedObject = (u64, Result<Map<String, Value>, String>);

/// Reader of the non-empty lines of a file, with their numbers.
pub struct Lines<R> {
    reader: R,
    line: u64,
    /// Whether a non-empty line was read.
    has_begun: bool,
}

impl<R: BufRead> Lines<R> {
    /// Creates a reader of the lines of `reader`.
    pub const fn new(reader: R) -> Self {
        Self { reader, line: 0, has_begun: false }
    }

    /// Returns the JSON object on the next non-empty line, or the reason why the line has none,
    /// with the number of the line, counted from 1; `None` at the end of the file.
    ///
    /// # Errors
    /// [`LinesError`] if the rest of the file cannot be read, or if it is not JSON Lines.
    pub fn next_object(&mut self) -> Result<Option<NumberedObject>, LinesError> {
        let is_first = !self.has_begun;
        let Some((line, bytes)) = self.next()? else { return Ok(None) };
        self.has_begun = true;
        // Indented JSON would be one error for each of its lines.
        let is_incomplete =
            || serde_json::from_slice::<IgnoredAny>(&bytes).is_err_and(|error| error.is_eof());
        if is_first && is_incomplete() {
            return Err(LinesError::Incomplete(line));
        }
        let object = serde_json::from_slice(&bytes);
        Ok(Some((line, object.map_err(|_| "it is not a JSON object on one line".to_owned()))))
    }

    /// Returns the next non-empty line and its number.
    fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, LinesError> {
        loop {
            let mut bytes = Vec::new();
            let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
            if self.reader.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.line == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            if bytes.len() >= MAX_LINE {
                return Err(LinesError::TooLong(self.line));
            }
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some((self.line, bytes)));
            }
        }
    }
}
