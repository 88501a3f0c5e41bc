//! How people write durations: in settings, on the command line and in forms.

use std::time::Duration;

/// No setting needs a longer time, and sums with a time of day stay far from overflowing.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 3600);

/// `3600` (seconds), `15m`, `1h30m`; `None` for what is no duration, or is longer than a century.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let duration = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).ok()?,
    };
    (duration <= LONGEST).then_some(duration)
}

/// The shortest exact form that [`parse_duration`] reads: humantime's own would call 180 days five
/// months and some.
pub fn show_duration(duration: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(24 * 3600, "d"), (3600, "h"), (60, "m")];
    let seconds = duration.as_secs();
    if duration.subsec_nanos() > 0 {
        return humantime::format_duration(duration).to_string();
    }
    UNITS.iter().find(|(length, _)| seconds > 0 && seconds.is_multiple_of(*length)).map_or_else(
        || format!("{seconds}s"),
        |(length, unit)| format!("{}{unit}", seconds / length),
    )
}
