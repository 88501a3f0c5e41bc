//! Parses and formats durations as people write them in settings, on the command line and in forms.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Maximum duration that can be parsed: 36,500 days. No setting needs more, and adding this maximum
/// to a timestamp cannot overflow.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 3600);

/// Minimum and maximum lifetime of a token or session, in seconds, for the settings and for a
/// client's own lifetimes. Lifetimes are whole seconds, because `expires_in` (RFC 6749 §5.1) is in
/// seconds.
pub const LIFETIME_SECONDS: RangeInclusive<u64> = 1..=LONGEST.as_secs();

/// Description of the text that [`parse_lifetime`] accepts, for error messages.
pub const LIFETIME: &str = "a duration of at least 1s, in whole seconds: 3600, or numbers with s, m, h or d, such as \
     \"15m\" or \"1h30m\"";

/// Units of a duration, with their length in milliseconds, longest first. There is no unit for
/// months, because `15M` is most likely a mistyped `15m`.
const UNITS: [(&str, u64); 5] =
    [("d", 24 * 3_600_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Parses a duration such as `3600` (seconds), `15m` or `1h30m`. Returns `None` if the text is not
/// a duration or exceeds 36,500 days.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let duration = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => sum(text)?,
    };
    (duration <= LONGEST).then_some(duration)
}

/// Parses a token or session lifetime. Returns `None` unless the text is a duration of whole
/// seconds within [`LIFETIME_SECONDS`].
pub fn parse_lifetime(text: &str) -> Option<Duration> {
    let whole = |lifetime: &Duration| {
        lifetime.subsec_nanos() == 0 && LIFETIME_SECONDS.contains(&lifetime.as_secs())
    };
    parse_duration(text).filter(whole)
}

/// Parses numbers with units, such as `1h30m`, and returns the sum, or `None` for any other text.
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

/// Formats a duration in the largest unit that divides it, such as `90m`. [`parse_duration`] reads
/// the result. Fractions of a millisecond are dropped.
pub fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    UNITS
        .iter()
        .find(|(_, length)| millis > 0 && millis.is_multiple_of(*length))
        .map_or_else(|| "0s".to_owned(), |(unit, length)| format!("{}{unit}", millis / length))
}
