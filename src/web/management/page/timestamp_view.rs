//! Timestamps for people.

use std::time::Duration;

use serde::Serialize;

use crate::domain::Timestamp;

/// Timestamp in three text formats, as templates receive it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TimestampView {
    /// Timestamp in the format of RFC 3339, for programs.
    iso: String,
    /// Date and time of the timestamp in UTC, for people.
    text: String,
    /// Distance of the timestamp from the present, such as `in 5 min` or `2 d ago`.
    away: String,
}

impl TimestampView {
    pub(super) fn of(moment: Timestamp, now: Timestamp) -> Self {
        let iso = moment.to_string();
        let text = iso.get(..16).unwrap_or(&iso).replace('T', " ") + " UTC";
        Self { iso, text, away: away(moment, now) }
    }
}

fn away(moment: Timestamp, now: Timestamp) -> String {
    /// Length of each unit in seconds, and the shortest distance that is a whole unit when rounded
    /// to the next smaller unit.
    const UNITS: [(u64, u64, &str); 3] =
        [(86_400, 86_400 - 1800, "d"), (3600, 3600 - 30, "h"), (60, 60, "min")];
    // Rounded, so that a session of 30 days that has just begun ends "in 30 d".
    let words = |distance: Duration| {
        let seconds = distance.as_secs();
        let unit = UNITS.iter().find(|(_, least, _)| seconds >= *least);
        unit.map(|(length, _, name)| format!("{} {name}", (seconds + length / 2) / length))
    };
    let (ahead, behind) = (moment.remaining(now), now.remaining(moment));
    match (words(ahead), words(behind)) {
        (Some(ahead), _) => format!("in {ahead}"),
        (None, Some(behind)) => format!("{behind} ago"),
        (None, None) if ahead.is_zero() => "just now".to_owned(),
        (None, None) => "in a moment".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_is_described_relative_to_now() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let at = |seconds: i64| Timestamp::from_millis(now.as_millis() + seconds * 1000);
        for (seconds, expected) in [
            (0, "just now"),
            (-59, "just now"),
            (-60, "1 min ago"),
            (-7199, "2 h ago"),
            (3569, "in 59 min"),
            (3570, "in 1 h"),
            (84_599, "in 23 h"),
            (84_600, "in 1 d"),
            (-90_000, "1 d ago"),
            (30 * 86_400 - 5, "in 30 d"),
            (5, "in a moment"),
            (3600, "in 1 h"),
            (30 * 86_400, "in 30 d"),
        ] {
            assert_eq!(away(at(seconds), now), expected, "{seconds}");
        }
        assert_eq!(TimestampView::of(now, now).text, "2027-01-15 08:00 UTC");
    }
}
