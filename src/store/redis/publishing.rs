//! Published access tokens: `SET <access token> <user id>`, for resource servers that look tokens
//! up in Redis, as those of flask-sentinel do. A session without a user publishes nothing, because
//! such a resource server takes every value for a user id.
//!
//! No store contains a token in plain text. Therefore each session has a list of its published
//! tokens, a hash with an entry ([`list_entry`]) and the time of expiry for each. An entry has less
//! than 64 bytes, for which Redis uses its compact encoding: with the texts of the tokens, the list
//! of one token would take a kilobyte. A change that ends a token first writes the store and then
//! removes the listed tokens that are no longer valid in the store. Earlier versions used a sorted
//! set of texts under the same key; a list of that type is read, and extended as it is.
//!
//! A publisher first takes a lease on the session and then checks that the store has the token. It
//! lists the token and sets its key only if it still has the lease. Reading the list for removal
//! deletes all leases. So if a publisher checked the store before the token ended, either its token
//! is in the list already or its lease is gone, however long the publisher was delayed. A token
//! that was removed is never published again.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_redis::redis::{Pipeline, Script, cmd, pipe};
use secrecy::{ExposeSecret, SecretString};

use super::CachingStore;
use super::cache::has_access_token;
use super::connections::RedisCallError;
use crate::domain::{
    AccessToken, Digest, Session, SessionId, TOKEN_BYTES, Timestamp, Token, TokenKind, UserId,
    random_bytes,
};
use crate::store::{DeliveryError, LastWrite, Publisher, Result, StoreError};

/// Time in milliseconds for which a session's list of published tokens outlives the last token.
const LINGER: i64 = 60_000;

/// Lifetime of a publishing lease (permission to publish tokens of a session), in milliseconds.
const LEASE_TTL_MS: i64 = 10_000;
/// Maximum number of attempts to publish a token in Redis. An attempt fails if its lease
/// (permission to publish) is gone, for example because of a concurrent invalidation.
const ATTEMPTS: usize = 20;

/// Script that adds a token to its session's list of published tokens and sets the token's key, if
/// the caller still has its lease (permission to publish).
static PUBLISH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
         local listed = redis.pcall('HGETALL', KEYS[2])
         if listed.err then
             redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[2])
             redis.call('ZADD', KEYS[2], ARGV[3], KEYS[3])
         else
             for i = 1, #listed, 2 do
                 if tonumber(listed[i + 1]) <= tonumber(ARGV[2]) then
                     redis.call('HDEL', KEYS[2], listed[i])
                 end
             end
             redis.call('HSET', KEYS[2], ARGV[7], ARGV[3])
         end
         redis.call('PEXPIRE', KEYS[2], ARGV[4])
         redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[6])
         return 1",
    )
});

pub(super) fn list_key(id: SessionId) -> String {
    format!("{LISTS}{id}")
}

pub(super) const LISTS: &str = "sentinel:published:";

pub(super) fn leases_key(id: SessionId) -> String {
    format!("sentinel:publishing:{id}")
}

/// Returns the entry of a published token in its session's list: selector and verifier of a token
/// of our own form, or the text of an imported token.
fn list_entry(text: &str) -> Vec<u8> {
    match Token::parse(text) {
        Some(token) => token.to_bytes().to_vec(),
        None => text.as_bytes().to_vec(),
    }
}

/// Returns the text of the published token that has this entry in its session's list. Earlier
/// versions listed every token by its text.
pub(super) fn listed_token(entry: &[u8]) -> String {
    let of_ours = (entry.len() == TOKEN_BYTES).then(|| Token::from_bytes(TokenKind::Access, entry));
    match of_ours.flatten() {
        Some(token) => token.to_secret().expose_secret().to_owned(),
        None => String::from_utf8_lossy(entry).into_owned(),
    }
}

/// Lease (temporary permission) of a process to publish access tokens of a session in Redis.
struct PublishingLease {
    nonce: String,
    /// Random identifier of the Redis process that granted the lease. A restarted Redis may have
    /// restored the lease from disk; such a lease is not valid.
    run_id: Option<Arc<str>>,
}

#[async_trait]
impl Publisher for CachingStore {
    async fn publish(
        &self,
        session: &Session,
        token: &SecretString,
        access: &Digest,
        expires_in: Duration,
    ) -> Result<()> {
        let Some(user) = session.user.as_ref().filter(|_| self.publishes) else { return Ok(()) };
        let found = session.access_tokens.iter().find(|token| token.digest == *access);
        let Some(found) = found else { return Ok(()) };
        self.publish_to(user.id, session, token, found, expires_in).await
    }

    async fn probe(&self) -> Result<()> {
        let probed = self.recorded(self.connections.probe()).await;
        if self.publishes {
            self.connections.memory().warn_about_eviction();
        }
        Ok(probed?)
    }

    fn last_write(&self) -> &LastWrite {
        &self.last_write
    }

    fn is_required(&self) -> bool {
        self.publishes
    }

    fn is_down(&self) -> bool {
        self.connections.is_down()
    }

    fn can_publish(&self) -> Result<()> {
        if self.publishes && self.connections.is_down() {
            Err(RedisCallError::Down.into())
        } else {
            Ok(())
        }
    }

    async fn reconcile(&self) -> Result<(), DeliveryError> {
        if self.connections.is_down() {
            return Ok(());
        }
        match self.reconcile_instance().await {
            // The component that detected the outage has logged it.
            Err(DeliveryError::Unavailable(_)) if self.connections.is_down() => Ok(()),
            done => done,
        }
    }

    async fn keys_of_length(&self, length: usize) -> Result<BTreeSet<String>> {
        let (mut found, mut cursor) = (BTreeSet::new(), 0_u64);
        loop {
            let (next, keys): (u64, Vec<Vec<u8>>) = self
                .connections
                .call(async |call| {
                    let mut scan = cmd("SCAN");
                    scan.arg(cursor).arg("MATCH").arg("?".repeat(length));
                    scan.arg("COUNT").arg(1000).arg("TYPE").arg("string");
                    scan.query_async(&mut call.connection).await
                })
                .await?;
            found.extend(keys.into_iter().filter_map(|key| String::from_utf8(key).ok()));
            if next == 0 {
                return Ok(found);
            }
            cursor = next;
        }
    }

    async fn deliver_pending(&self) -> Result<bool, DeliveryError> {
        let begun = self.undelivered.begin();
        let delivered = self.try_delivery().await;
        match &delivered {
            // An entry that Redis refused to delete has been recorded since.
            Ok(()) | Err(DeliveryError::Refused(_)) => self.undelivered.complete(begun),
            // Without the store, no server can record invalidations, and the cache is as good as
            // before.
            Err(DeliveryError::Store(_)) => {}
            Err(DeliveryError::Unavailable(_)) => self.undelivered.record_failure(),
        }
        match delivered {
            // The component that detected the outage has logged it.
            Err(DeliveryError::Unavailable(_)) if self.connections.is_down() => Ok(false),
            done => done.map(|()| true),
        }
    }
}

impl CachingStore {
    /// Publishes the access token `token`, which is `access` in `session`, for the user `owner`.
    async fn publish_to(
        &self,
        owner: UserId,
        session: &Session,
        token: &SecretString,
        access: &AccessToken,
        expires_in: Duration,
    ) -> Result<()> {
        let over = |at: Timestamp| at.as_millis();
        let last = session.access_tokens.iter().map(|access| over(access.expires_at)).max();
        let ttl = i64::try_from(expires_in.as_millis()).unwrap_or(i64::MAX);
        let now = over(access.expires_at).saturating_sub(ttl);
        let keep = last.unwrap_or(now).saturating_sub(now).saturating_add(LINGER);
        let (text, owner) = (token.expose_secret(), owner.to_string());
        let entry = list_entry(text);
        let keys = [leases_key(session.id), list_key(session.id)];
        let [leases, list] = &keys;
        for _ in 0..ATTEMPTS {
            let lease = self.lease_publishing(leases).await?;
            let found = self.inner.sessions.find(session.id).await?;
            if !found.is_some_and(|session| has_access_token(&session, &access.digest)) {
                return Ok(());
            }
            let publishing = self.connections.call(async |call| {
                if call.run_id != lease.run_id {
                    return Ok(false);
                }
                let mut script = PUBLISH.key(leases);
                script.key(list).key(text).arg(&lease.nonce).arg(now);
                script.arg(over(access.expires_at)).arg(keep).arg(&owner).arg(ttl);
                script.arg(entry.as_slice());
                script.invoke_async::<bool>(&mut call.connection).await
            });
            if self.recorded(publishing).await? {
                return Ok(());
            }
        }
        Err(StoreError::Busy)
    }

    /// Runs a write to Redis and records whether it succeeded.
    async fn recorded<T>(
        &self,
        write: impl Future<Output = Result<T, RedisCallError>> + Send,
    ) -> Result<T, RedisCallError> {
        let started = Instant::now();
        let written = write.await;
        self.last_write.record(started, written.is_ok());
        written
    }

    /// Delivers the pending Redis invalidations (removals of stale copies) of all processes. Also
    /// fails if none is pending but Redis refuses writes: another process may have an invalidation
    /// that this process cannot see yet.
    async fn try_delivery(&self) -> Result<(), DeliveryError> {
        if let Err(error) = self.connections.check_writable().await {
            self.undelivered.record_failure();
            return Err(error.into());
        }
        self.deliver_outbox().await
    }

    pub(super) async fn run(&self, pipeline: &Pipeline) -> Result<(), RedisCallError> {
        self.connections.call(async |call| pipeline.query_async(&mut call.connection).await).await
    }

    /// Takes and returns a lease (temporary permission) to publish tokens of a session. `leases` is
    /// the key of the session's leases in Redis. Several publishers may each have a lease.
    async fn lease_publishing(&self, leases: &str) -> Result<PublishingLease, RedisCallError> {
        let nonce = hex::encode(random_bytes::<12>()?);
        let mut take = pipe();
        take.atomic();
        take.cmd("HSET").arg(leases).arg(&nonce).arg(1).ignore();
        take.cmd("PEXPIRE").arg(leases).arg(LEASE_TTL_MS).ignore();
        let taking = self.connections.call(async |call| {
            take.query_async::<()>(&mut call.connection).await?;
            Ok(call.run_id.clone())
        });
        Ok(PublishingLease { run_id: self.recorded(taking).await?, nonce })
    }
}
