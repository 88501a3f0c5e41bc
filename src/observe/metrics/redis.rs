//! Redis: whether it answers, and what it did not do. Nothing is counted of calls that work.

use std::sync::{Mutex, PoisonError};

use super::text::Text;
use super::{Counter, Gauge};

/// Calls that failed, by why.
#[derive(Default)]
pub struct Redis {
    /// It was known to be gone, and not asked.
    pub down: Counter,
    /// There was no connection to be had.
    pub connect: Counter,
    /// It hung up, or did not answer in time.
    pub answer: Counter,
    /// It answered that it would not do it.
    pub refused: Counter,
    up: Mutex<Option<Gauge>>,
}

impl Redis {
    /// What tells whether it answers: 1, or 0.
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
