//! Line numbers of positions in a file, and a limit on the bytes read for one record.
//!
//! The `csv` crate counts lines as well, but it places the start of a record directly after the
//! `\r` that ends the previous record, and before empty lines that it skips. In a file with CRLF
//! line ends, its number is too low by one.

use std::collections::VecDeque;
use std::io::{self, Read};

use memchr::memchr2_iter;

/// A reader that records the positions of line ends.
pub(super) struct LineNumberReader<R> {
    inner: R,
    read: u64,
    /// Offset in the file, in bytes, at which reading stops.
    limit: u64,
    /// Offsets of the `\r` and `\n` bytes read so far, without those that `line_at` has passed.
    ends: VecDeque<(u64, u8)>,
    /// Offset of the last `\r` that `line_at` passed: a `\n` directly after it ends the same line.
    carriage: Option<u64>,
    line: u64,
}

impl<R> LineNumberReader<R> {
    /// Wraps `inner` and permits `limit` bytes to be read.
    pub(super) const fn new(inner: R, limit: u64) -> Self {
        Self { inner, read: 0, limit, ends: VecDeque::new(), carriage: None, line: 1 }
    }

    /// Permits `bytes` more bytes to be read from the current position.
    pub(super) const fn allow(&mut self, bytes: u64) {
        self.limit = self.read.saturating_add(bytes);
    }

    /// Returns whether the permitted number of bytes has been read.
    pub(super) const fn is_at_limit(&self) -> bool {
        self.read >= self.limit
    }

    /// Returns the number of the line at the offset `byte`, counted from 1. If line ends begin
    /// there, returns the number of the line after them. Discards all earlier positions, so offsets
    /// must not decrease from call to call.
    pub(super) fn line_at(&mut self, mut byte: u64) -> u64 {
        while let Some((at, end)) = self.ends.front().copied().filter(|(at, _)| *at <= byte) {
            self.ends.pop_front();
            byte += u64::from(at == byte);
            let is_second = end == b'\n' && self.carriage.map(|carriage| carriage + 1) == Some(at);
            self.line += u64::from(!is_second);
            self.carriage = (end == b'\r').then_some(at);
        }
        self.line
    }
}

impl<R: Read> Read for LineNumberReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_at_limit() {
            return Err(io::Error::other("the record is longer than the read limit"));
        }
        let read = self.inner.read(buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        let start = self.read;
        let ends = memchr2_iter(b'\r', b'\n', bytes);
        self.ends.extend(ends.filter_map(|at| Some((start + at as u64, *bytes.get(at)?))));
        self.read += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_numbers_match_those_of_editors() {
        let text = "a\n\n\r\nb\r\nc\rd";
        let mut reader = LineNumberReader::new(text.as_bytes(), u64::MAX);
        reader.read_to_end(&mut Vec::new()).unwrap();
        // The offsets are those of a record, of the line ends before one, of a record, and of the
        // `\n` in a CRLF.
        assert_eq!([0, 1, 5, 7].map(|byte| reader.line_at(byte)), [1, 4, 4, 5]);
        assert_eq!(reader.line_at(text.find('d').unwrap() as u64), 6);
    }
    #[test]
    fn reading_above_byte_limit_fails_until_limit_is_raised() {
        let mut reader = LineNumberReader::new(&b"abcdefgh"[..], 4);
        let mut buffer = [0; 3];
        assert_eq!(reader.read(&mut buffer).unwrap(), 3);
        assert!(!reader.is_at_limit());
        // A read that begins below the limit is not shortened by it.
        assert_eq!(reader.read(&mut buffer).unwrap(), 3);
        assert!(reader.is_at_limit() && reader.read(&mut buffer).is_err());
        reader.allow(1);
        assert_eq!(reader.read(&mut buffer).unwrap(), 2);
    }
}
