//! How people write durations: in settings, on the command line and in forms.

use std::ops::RangeInclusive;
use std::time::Duration;

/// No setting needs a longer time, and sums with a time of day stay far from overflowing.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 3600);

/// The fewest and the most seconds that a token or a session may live, whoever says so: the settings, or a client
/// of its own. `expires_in` (RFC 6749 §5.1) is in seconds, so there are no parts of one.
pub const LIFETIME_SECONDS: RangeInclusive<u64> = 1..=LONGEST.as_secs();

/// What [`parse_lifetime`] reads.
pub const LIFETIME: &str = "a duration of at least 1s, in whole seconds: 3600, or numbers with s, m, h or d, such as \
     \"15m\" or \"1h30m\"";

/// In milliseconds, the longest first. There are no months, and no letter stands for two things: `15M` is
/// a slip of somebody who means minutes.
const UNITS: [(&str, u64); 5] =
    [("d", 24 * 3_600_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// `3600` (seconds), `15m`, `1h30m`; `None` for what is no duration, or is longer than a century.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let duration = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => sum(text)?,
    };
    (duration <= LONGEST).then_some(duration)
}

/// How long a token or a session lives: a duration within [`LIFETIME_SECONDS`].
pub fn parse_lifetime(text: &str) -> Option<Duration> {
    let whole = |lifetime: &Duration| {
        lifetime.subsec_nanos() == 0 && LIFETIME_SECONDS.contains(&lifetime.as_secs())
    };
    parse_duration(text).filter(whole)
}

/// One or more numbers, each with its unit.
fn sum(mut text: &str) -> Option<Duration> {
    let mut sum = None::<Duration>;
    while !text.is_empty() {
        let (number, rest) = split(text, |letter| letter.is_ascii_digit());
        let (unit, rest) = split(rest.trim_start(), |letter| letter.is_ascii_alphabetic());
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let part = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(*length)?);
        sum = Some(sum.unwrap_or_default().checked_add(part)?);
        text = rest.trim_start();
    }
    sum
}

fn split(text: &str, belongs: fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !belongs(letter)).unwrap_or(text.len()))
}

/// The shortest exact form that [`parse_duration`] reads.
pub fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    UNITS
        .iter()
        .find(|(_, length)| millis > 0 && millis.is_multiple_of(*length))
        .map_or_else(|| "0s".to_owned(), |(unit, length)| format!("{}{unit}", millis / length))
}
