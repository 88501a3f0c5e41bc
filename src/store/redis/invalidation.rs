//! Invalidation of cached sessions and clients and of published access tokens.
//!
//! A change that ends a session or token, or changes a client, first writes the store, which
//! records a pending invalidation ([`Invalidation`](crate::store::Invalidation)), and then
//! invalidates Redis. An invalidation that fails stays pending, and any server delivers it later.

use std::collections::HashSet;
use std::sync::LazyLock;

use deadpool_redis::redis::{Script, cmd, pipe};
use futures_util::{StreamExt, stream};

use super::CachingStore;
use super::cache::{client_key, has_access_token, session_key};
use super::publishing::{LISTS, leases_key, list_key, listed_token};
use crate::domain::{SessionId, Token, TokenKind};
use crate::observe::error_chain;
use crate::store::{DeliveryError, InvalidationTarget, Result, StoreError};

/// Maximum number of pending Redis invalidations (removals of stale copies) read at a time.
const BATCH: u32 = 500;
/// Maximum number of concurrent Redis invalidations (removals of stale copies).
const MAX_CONCURRENT_DELIVERIES: usize = 32;
/// Redis hash (field map) with the `run_id` of the Redis process whose tokens were checked last,
/// and the field that probes write.
pub(super) const INSTANCE_KEY: &str = "sentinel:server";

/// Script that removes all publishing leases (permissions to publish tokens) of a session and
/// returns whether the list of the session's published tokens is a hash, and its entries. A script,
/// because Redis at its memory limit rejects transactions, but runs a script that only deletes and
/// reads.
static TAKE_LIST: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('DEL', KEYS[1])
         local listed, entries = redis.pcall('HGETALL', KEYS[2]), {}
         if listed.err then return {0, redis.call('ZRANGE', KEYS[2], 0, -1)} end
         for i = 1, #listed, 2 do entries[#entries + 1] = listed[i] end
         return {1, entries}",
    )
});

impl CachingStore {
    /// Delivers all pending invalidations (removals of stale copies) to Redis, and returns the
    /// first error. An invalidation that Redis refuses does not keep the others from being
    /// delivered; an unavailable store or Redis ends the delivery.
    pub(super) async fn deliver_outbox(&self) -> Result<(), DeliveryError> {
        let (mut after, mut failed) = (None, None);
        loop {
            let pending = self.outbox.pending(after, BATCH).await?;
            // More than one batch takes its time, in which other processes may add more.
            if pending.len() == BATCH as usize {
                self.undelivered.record_failure();
            }
            let (read, last) =
                (pending.len(), pending.last().map(|invalidation| invalidation.revision));
            let mut delivered = Vec::with_capacity(read);
            let mut deliveries = stream::iter(pending)
                .map(async |invalidation| (self.deliver(&invalidation.target).await, invalidation))
                .buffer_unordered(MAX_CONCURRENT_DELIVERIES);
            let mut stopped = false;
            while let Some((done, invalidation)) = deliveries.next().await {
                match done {
                    Ok(()) => delivered.push(invalidation),
                    Err(error) => {
                        stopped = ends_delivery(&error);
                        failed.get_or_insert(error);
                        if stopped {
                            break;
                        }
                    }
                }
            }
            drop(deliveries);
            if !delivered.is_empty() {
                self.outbox.acknowledge(&delivered).await?;
            }
            if stopped || read < BATCH as usize {
                return failed.map_or(Ok(()), Err);
            }
            if delivered.len() < read {
                // Continues after those that failed. If none failed, starts at the same place
                // again: several invalidations may have the same revision, and delivered ones are
                // gone.
                after = last;
            }
        }
    }

    async fn deliver(&self, target: &InvalidationTarget) -> Result<(), DeliveryError> {
        match target {
            InvalidationTarget::Session(id) => self.invalidate_session(*id).await,
            InvalidationTarget::Client(id) => self.delete_cache_entry(&client_key(id)).await,
        }
    }

    /// Removes a session from the Redis cache, and from Redis those of the session's published
    /// tokens that are no longer valid in the store.
    pub(super) async fn invalidate_session(&self, id: SessionId) -> Result<(), DeliveryError> {
        if self.caches {
            self.delete_cache_entry(&session_key(id)).await?;
        }
        let list = list_key(id);
        let (is_hash, listed): (bool, HashSet<Vec<u8>>) = self
            .connections
            .call(async |call| {
                let mut script = TAKE_LIST.key(leases_key(id));
                script.key(&list).invoke_async(&mut call.connection).await
            })
            .await?;
        if listed.is_empty() {
            return Ok(());
        }
        let session = match self.inner.sessions.find(id).await {
            // Introspection does not report tokens of a corrupt session as active either.
            Err(error @ StoreError::Corrupt { .. }) => {
                let why = error_chain(&error);
                tracing::error!(session = %id, "published tokens of a corrupt session are removed: {why}");
                None
            }
            found => found?,
        };
        let is_alive = |text: &str| {
            let token = Token::parse(text).or_else(|| Token::parse_legacy(text, TokenKind::Access));
            let digest = token.map(|token| token.verifier.digest());
            session
                .as_ref()
                .zip(digest)
                .is_some_and(|(session, digest)| has_access_token(session, &digest))
        };
        let listed = listed.into_iter().map(|entry| (listed_token(&entry), entry));
        let (tokens, entries): (Vec<_>, Vec<_>) =
            listed.filter(|(token, _)| !is_alive(token)).unzip();
        if tokens.is_empty() {
            return Ok(());
        }
        // The tokens' keys are deleted before their entries in the list, because a key without an
        // entry cannot be found again.
        let mut removal = pipe();
        removal.cmd("DEL").arg(tokens).ignore();
        removal.cmd(if is_hash { "HDEL" } else { "ZREM" }).arg(&list).arg(entries).ignore();
        Ok(self.run(&removal).await?)
    }

    /// Removes the entry `key` from the Redis cache, if this store has a cache.
    pub(super) async fn delete_cache_entry(&self, key: &str) -> Result<(), DeliveryError> {
        if !self.caches {
            return Ok(());
        }
        self.connections
            .call(async |call| cmd("DEL").arg(key).query_async(&mut call.connection).await)
            .await
            .map_err(|error| {
                self.undelivered.record_failure();
                error.into()
            })
    }

    /// Removes from Redis all published tokens that are no longer valid in the store, once for each
    /// Redis process. A restarted or replaced Redis may contain tokens that were removed earlier.
    pub(super) async fn reconcile_instance(&self) -> Result<(), DeliveryError> {
        let run_id = self.connections.call(async |call| Ok(call.run_id.clone())).await?;
        let Some(run_id) = run_id.filter(|_| self.publishes) else { return Ok(()) };
        let (key, field) = (INSTANCE_KEY, "checked");
        let checked: Option<String> = self
            .connections
            .call(async |call| {
                cmd("HGET").arg(key).arg(field).query_async(&mut call.connection).await
            })
            .await?;
        if checked.as_deref() == Some(&*run_id) {
            return Ok(());
        }
        let mut cursor = 0_u64;
        loop {
            let (next, lists): (u64, Vec<String>) = self
                .connections
                .call(async |call| {
                    let mut scan = cmd("SCAN");
                    scan.arg(cursor).arg("MATCH").arg(format!("{LISTS}*")).arg("COUNT").arg(1000);
                    scan.query_async(&mut call.connection).await
                })
                .await?;
            let sessions = lists.iter().filter_map(|list| list.strip_prefix(LISTS)?.parse().ok());
            let mut deliveries = stream::iter(sessions.collect::<Vec<SessionId>>())
                .map(async |id| (self.invalidate_session(id).await, id))
                .buffer_unordered(MAX_CONCURRENT_DELIVERIES);
            while let Some((done, id)) = deliveries.next().await {
                match done {
                    Err(error) if ends_delivery(&error) => return Err(error),
                    // If Redis refuses all writes, the next attempt starts again. Otherwise the
                    // next attempt would fail in the same way, and check all sessions again.
                    Err(error) => {
                        self.connections.check_writable().await?;
                        let why = error_chain(&error);
                        tracing::error!(session = %id, "published tokens of a session could not be checked: {why}");
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
        note.cmd("HSET").arg(key).arg(field).arg(&*run_id).ignore();
        Ok(self.run(&note).await?)
    }
}

/// Returns whether, after `error`, all further Redis invalidations would fail too, because the
/// store or Redis is unavailable. A command that Redis refuses concerns one invalidation only.
const fn ends_delivery(error: &DeliveryError) -> bool {
    !matches!(error, DeliveryError::Refused(_))
}
