//! Output of the server apart from the response: addresses in the audit log, and spans.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use sentinel::observe::trace::{Collector, Span};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Addresses in the audit events of this thread.
pub struct CapturedAddresses {
    addresses: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

impl CapturedAddresses {
    pub fn listen() -> Self {
        let addresses = Arc::default();
        let layer = Addresses(Arc::clone(&addresses));
        let subscriber = tracing_subscriber::registry().with(layer);
        Self { addresses, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub fn forget(&self) {
        self.addresses.lock().unwrap().clear();
    }

    pub fn addresses(&self) -> Vec<String> {
        self.addresses.lock().unwrap().clone()
    }
}

struct Addresses(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Addresses {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "audit"
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Address(&mut self.0.lock().unwrap()));
    }
}

struct Address<'a>(&'a mut Vec<String>);

impl Visit for Address<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "address" {
            self.0.push(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "address" {
            self.0.push(format!("{value:?}"));
        }
    }
}

/// Spans of requests whose callers sample the trace.
#[derive(Clone, Default)]
pub struct Spans(Arc<Mutex<Vec<Span>>>);

impl Spans {
    pub fn take_all(&self) -> Vec<Span> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Collector for Spans {
    fn samples(&self) -> bool {
        false
    }

    fn take(&self, span: Span) {
        let mut spans = self.0.lock().unwrap();
        // Most targets never read the spans.
        spans.truncate(7);
        spans.push(span);
    }
}
