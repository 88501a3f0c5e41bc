//! Taking back: what the cache has, and what is published, of what has ended.
//!
//! Whoever takes something away changes the store first, which notes the loss, and tells Redis then. What could
//! not be told is told later, by whichever server gets to it.

use std::collections::HashSet;
use std::sync::LazyLock;

use deadpool_redis::redis::{Pipeline, Script, cmd, pipe};
use futures_util::{StreamExt, stream};

use super::RedisFront;
use super::cache::{client_key, has, session_key};
use super::links::Failure;
use super::publishing::{LISTS, leases_key, list_key};
use crate::domain::{SessionId, Token, TokenKind};
use crate::observe::chain;
use crate::store::{Lost, Result, StoreError};

/// Losses taken on at a time, and of those at once.
const BATCH: u32 = 500;
const AT_ONCE: usize = 32;
/// Which life of the server has been checked.
const SERVER_KEY: &str = "sentinel:server";

/// Takes all leases away and reads the list. A full Redis allows a script that only removes and reads, and no
/// transaction whatever.
static LISTED: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('DEL', KEYS[1])
         return redis.call('ZRANGE', KEYS[2], 0, -1)",
    )
});

impl RedisFront {
    /// Tells Redis of all that is noted as lost. One that fails keeps no other from being told.
    pub(super) async fn tell_all(&self) -> Result<()> {
        let (mut after, mut failed) = (None, None);
        loop {
            let losses = self.losses.losses(after, BATCH).await?;
            let (read, last) = (losses.len(), losses.last().map(|loss| loss.mark));
            let mut told = Vec::with_capacity(read);
            let mut telling = stream::iter(losses)
                .map(async |loss| (self.tell(&loss.of).await, loss))
                .buffer_unordered(AT_ONCE);
            let mut stopped = false;
            while let Some((done, loss)) = telling.next().await {
                match done {
                    Ok(()) => told.push(loss),
                    Err(error) => {
                        stopped = is_vain(&error);
                        failed.get_or_insert(error);
                        if stopped {
                            break;
                        }
                    }
                }
            }
            drop(telling);
            if !told.is_empty() {
                self.losses.clear(&told).await?;
            }
            if stopped || read < BATCH as usize {
                return failed.map_or(Ok(()), Err);
            }
            if told.len() < read {
                // Past what failed. Else from the same place: many may have one mark, and what was told is gone.
                after = last;
            }
        }
    }

    async fn tell(&self, lost: &Lost) -> Result<()> {
        match lost {
            Lost::Session(id) => self.tell_of_session(*id).await,
            Lost::Client(id) => self.forget(&client_key(id)).await,
        }
    }

    /// Takes away what the cache has of a session, and what is published of it and no longer alive.
    pub(super) async fn tell_of_session(&self, id: SessionId) -> Result<()> {
        if self.caches {
            self.forget(&session_key(id)).await?;
        }
        let list = list_key(id);
        let listed: HashSet<String> = self
            .links
            .call(async |link| {
                let mut script = LISTED.key(leases_key(id));
                script.key(&list).invoke_async(&mut link.connection).await
            })
            .await
            .map_err(StoreError::untold)?;
        if listed.is_empty() {
            return Ok(());
        }
        let session = match self.behind.sessions.find(id).await {
            // Introspection takes none of its tokens for alive either.
            Err(error @ StoreError::Damaged { .. }) => {
                let why = chain(&error);
                tracing::error!(session = %id, "what is published of a damaged session is taken down: {why}");
                None
            }
            found => found?,
        };
        let lives = |text: &str| {
            let token = Token::parse(text).or_else(|| Token::parse_legacy(text, TokenKind::Access));
            let digest = token.map(|token| token.verifier.digest());
            session.as_ref().zip(digest).is_some_and(|(session, digest)| has(session, &digest))
        };
        let dead: Vec<String> = listed.into_iter().filter(|text| !lives(text)).collect();
        if dead.is_empty() {
            return Ok(());
        }
        self.run(&taking_down(&list, &dead)).await.map_err(StoreError::untold)
    }

    /// Removes a key of the cache.
    pub(super) async fn forget(&self, key: &str) -> Result<()> {
        if !self.caches {
            return Ok(());
        }
        self.links
            .call(async |link| cmd("DEL").arg(key).query_async(&mut link.connection).await)
            .await
            .map_err(StoreError::untold)
    }

    /// A server that has started again, or another one in its place, may have what was taken from the
    /// one before: all that is listed is looked at once.
    pub(super) async fn check_life(&self) -> Result<()> {
        let life = self
            .links
            .call(async |link| Ok(link.life.clone()))
            .await
            .map_err(StoreError::untold)?;
        let Some(life) = life.filter(|_| self.publishes) else { return Ok(()) };
        let (key, field) = (SERVER_KEY, "checked");
        let checked: Option<String> = self
            .links
            .call(async |link| {
                cmd("HGET").arg(key).arg(field).query_async(&mut link.connection).await
            })
            .await
            .map_err(StoreError::untold)?;
        if checked.as_deref() == Some(&*life) {
            return Ok(());
        }
        let mut cursor = 0_u64;
        loop {
            let (next, lists): (u64, Vec<String>) = self
                .links
                .call(async |link| {
                    let mut scan = cmd("SCAN");
                    scan.arg(cursor).arg("MATCH").arg(format!("{LISTS}*")).arg("COUNT").arg(1000);
                    scan.query_async(&mut link.connection).await
                })
                .await
                .map_err(StoreError::untold)?;
            let sessions = lists.iter().filter_map(|list| list.strip_prefix(LISTS)?.parse().ok());
            let mut telling = stream::iter(sessions.collect::<Vec<SessionId>>())
                .map(async |id| (self.tell_of_session(id).await, id))
                .buffer_unordered(AT_ONCE);
            while let Some((done, id)) = telling.next().await {
                match done {
                    Err(error) if is_vain(&error) => return Err(error),
                    // Another look would see the same, and look at all others again.
                    Err(error) => {
                        let why = chain(&error);
                        tracing::error!(session = %id, "what is published is not looked at: {why}");
                    }
                    Ok(()) => {}
                }
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
        let mut note = pipe();
        note.cmd("HSET").arg(key).arg(field).arg(&*life).ignore();
        self.run(&note).await.map_err(StoreError::untold)
    }
}

/// Whether it is of no use to go on with others: the store fails, or Redis does. One that Redis refuses is no
/// reason.
fn is_vain(error: &StoreError) -> bool {
    let StoreError::Untold(source) = error else { return true };
    !source.downcast_ref::<Failure>().is_some_and(Failure::is_refusal)
}

/// The keys go first: what is not in a list cannot be found again.
fn taking_down(list: &str, tokens: &[String]) -> Pipeline {
    let mut pipeline = pipe();
    pipeline.cmd("DEL").arg(tokens).ignore();
    pipeline.cmd("ZREM").arg(list).arg(tokens).ignore();
    pipeline
}
