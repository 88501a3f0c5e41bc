//! Finds out in the background of which kinds the hashes of the users are, so that a failed login does
//! not tell by its time whether there is such a user.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::PasswordHash;
use crate::password::{PasswordPool, hash_kind};
use crate::store::{Result, UserStore};

/// How often at most: users may be imported while the server runs.
const EVERY: Duration = Duration::from_secs(60);
/// And no more than this part of the time, since it may read all users.
const ONE_IN: u32 = 200;
/// So many hashes are asked for at a time, and so many times for kinds not seen before.
const SAMPLE: u32 = 100;
const SAMPLES: u32 = 8;

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
                match look(&*users, passwords.own_kind()).await {
                    Ok(kinds) => passwords.learn_kinds(&kinds).await,
                    Err(error) => {
                        tracing::warn!(%error, "it is not known of which kinds password hashes are");
                        passwords.expect_no_kinds();
                    }
                }
                tokio::time::sleep(EVERY.max(started.elapsed() * ONE_IN)).await;
            }
        });
        Self { _task: task }
    }
}

/// One hash of each kind but the policy's own. Those that cannot be verified are no kind.
async fn look(users: &dyn UserStore, own: &str) -> Result<Vec<PasswordHash>> {
    let (mut kinds, mut beginnings) = (Vec::new(), vec![own.to_owned()]);
    for _ in 0..SAMPLES {
        let sample = users.passwords_unlike(&beginnings, SAMPLE).await?;
        if sample.is_empty() {
            break;
        }
        for hash in sample {
            let kind = hash_kind(&hash);
            let beginning = kind.unwrap_or(hash.encoded()).to_owned();
            if beginnings.contains(&beginning) {
                continue;
            }
            beginnings.push(beginning);
            if kind.is_some() {
                kinds.push(hash);
            }
        }
    }
    Ok(kinds)
}
