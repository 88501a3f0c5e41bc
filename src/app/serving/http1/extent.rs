//! Where a request ends (RFC 9112 §6), so far as that has to be known before it is decoded.

use memchr::memchr;

/// Where in a request the next octet is.
pub(super) enum Extent {
    /// In its head, of which this is known; it has not begun before a line that is not empty (§2.2).
    Head(Line, Option<Framing>),
    /// In a body of which so many octets are to come.
    Length(u64),
    /// In a body that comes in chunks.
    Chunks(Line, Chunk),
    /// Behind it.
    Whole,
}

/// As much of a line of a head as says something of the body.
const FIELD: usize = 64;
/// As much of a line between chunks as says how large the next one is.
const SIZE: usize = 24;

/// The beginning of a line of which the end has not come.
#[derive(Default)]
pub(super) struct Line(Vec<u8>);

/// How long the body is, by the fields that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Framing {
    /// There is none.
    #[default]
    Nothing,
    Length(u64),
    Chunked,
    /// Nothing that can be told: none of it is handed on, and whoever waits for it gives up.
    Unknown,
}

/// Where in a chunked body (§7.1) the next octet is.
#[derive(Clone, Copy)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    /// In what ends the data of a chunk.
    End,
    Trailer,
}

impl Default for Extent {
    fn default() -> Self {
        Self::Head(Line::default(), None)
    }
}

impl Extent {
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }

    pub(super) const fn is_in_body(&self) -> bool {
        matches!(self, Self::Length(_) | Self::Chunks(..))
    }

    /// Reads what comes next; how much of it is of this request.
    pub(super) fn take(&mut self, octets: &[u8]) -> usize {
        let mut rest = octets;
        while !rest.is_empty() && !self.is_whole() {
            let (taken, next) = self.step(rest);
            rest = rest.split_at(taken).1;
            if let Some(next) = next {
                *self = next;
            }
        }
        octets.len() - rest.len()
    }

    /// Reads some of it, at least one octet; where that leads to.
    fn step(&mut self, octets: &[u8]) -> (usize, Option<Self>) {
        match self {
            Self::Head(line, framing) => {
                let (taken, ended) = line.read(octets, FIELD, |line| match framing {
                    Some(framing) if is_empty(line) => Some(framing.body()),
                    Some(framing) => {
                        framing.note(line);
                        None
                    }
                    None => {
                        *framing = (!is_empty(line)).then(Framing::default);
                        None
                    }
                });
                (taken, ended.flatten())
            }
            Self::Length(left) => {
                let taken = within(octets, left);
                (taken, (*left == 0).then_some(Self::Whole))
            }
            Self::Chunks(_, Chunk::Data(left)) => {
                let taken = within(octets, left);
                let ended = *left == 0;
                (taken, ended.then(|| Self::Chunks(Line::default(), Chunk::End)))
            }
            Self::Chunks(line, chunk) => {
                let at = *chunk;
                let (taken, next) = line.read(octets, SIZE, |line| at.behind(line));
                let next = next.map(|next| {
                    next.map_or(Self::Whole, |next| Self::Chunks(Line::default(), next))
                });
                (taken, next)
            }
            Self::Whole => (octets.len(), None),
        }
    }
}

impl Line {
    /// Reads up to the end of the line; what `read` makes of it, if the end is there. Of a line that comes
    /// in pieces no more is kept than its first `most` octets.
    fn read<T>(
        &mut self,
        octets: &[u8],
        most: usize,
        read: impl FnOnce(&[u8]) -> T,
    ) -> (usize, Option<T>) {
        let Some(end) = memchr(b'\n', octets) else {
            self.keep(octets, most);
            return (octets.len(), None);
        };
        let (end, _) = octets.split_at(end + 1);
        if self.0.is_empty() {
            return (end.len(), Some(read(end)));
        }
        self.keep(end, most);
        let made = read(&self.0);
        self.0.clear();
        (end.len(), Some(made))
    }

    fn keep(&mut self, octets: &[u8], most: usize) {
        let room = most.saturating_sub(self.0.len());
        self.0.extend(octets.iter().take(room));
    }
}

impl Framing {
    /// Takes note of a field line (§5), if it says something of the body.
    fn note(&mut self, line: &[u8]) {
        // Nearly no field begins so.
        let Some(b'c' | b'C' | b't' | b'T') = line.first() else { return };
        let Some(colon) = memchr(b':', line) else { return };
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or_default();
        // Of a longer one than is kept the end is not there.
        let value = value.strip_suffix(b"\n").unwrap_or_default().trim_ascii();
        let said = match name.trim_ascii() {
            name if name.eq_ignore_ascii_case(b"content-length") => {
                number(value, 10).map_or(Self::Unknown, Self::Length)
            }
            name if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if value.eq_ignore_ascii_case(b"chunked") { Self::Chunked } else { Self::Unknown }
            }
            _ => return,
        };
        *self = if *self == Self::Nothing { said } else { Self::Unknown };
    }

    /// What is behind the head.
    fn body(self) -> Extent {
        match self {
            Self::Nothing | Self::Unknown | Self::Length(0) => Extent::Whole,
            Self::Length(length) => Extent::Length(length),
            Self::Chunked => Extent::Chunks(Line::default(), Chunk::Size),
        }
    }
}

impl Chunk {
    /// What is behind this line; `None` for the end, also of what cannot be told.
    fn behind(self, line: &[u8]) -> Option<Self> {
        match self {
            Self::Size => {
                let end = line.iter().position(|octet| !octet.is_ascii_hexdigit())?;
                let size = number(line.split_at(end).0, 16)?;
                Some(if size == 0 { Self::Trailer } else { Self::Data(size) })
            }
            Self::Data(_) | Self::End => is_empty(line).then_some(Self::Size),
            Self::Trailer => (line != b"\r\n").then_some(Self::Trailer),
        }
    }
}

fn is_empty(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n")
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let are_digits = digits.iter().all(u8::is_ascii_hexdigit);
    let text = str::from_utf8(digits).ok().filter(|_| are_digits)?;
    u64::from_str_radix(text, radix).ok()
}

/// How many of these octets are among those that are left, and counts them.
fn within(octets: &[u8], left: &mut u64) -> usize {
    let taken = usize::try_from(*left).map_or(octets.len(), |left| left.min(octets.len()));
    *left -= taken as u64;
    taken
}

#[cfg(test)]
mod tests;
