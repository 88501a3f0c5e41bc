//! Tells in which line of a file something stands, and reads no more for one record than a record may have.
//!
//! The `csv` crate counts too, and takes a record to begin behind the `\r` that ended the one before, and before the
//! empty lines that it passes over: in a file of Windows it is a line behind.

use std::collections::VecDeque;
use std::io::{self, Read};

use memchr::memchr2_iter;

/// A reader that notes where lines end.
pub(super) struct Numbered<R> {
    inner: R,
    read: u64,
    /// Nothing is read from here on.
    limit: u64,
    /// Where `\r` and `\n` were read, and which of them; without those that were asked about.
    ends: VecDeque<(u64, u8)>,
    /// Where the last `\r` was: with a `\n` behind it, it ends one line and not two.
    carriage: Option<u64>,
    line: u64,
}

impl<R> Numbered<R> {
    /// Lets so many bytes be read.
    pub(super) const fn new(inner: R, limit: u64) -> Self {
        Self { inner, read: 0, limit, ends: VecDeque::new(), carriage: None, line: 1 }
    }

    /// Lets so many more bytes be read from now on.
    pub(super) const fn allow(&mut self, bytes: u64) {
        self.limit = self.read.saturating_add(bytes);
    }

    /// Whether all has been read that may be.
    pub(super) const fn is_at_limit(&self) -> bool {
        self.read >= self.limit
    }

    /// The line of what begins at this byte, or behind the ends of lines that are there. What lies before it is
    /// forgotten.
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

impl<R: Read> Read for Numbered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_at_limit() {
            return Err(io::Error::other("more than was to be read"));
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
    fn a_line_is_the_one_that_an_editor_shows() {
        let text = "a\n\n\r\nb\r\nc\rd";
        let mut numbered = Numbered::new(text.as_bytes(), u64::MAX);
        numbered.read_to_end(&mut Vec::new()).unwrap();
        // Behind the end of the line before, in the middle of it, and at the thing itself.
        assert_eq!([0, 1, 5, 7].map(|byte| numbered.line_at(byte)), [1, 4, 4, 5]);
        assert_eq!(numbered.line_at(text.find('d').unwrap() as u64), 6);
    }
    #[test]
    fn no_more_is_read_than_is_allowed() {
        let mut numbered = Numbered::new(&b"abcdefgh"[..], 4);
        let mut buffer = [0; 3];
        assert_eq!(numbered.read(&mut buffer).unwrap(), 3);
        assert!(!numbered.is_at_limit());
        // What is left of a limit is not cut off a read.
        assert_eq!(numbered.read(&mut buffer).unwrap(), 3);
        assert!(numbered.is_at_limit() && numbered.read(&mut buffer).is_err());
        numbered.allow(1);
        assert_eq!(numbered.read(&mut buffer).unwrap(), 2);
    }
}
