//! Finds out in the background of which kinds the hashes of the users are, so that a failed login does
//! not tell by its time whether there is such a user.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::PasswordHash;
use crate::observe::chain;
use crate::password::{MOST_HASH_KINDS, PasswordPool, hash_kind};
use crate::store::{Result, UserStore};

/// How often at most: users may be imported while the server runs.
const EVERY: Duration = Duration::from_secs(60);
/// And no more than this part of the time, since it may read all users.
const ONE_IN: u32 = 200;
/// So many hashes are asked for at a time.
const SAMPLE: u32 = 1000;

/// Looks again and again for as long as it is kept.
pub(super) struct HashKinds {
    /// Aborted when it is dropped.
    _task: tokio::task::JoinSet<()>,
}

impl HashKinds {
    pub(super) fn start(users: Arc<dyn UserStore>, passwords: PasswordPool) -> Self {
        passwords.expect_kinds();
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move {
            loop {
                let started = Instant::now();
                let looked = look(&*users, passwords.own_kind()).await;
                let pause = pause(looked.is_ok(), started.elapsed());
                match looked {
                    Ok(kinds) => passwords.learn_kinds(&kinds).await,
                    Err(error) => {
                        tracing::warn!(
                            error = chain(&error),
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

/// How long until the next look, after one that took so long to read. One that failed says nothing about how
/// long reading takes.
fn pause(read: bool, took: Duration) -> Duration {
    if read { EVERY.max(took * ONE_IN) } else { EVERY }
}

/// One hash of each kind but the policy's own. Those that cannot be verified are no kind.
async fn look(users: &dyn UserStore, own: &str) -> Result<Vec<PasswordHash>> {
    let (mut kinds, mut beginnings, mut after) = (Vec::new(), vec![own.to_owned()], None);
    loop {
        let sample = users.passwords_unlike(&beginnings, after, SAMPLE).await?;
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
    fn reading_takes_a_two_hundredth_of_the_time_and_a_failure_keeps_nobody_from_trying_again() {
        assert_eq!(pause(true, Duration::from_millis(10)), EVERY);
        assert_eq!(pause(true, Duration::from_secs(4)), Duration::from_secs(800));
        assert_eq!(pause(false, Duration::from_secs(4)), EVERY);
    }
}
