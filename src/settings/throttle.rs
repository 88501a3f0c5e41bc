//! `[throttle]`: rate limits on failed attempts.

use std::time::Duration;

use super::reader::Reader;

/// Settings of the rate limits on failed attempts.
#[derive(Clone, Debug)]
pub struct ThrottleSettings {
    /// Whether failed attempts are rate-limited.
    pub enabled: bool,
    /// Number of failures within `window` after which an address is answered with 429; at least 1.
    pub failures_per_address: u32,
    /// Number of failures within `window` after which attempts on a user name are delayed; at least
    /// 1.
    pub failures_per_user: u32,
    /// Length of the sliding window in which failures count; at least one second.
    pub window: Duration,
}

impl ThrottleSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            enabled: reader.flag("throttle.enabled"),
            failures_per_address: reader.integer("throttle.failures_per_address", 1..=1_000_000),
            failures_per_user: reader.integer("throttle.failures_per_user", 1..=1_000_000),
            window: reader.duration("throttle.window", Duration::from_secs(1)),
        }
    }
}
