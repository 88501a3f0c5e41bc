//! `[throttle]`: how guessing is slowed.

use std::time::Duration;

use super::reader::Reader;

/// Budgets for failed attempts.
#[derive(Clone, Debug)]
pub struct Throttle {
    /// Whether guessing is slowed at all.
    pub enabled: bool,
    /// Failures within `window` before an address is answered 429; at least 1.
    pub failures_per_address: u32,
    /// Failures within `window` before attempts on one user name are delayed; at least 1.
    pub failures_per_user: u32,
    /// How far back failures count; at least a second.
    pub window: Duration,
}

impl Throttle {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            enabled: reader.flag("throttle.enabled"),
            failures_per_address: reader.integer("throttle.failures_per_address", 1..=1_000_000),
            failures_per_user: reader.integer("throttle.failures_per_user", 1..=1_000_000),
            window: reader.duration("throttle.window", Duration::from_secs(1)),
        }
    }
}
