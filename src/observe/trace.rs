//! W3C Trace Context (`traceparent`), and the spans of a request, for a [`Collector`].

use std::cell::RefCell;
use std::fmt;
use std::time::{Duration, Instant};

/// A span's position in a trace (W3C Trace Context §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// Trace id.
    pub trace_id: TraceId,
    /// Span id. In a `traceparent` header it is the caller's span.
    pub span_id: u64,
    /// Whether the span is recorded.
    pub sampled: bool,
}

/// Trace id of 128 bits, formatted as 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl TraceParent {
    /// Parses the header. W3C Trace Context §3.2.2: "version-format = trace-id "-" parent-id "-"
    /// trace-flags", in lower-case hex; "All bytes as zero […] is considered an invalid value".
    pub fn parse(header: &str) -> Option<Self> {
        let (version, rest) = (header.get(..2)?, header.get(2..)?);
        let version = hex(version)?;
        // §3.2.2: "Version 0xFF is invalid". §3.2.4: of a higher version, the known part is read.
        // It must end there or be followed by a dash.
        let ends_well = match (version, rest.as_bytes().get(53)) {
            (0xff, _) => false,
            (0, more) => more.is_none(),
            (_, more) => more.is_none_or(|byte| *byte == b'-'),
        };
        let mut parts = rest.get(..53)?.strip_prefix('-')?.split('-');
        let (Some(trace), Some(parent), Some(flags), None, true) =
            (parts.next(), parts.next(), parts.next(), parts.next(), ends_well)
        else {
            return None;
        };
        if (trace.len(), parent.len(), flags.len()) != (32, 16, 2) {
            return None;
        }
        let (trace_id, span_id) = (hex(trace)?, u64::try_from(hex(parent)?).ok()?);
        let sampled = hex(flags)? & 1 == 1;
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id: TraceId(trace_id),
            span_id,
            sampled,
        })
    }
}

/// Parses lower-case hex digits.
fn hex(text: &str) -> Option<u128> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.bytes().all(lower) { u128::from_str_radix(text, 16).ok() } else { None }
}

/// Records the steps of one traced request.
#[derive(Debug)]
pub struct Recorder {
    /// Context of the request's own span.
    context: TraceParent,
    steps: RefCell<Vec<Step>>,
}

/// A timed step of a request, such as a store look-up or hashing a password.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Name of the step.
    pub name: &'static str,
    /// Start time.
    pub started: Instant,
    /// Duration.
    pub took: Duration,
}

impl Recorder {
    /// Creates a recorder with a new span in the caller's trace, or in a new trace.
    pub fn new(parent: Option<TraceParent>) -> Self {
        let trace_id = parent.map_or_else(|| TraceId(not_zero()), |parent| parent.trace_id);
        let context = TraceParent { trace_id, span_id: not_zero(), sampled: true };
        Self { context, steps: RefCell::default() }
    }

    /// Returns the context of the request's own span.
    pub const fn context(&self) -> TraceParent {
        self.context
    }

    pub(super) fn note(&self, name: &'static str, started: Instant, took: Duration) {
        self.steps.borrow_mut().push(Step { name, started, took });
    }

    /// Returns the steps recorded so far and removes them from the recorder.
    pub fn steps(&self) -> Vec<Step> {
        self.steps.take()
    }
}

/// Returns a random number other than 0, because 0 is not a valid trace or span id.
pub fn not_zero<T: Default + PartialEq>() -> T
where
    rand::distr::StandardUniform: rand::distr::Distribution<T>,
{
    loop {
        let number = rand::random();
        if number != T::default() {
            return number;
        }
    }
}

/// A completed request, for a [`Collector`].
#[derive(Debug)]
pub struct Span {
    /// Context of the request's own span.
    pub context: TraceParent,
    /// Context of the caller's span.
    pub parent: Option<TraceParent>,
    /// HTTP method, if it is a known one.
    pub method: Option<&'static str>,
    /// Path pattern of the route, if one matched.
    pub route: Option<String>,
    /// Name of the endpoint, as in metrics.
    pub endpoint: &'static str,
    /// Whether the request came over TLS.
    pub secure: bool,
    /// HTTP status code of the response.
    pub status: u16,
    /// Start time.
    pub started: Instant,
    /// Duration.
    pub took: Duration,
    /// Steps of the request.
    pub steps: Vec<Step>,
}

/// Receives spans. The methods are called on I/O threads and must not block.
pub trait Collector: Send + Sync {
    /// Returns whether to trace a request for which the caller has not decided, or may not decide.
    fn samples(&self) -> bool;

    /// Accepts a span, or drops it.
    fn take(&self, span: Span);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn traceparent_is_parsed_strictly() {
        let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let parent = TraceParent::parse(&good).unwrap();
        assert_eq!(parent.trace_id.to_string(), TRACE);
        assert_eq!((parent.span_id, parent.sampled), (0x00f0_67aa_0ba9_02b7, true));
        let quiet = TraceParent::parse(&good.replace("-01", "-00")).unwrap();
        assert!(!quiet.sampled);
        let later = format!("cc-{TRACE}-00f067aa0ba902b7-01");
        assert_eq!(TraceParent::parse(&later), Some(parent));
        assert_eq!(TraceParent::parse(&format!("{later}-what-is-new")), Some(parent));
        for bad in [
            String::new(),
            "ä".repeat(30),
            good.to_uppercase(),
            good.replace("00-4", "ff-4"),
            good.replace("00-4", "0-4"),
            good.replace("-01", "-1"),
            good.replace("-01", "-0+"),
            format!("{good}-more"),
            format!("{later}.more"),
            good.replace(TRACE, &"0".repeat(32)),
            good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            good.replace("b7-01", "b-701"),
        ] {
            assert_eq!(TraceParent::parse(&bad), None, "{bad}");
        }
    }
}
