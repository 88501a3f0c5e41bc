//! Hourly counts of started sessions and failed logins, for the dashboard. Each process counts its
//! own since its start; processes that share a store do not share the counts.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::Timestamp;

/// Number of hours for which counts of sessions and failed logins are kept.
const HOURS: usize = 24;

/// Length of an hour, in milliseconds.
const HOUR: i64 = 3_600_000;

/// Counts of started sessions and failed logins in one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hour {
    /// Start of the hour that is counted.
    pub start: Timestamp,
    /// Number of sessions started in the hour.
    pub logins: u64,
    /// Number of user logins refused in the hour.
    pub failures: u64,
}

/// Hourly counts of started sessions and failed logins in this process.
#[derive(Debug, Default)]
pub struct HourlyActivity {
    /// Counts of the hours in which a session started or a login failed, the oldest hour first.
    hours: Mutex<VecDeque<Hour>>,
}

impl HourlyActivity {
    /// Counts a session that was started at `now`.
    pub fn login(&self, now: Timestamp) {
        self.count(now, |hour| hour.logins += 1);
    }

    /// Counts a user login that was refused at `now`.
    pub fn failure(&self, now: Timestamp) {
        self.count(now, |hour| hour.failures += 1);
    }

    /// Returns the counts of sessions and failed logins in the last 24 hours, the oldest hour
    /// first. The last hour contains `now`.
    pub fn last_hours(&self, now: Timestamp) -> Vec<Hour> {
        let hours = self.hours();
        let current = start_of_hour(now).as_millis();
        (0..HOURS as i64)
            .rev()
            .map(|back| {
                let start = Timestamp::from_millis(current.saturating_sub(back * HOUR));
                let counted = hours.iter().find(|hour| hour.start == start);
                counted.copied().unwrap_or(Hour { start, logins: 0, failures: 0 })
            })
            .collect()
    }

    fn count(&self, now: Timestamp, add: impl FnOnce(&mut Hour)) {
        let start = start_of_hour(now);
        let mut hours = self.hours();
        // If the clock was set back, events count in the latest hour recorded.
        if hours.back().is_none_or(|last| last.start < start) {
            hours.push_back(Hour { start, logins: 0, failures: 0 });
            if hours.len() > HOURS {
                hours.pop_front();
            }
        }
        if let Some(hour) = hours.back_mut() {
            add(hour);
        }
    }

    fn hours(&self) -> MutexGuard<'_, VecDeque<Hour>> {
        self.hours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start_of_hour(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis().div_euclid(HOUR).saturating_mul(HOUR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_hour_and_dropped_after_one_day() {
        let activity = HourlyActivity::default();
        let at = |hours: i64| Timestamp::from_millis(1_000 + hours * HOUR);
        activity.login(at(100));
        activity.login(at(100));
        activity.failure(at(102));
        let hours = activity.last_hours(at(102));
        assert_eq!(hours.len(), HOURS);
        let counts: Vec<_> = hours.iter().map(|hour| (hour.logins, hour.failures)).collect();
        assert_eq!(counts[21..], [(2, 0), (0, 0), (0, 1)]);
        assert!(counts[..21].iter().all(|count| *count == (0, 0)));
        for hour in 103..200 {
            activity.failure(at(hour));
        }
        assert!(activity.last_hours(at(199)).iter().all(|hour| hour.failures == 1));
        assert_eq!(activity.hours().len(), HOURS);
    }
}
