//! W3C Trace Context (`traceparent`), and the spans of a request, for a [`Collector`].

use std::cell::RefCell;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
pub use opentelemetry::trace::SpanContext;
use opentelemetry::trace::{TraceContextExt, TraceFlags, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

/// Parses a `traceparent` header, which has the context of the caller's span (W3C Trace Context
/// §3.2). Returns `None` if it is malformed.
pub fn parse_traceparent(header: &str) -> Option<SpanContext> {
    if !is_well_formed(header) {
        return None;
    }
    let context =
        TraceContextPropagator::new().extract_with_context(&Context::new(), &Header(header));
    let parent = context.span().span_context().clone();
    parent.is_valid().then_some(parent)
}

/// Returns whether the parts of a `traceparent` header have the lengths of W3C Trace Context
/// §3.2.2, in lower-case hex, and version 00 has no further parts. OpenTelemetry's propagator alone
/// would accept other lengths, signs and spaces.
fn is_well_formed(header: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = header.split('-');
    [2, 32, 16, 2]
        .iter()
        .all(|length| parts.next().is_some_and(|part| part.len() == *length && is_hex(part)))
        && (parts.next().is_none() || !header.starts_with("00"))
}

/// A `traceparent` header without `tracestate`, as OpenTelemetry's propagator reads it.
struct Header<'a>(&'a str);

impl Extractor for Header<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// Returns the context of a new span in the trace of `parent`, or in a new trace. The new span is
/// marked as sampled.
pub fn new_span(parent: Option<&SpanContext>) -> SpanContext {
    let ids = RandomIdGenerator::default();
    let trace_id = parent.map_or_else(|| ids.new_trace_id(), SpanContext::trace_id);
    SpanContext::new(trace_id, ids.new_span_id(), TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// Recorder of the timed steps (such as store look-ups) of one traced request.
#[derive(Debug)]
pub struct Recorder {
    /// Context (trace id and span id) of the request's own span.
    context: SpanContext,
    steps: RefCell<Vec<Step>>,
}

/// A timed step of a request, such as a store look-up or hashing a password.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Name of the step, such as `users.find`.
    pub name: &'static str,
    /// Time at which the step started.
    pub started: Instant,
    /// Duration of the step.
    pub took: Duration,
}

impl Recorder {
    /// Creates a recorder of a request, with a new span in the trace of `parent` or in a new trace.
    pub fn new(parent: Option<&SpanContext>) -> Self {
        Self { context: new_span(parent), steps: RefCell::default() }
    }

    /// Returns the context (trace id and span id) of the request's own span.
    pub const fn context(&self) -> &SpanContext {
        &self.context
    }

    pub(super) fn record(&self, name: &'static str, started: Instant, took: Duration) {
        self.steps.borrow_mut().push(Step { name, started, took });
    }

    /// Returns the steps recorded so far and removes them from the recorder.
    pub fn steps(&self) -> Vec<Step> {
        self.steps.take()
    }
}

/// Span of a completed request, for a [`Collector`].
#[derive(Debug)]
pub struct Span {
    /// Context (trace id and span id) of the request's own span.
    pub context: SpanContext,
    /// Context of the caller's span, if the request names one.
    pub parent: Option<SpanContext>,
    /// HTTP method of the request, if it is a known one.
    pub method: Option<&'static str>,
    /// Path pattern of the route that the request matched, if any.
    pub route: Option<String>,
    /// Name of the endpoint that responded, as in metrics.
    pub endpoint: &'static str,
    /// Whether the request came over TLS.
    pub secure: bool,
    /// HTTP status code of the response.
    pub status: u16,
    /// Time at which the request arrived.
    pub started: Instant,
    /// Time from the arrival of the request to the head of its response.
    pub took: Duration,
    /// Timed steps of the request, such as store look-ups.
    pub steps: Vec<Step>,
}

/// Receives the spans of completed requests. The methods are called on I/O threads and must not
/// block.
pub trait Collector: Send + Sync {
    /// Returns whether to trace a request for which the caller has not decided, or may not decide.
    fn samples(&self) -> bool;

    /// Accepts the span of a completed request for export, or drops the span.
    fn take(&self, span: Span);
}
