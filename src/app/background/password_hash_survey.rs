//! Surveys the kinds of the users' password hashes, for the timing equalizer.
//!
//! A kind is a hash function with its parameters. A failed login must take equally long for every
//! kind; otherwise its duration would reveal whether the user exists.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::PasswordHash;
use crate::observe::error_chain;
use crate::password::{MAX_KINDS, PasswordPool, parameters_prefix};
use crate::store::{Result, StoreListing};

/// Minimum pause between two surveys of the kinds (function with parameters) of password hashes,
/// repeated because users may be imported while the server runs.
const INTERVAL: Duration = Duration::from_secs(60);
/// Minimum pause after a survey of password hashes, as a multiple of the survey's duration, since a
/// survey may read all users.
const PAUSE_FACTOR: u32 = 200;
/// Maximum number of password hashes that a survey of all users' hashes reads with one query.
const SAMPLE: u32 = 1000;

pub(super) async fn run(listing: Arc<dyn StoreListing>, passwords: PasswordPool) {
    loop {
        let started = Instant::now();
        let survey = survey(&*listing, passwords.policy_prefix()).await;
        let pause = pause(survey.is_ok(), started.elapsed());
        match survey {
            Ok(kinds) => passwords.measure_kinds(&kinds).await,
            Err(error) => {
                tracing::warn!(
                    error = error_chain(&error),
                    "password hashes were not surveyed; the time of a failed login may reveal \
                     whether the user exists until the next attempt in a minute"
                );
                passwords.abandon_survey();
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Returns the pause before the next survey of password hashes. The duration of a failed survey is
/// ignored, since it does not show how long reading takes.
fn pause(succeeded: bool, took: Duration) -> Duration {
    if succeeded { INTERVAL.max(took * PAUSE_FACTOR) } else { INTERVAL }
}

/// Returns one stored password hash of each kind (function with parameters) except the kind of new
/// hashes. Hashes that cannot be verified have no kind and are ignored.
async fn survey(listing: &dyn StoreListing, policy_prefix: &str) -> Result<Vec<PasswordHash>> {
    let (mut hashes, mut prefixes, mut after) = (Vec::new(), vec![policy_prefix.to_owned()], None);
    loop {
        let sample = listing.sample_password_hashes(&prefixes, after, SAMPLE).await?;
        after = sample.last().map(|(id, _)| *id);
        let is_last = sample.len() < SAMPLE as usize;
        for (_, hash) in sample {
            let Some(prefix) = parameters_prefix(&hash).map(str::to_owned) else { continue };
            if !prefixes.contains(&prefix) {
                prefixes.push(prefix);
                hashes.push(hash);
            }
        }
        if is_last || hashes.len() >= MAX_KINDS {
            return Ok(hashes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_is_200_times_survey_duration_and_minimum_after_failure() {
        assert_eq!(pause(true, Duration::from_millis(10)), INTERVAL);
        assert_eq!(pause(true, Duration::from_secs(4)), Duration::from_secs(800));
        assert_eq!(pause(false, Duration::from_secs(4)), INTERVAL);
    }
}
