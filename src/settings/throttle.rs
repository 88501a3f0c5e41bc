//! `[throttle]`: rate limits on failed attempts.

use std::time::Duration;

use super::reader::Reader;

/// Settings of the rate limits on failed attempts to authenticate.
#[derive(Clone, Debug)]
pub struct ThrottleSettings {
    /// Whether failed attempts to authenticate are rate-limited.
    pub enabled: bool,
    /// Number of failed attempts in `window` after which an address is answered 429; at least 1.
    pub failures_per_address: u32,
    /// Number of failed attempts on a user name within `window` after which attempts on that name
    /// are delayed; at least 1.
    pub failures_per_user: u32,
    /// Length of the sliding window in which failed attempts count; at least one second.
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
