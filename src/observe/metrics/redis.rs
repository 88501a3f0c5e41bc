//! Metrics of Redis: whether it is available, and failed calls. Successful calls are not counted.

use std::sync::{Mutex, PoisonError};

use super::text::Text;
use super::{Counter, Gauge};

/// Failed calls, by cause.
#[derive(Default)]
pub struct Redis {
    /// Calls that were not sent, because Redis was known to be unavailable.
    pub down: Counter,
    /// Calls for which no connection could be opened.
    pub connect: Counter,
    /// Calls whose connection was closed, that timed out, or that Redis could not serve at all.
    pub answer: Counter,
    /// Calls that Redis rejected with any other error.
    pub refused: Counter,
    up: Mutex<Option<Gauge>>,
}

impl Redis {
    /// Sets the source of the availability metric, which returns 1 or 0.
    pub fn watch(&self, up: Gauge) {
        *self.up.lock().unwrap_or_else(PoisonError::into_inner) = Some(up);
    }

    pub(super) fn write(&self, text: &mut Text) {
        let name = "sentinel_redis_up";
        text.family(name, "gauge", "Whether Redis answered when it was last asked.");
        if let Some(up) = &*self.up.lock().unwrap_or_else(PoisonError::into_inner) {
            text.sample(name, &[], up());
        }
        let name = "sentinel_redis_failures_total";
        text.family(name, "counter", "Calls to Redis that failed, by why.");
        for (why, counter) in [
            ("down", &self.down),
            ("connect", &self.connect),
            ("answer", &self.answer),
            ("refused", &self.refused),
        ] {
            text.sample(name, &[("why", why)], counter.get());
        }
    }
}
