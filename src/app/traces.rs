//! Exports spans to a collector with OTLP. They are queued, and a thread of their own sends them in
//! batches.
//!
//! The queue, the batches and the encoding are those of the OpenTelemetry SDK. Its tracer is not
//! used: a request becomes a span only when its response is known.

mod client;

use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanProcessor};

use super::StartError;
use crate::domain::random_index;
use crate::observe::trace::{Collector, Span, new_span};
use crate::settings::TracesSettings;
use client::OtlpClient;

/// Time limit for sending the remaining spans when the server stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks whether spans can be sent to `traces.endpoint`, without starting a thread or connecting.
pub(super) fn check(settings: &TracesSettings) -> Result<(), StartError> {
    let client = settings.endpoint.as_deref().map(OtlpClient::new).transpose();
    client.map(drop).map_err(StartError::Traces)
}

/// Exports spans to a trace collector. Drops spans for which its queue has no room.
#[derive(Debug)]
pub(super) struct Exporter {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    sample_percent: u8,
    /// One moment on both the monotonic and the system clock, to convert the times of spans.
    anchor: (Instant, SystemTime),
}

impl Exporter {
    /// Starts the thread that exports spans if `traces.endpoint` is set. Does not check whether the
    /// collector is reachable.
    pub(super) fn start(settings: &TracesSettings) -> Result<Option<Self>, StartError> {
        let Some(endpoint) = &settings.endpoint else { return Ok(None) };
        let failed = |error: &dyn std::fmt::Display| StartError::Traces(error.to_string());
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(OtlpClient::new(endpoint).map_err(|error| failed(&error))?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .build()
            .map_err(|error| failed(&error))?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty().with_service_name("sentinel");
        processor.set_resource(&resource.with_attribute(version).build());
        Ok(Some(Self {
            processor,
            scope: InstrumentationScope::builder("sentinel").build(),
            sample_percent: settings.sample_percent,
            anchor: anchor(),
        }))
    }

    /// Sends the spans that are still in the queue, and stops exporting.
    pub(super) fn finish(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
            tracing::warn!(%error, "cannot send the last spans to traces.endpoint: they are lost");
        }
    }

    fn time(&self, moment: Instant) -> SystemTime {
        self.anchor.1 + moment.saturating_duration_since(self.anchor.0)
    }

    fn data(
        &self,
        (context, parent): (SpanContext, Option<&SpanContext>),
        (name, kind): (String, SpanKind),
        (started, took): (Instant, Duration),
    ) -> SpanData {
        let start_time = self.time(started);
        SpanData {
            span_context: context,
            parent_span_id: parent.map_or(SpanId::INVALID, SpanContext::span_id),
            parent_span_is_remote: parent.is_some_and(SpanContext::is_remote),
            span_kind: kind,
            name: name.into(),
            start_time,
            end_time: start_time + took,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// Returns the current time on the monotonic clock and on the system clock. Spans have real time
/// even if the server runs on another clock.
#[allow(clippy::disallowed_methods)]
fn anchor() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

impl Collector for Exporter {
    fn samples(&self) -> bool {
        random_index(100) < usize::from(self.sample_percent)
    }

    fn take(&self, span: Span) {
        for step in &span.steps {
            let context = (new_span(Some(&span.context)), Some(&span.context));
            let name = (step.name.to_owned(), SpanKind::Internal);
            self.processor.on_end(self.data(context, name, (step.started, step.took)));
        }
        // OpenTelemetry's semantic conventions for HTTP spans: the name is "{method} {target}". For
        // an unknown method the name is "HTTP" and the attribute is "_OTHER", which limits the
        // number of names.
        // Deviation: there is no `http.request.method_original`, no `url.path` and no address,
        // though the conventions require the path. A caller could put anything into them, a token
        // too, and paths of the management page contain ids.
        // Test: `span_names_contain_no_method_or_path_made_up_by_a_caller`.
        let method = span.method.unwrap_or("HTTP");
        let name = match &span.route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        };
        let times = (span.started, span.took);
        let context = (span.context, span.parent.as_ref());
        let mut data = self.data(context, (name, SpanKind::Server), times);
        data.attributes = vec![
            KeyValue::new("http.request.method", span.method.unwrap_or("_OTHER")),
            KeyValue::new("http.response.status_code", i64::from(span.status)),
            KeyValue::new("url.scheme", if span.secure { "https" } else { "http" }),
            KeyValue::new("sentinel.endpoint", span.endpoint),
        ];
        data.attributes.extend(span.route.map(|route| KeyValue::new("http.route", route)));
        // By the conventions, a client error (4xx) is not an error of a server span.
        if span.status >= 500 {
            data.attributes.push(KeyValue::new("error.type", span.status.to_string()));
            data.status = Status::error("");
        }
        self.processor.on_end(data);
    }
}
