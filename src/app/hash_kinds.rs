//! Surveys the kinds of the users' password hashes in the background, for the timing equalizer.
//!
//! A kind is a hash function with its parameters. A failed login must take equally long for every
//! kind; otherwise its duration would reveal whether the user exists.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::PasswordHash;
use crate::observe::error_chain;
use crate::password::{MOST_HASH_KINDS, PasswordPool, hash_kind};
use crate::store::{Result, StoreListing};

/// Minimum pause between two surveys. They are repeated because users may be imported while the
/// server runs.
const EVERY: Duration = Duration::from_secs(60);
/// Minimum pause after a survey, as a multiple of its duration, since a survey may read all users.
const ONE_IN: u32 = 200;
/// Maximum number of hashes for each query.
const SAMPLE: u32 = 1000;

/// Background task that repeats the survey until it is dropped.
pub(super) struct HashKinds {
    /// Aborted on drop.
    _task: tokio::task::JoinSet<()>,
}

impl HashKinds {
    pub(super) fn start(listing: Arc<dyn StoreListing>, passwords: PasswordPool) -> Self {
        passwords.expect_kinds();
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move {
            loop {
                let started = Instant::now();
                let looked = look(&*listing, passwords.own_kind()).await;
                let pause = pause(looked.is_ok(), started.elapsed());
                match looked {
                    Ok(kinds) => passwords.learn_kinds(&kinds).await,
                    Err(error) => {
                        tracing::warn!(
                            error = error_chain(&error),
                            "it is not known of which kinds password hashes are"
                        );
                        passwords.expect_no_kinds();
                    }
                }
                tokio::time::sleep(pause).await;
            }
        });
        Self { _task: task }
    }
}

/// Returns the pause before the next survey. The duration of a failed survey is ignored, since it
/// does not show how long reading takes.
fn pause(read: bool, took: Duration) -> Duration {
    if read { EVERY.max(took * ONE_IN) } else { EVERY }
}

/// Returns one hash of each kind except the policy's own. Hashes that cannot be verified have no
/// kind and are ignored.
async fn look(listing: &dyn StoreListing, own: &str) -> Result<Vec<PasswordHash>> {
    let (mut kinds, mut beginnings, mut after) = (Vec::new(), vec![own.to_owned()], None);
    loop {
        let sample = listing.sample_password_hashes(&beginnings, after, SAMPLE).await?;
        after = sample.last().map(|(id, _)| *id);
        let is_last = sample.len() < SAMPLE as usize;
        for (_, hash) in sample {
            let beginning = hash_kind(&hash).unwrap_or_default().to_owned();
            if !beginning.is_empty() && !beginnings.contains(&beginning) {
                beginnings.push(beginning);
                kinds.push(hash);
            }
        }
        if is_last || kinds.len() >= MOST_HASH_KINDS {
            return Ok(kinds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_is_200_times_survey_duration_and_minimum_after_failure() {
        assert_eq!(pause(true, Duration::from_millis(10)), EVERY);
        assert_eq!(pause(true, Duration::from_secs(4)), Duration::from_secs(800));
        assert_eq!(pause(false, Duration::from_secs(4)), EVERY);
    }
}
