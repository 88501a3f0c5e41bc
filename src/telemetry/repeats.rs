//! Limits the log lines that callers can cause at any rate.
//!
//! Of the events with the name [`ANY_CALLER`], one with the same fields is logged in [`WINDOW`].
//! The address of the caller is a field of most of them. When the window is over, one line has
//! the number of the others.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::observe::audit::TARGET;
use crate::observe::log::ANY_CALLER;

/// Time for which equal events are counted after the first one was logged.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Maximum number of different events in a window. Further ones are told apart by the fields that
/// do not depend on the caller only.
const MAX_ENTRIES: usize = 1024;
/// Fields whose values depend on the caller.
const CALLER_FIELDS: [&str; 3] = ["address", "client", "username"];

/// Events of which one has been logged, and the number of those that have not. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Repeats(Arc<Mutex<HashMap<Key, Entry>>>);

/// Place in the code and fields of an event, without its message.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    place: Identifier,
    fields: Vec<(&'static str, String)>,
}

struct Entry {
    is_audit: bool,
    message: String,
    since: Instant,
    repeated: u64,
}

impl Repeats {
    /// Logs the numbers of the windows that are over.
    pub(super) fn report_due(&self) {
        let now = Instant::now();
        self.report(|entry| now.saturating_duration_since(entry.since) >= WINDOW);
    }

    /// Logs the numbers of all windows.
    pub(super) fn report_all(&self) {
        self.report(|_| true);
    }

    fn report(&self, is_over: impl Fn(&Entry) -> bool) {
        let over: Vec<_> = self.entries().extract_if(|_, entry| is_over(entry)).collect();
        // Without the lock, since these lines are events too.
        for (key, entry) in over.iter().filter(|(_, entry)| entry.repeated > 0) {
            entry.log(key);
        }
    }

    /// Returns whether an event is to be logged, and counts it otherwise.
    fn admit(&self, event: &Event<'_>, now: Instant) -> bool {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut key = Key { place: event.metadata().callsite(), fields: fields.values };
        let mut entries = self.entries();
        if entries.len() >= MAX_ENTRIES && !entries.contains_key(&key) {
            key.fields.retain(|(name, _)| !CALLER_FIELDS.contains(name));
        }
        if let Some(entry) = entries.get_mut(&key) {
            entry.repeated += 1;
            return false;
        }
        let is_audit = event.metadata().target() == TARGET;
        let message = fields.message;
        entries.insert(key, Entry { is_audit, message, since: now, repeated: 0 });
        true
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Logs the number of events that were not logged, with the fields of the logged one.
    fn log(&self, key: &Key) {
        let repeated = self.repeated;
        let field = |wanted| {
            let found = key.fields.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        if self.is_audit {
            tracing::warn!(
                target: TARGET, event = field("event"), outcome = field("outcome"),
                why = field("why"), what = field("what"), guessed = field("guessed"),
                client = field("client"), username = field("username"), via = field("via"),
                address = field("address"), repeated,
                "more events like an earlier one, which are not logged each",
            );
        } else {
            tracing::warn!(
                line = self.message,
                why = field("why"),
                error = field("error"),
                repeated,
                "more lines like an earlier one, which are not logged each",
            );
        }
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        event.metadata().name() != ANY_CALLER || self.admit(event, Instant::now())
    }
}

/// Collects the fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    values: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            "address" => self.values.push(("address", network(value))),
            name => self.values.push((name, value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &fmt::format(format_args!("{value:?}")));
    }
}

/// Returns the address of a caller, or the /64 network of an IPv6 address, of which a caller has
/// all addresses.
fn network(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) => {
            let network = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            format!("{network}/64")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests;
