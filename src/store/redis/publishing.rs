//! Published tokens: `SET <access token> <user id>`, for resource servers that look them up themselves,
//! as those of flask-sentinel do.
//!
//! No store holds a plain token, so what is published of a session is listed beside it, in a sorted set
//! by expiry. Whoever takes a token away changes the store first, and then takes down what is listed and
//! not alive in the store.
//!
//! Whoever publishes takes a lease on the session first, then looks whether the store has the token, and
//! lists it and sets the key only if the lease is still its own. To read the list is to take all leases
//! away. So a publisher that looked before a loss either is in the list already or comes too late,
//! however long it was held up in between, and what is gone once is never published again.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Pipeline, Script, pipe};
use secrecy::{ExposeSecret, SecretString};

use super::RedisFront;
use super::cache::has;
use super::links::Failure;
use crate::domain::{Digest, Session, SessionId, Timestamp};
use crate::store::{Publisher, Result, StoreError};

/// How long a list stays after the last token in it.
const LINGER: Duration = Duration::from_secs(60);

/// How long a lease is, in milliseconds, and how often it is taken anew when others take it away.
const LEASE: i64 = 10_000;
const ATTEMPTS: usize = 20;

/// Lists a token and sets its key, for whoever has a lease.
static PUBLISH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
         redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[2])
         redis.call('ZADD', KEYS[2], ARGV[3], KEYS[3])
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

/// The right to publish tokens of a session.
struct Lease {
    nonce: String,
    /// The life of the server that gave it: one that comes back with what it had is no other's.
    life: Option<Arc<str>>,
}

#[async_trait]
impl Publisher for RedisFront {
    async fn publish(
        &self,
        session: &Session,
        token: &SecretString,
        access: &Digest,
        expires_in: Duration,
    ) -> Result<()> {
        if !self.publishes {
            return Ok(());
        }
        let digest = access;
        let Some(access) = session.access.iter().find(|access| access.digest == *digest) else {
            return Ok(());
        };
        let over = |at: Timestamp| at.as_millis();
        let last = session.access.iter().map(|access| over(access.expires_at)).max();
        let ttl = i64::try_from(expires_in.as_millis()).unwrap_or(i64::MAX);
        let now = over(access.expires_at).saturating_sub(ttl);
        let linger = i64::try_from(LINGER.as_millis()).unwrap_or_default();
        let keep = last.unwrap_or(now).saturating_sub(now).saturating_add(linger);
        let text = token.expose_secret();
        let owner = match &session.user {
            Some(user) => user.id.to_string(),
            None => session.client_id.to_string(),
        };
        let keys = [leases_key(session.id), list_key(session.id)];
        let [leases, list] = &keys;
        for _ in 0..ATTEMPTS {
            let lease = self.lease_publishing(leases).await?;
            let found = self.behind.sessions.find(session.id).await?;
            if !found.is_some_and(|session| has(&session, digest)) {
                return Ok(());
            }
            let published: bool = self
                .links
                .call(async |link| {
                    if link.life != lease.life {
                        return Ok(false);
                    }
                    let mut script = PUBLISH.key(leases);
                    script.key(list).key(text).arg(&lease.nonce).arg(now);
                    script.arg(over(access.expires_at)).arg(keep).arg(&owner).arg(ttl);
                    script.invoke_async(&mut link.connection).await
                })
                .await?;
            if published {
                return Ok(());
            }
        }
        Err(StoreError::Busy)
    }

    fn can_publish(&self) -> Result<()> {
        if self.publishes && self.links.is_down() { Err(Failure::Down.into()) } else { Ok(()) }
    }

    async fn catch_up(&self) -> Result<bool> {
        if self.links.is_down() {
            return Ok(false);
        }
        let checked = self.check_life().await;
        let told = self.tell_all().await;
        match told.and(checked) {
            // Whoever noticed it has said so.
            Err(StoreError::Untold(_)) if self.links.is_down() => Ok(false),
            done => done.map(|()| true),
        }
    }
}

impl RedisFront {
    pub(super) async fn run(&self, pipeline: &Pipeline) -> Result<(), Failure> {
        self.links.call(async |link| pipeline.query_async(&mut link.connection).await).await
    }

    /// A lease on a session's published tokens; several may have one.
    async fn lease_publishing(&self, leases: &str) -> Result<Lease, Failure> {
        let nonce = hex::encode(rand::random::<[u8; 12]>());
        let mut take = pipe();
        take.atomic();
        take.cmd("HSET").arg(leases).arg(&nonce).arg(1).ignore();
        take.cmd("PEXPIRE").arg(leases).arg(LEASE).ignore();
        let life = self
            .links
            .call(async |link| {
                take.query_async::<()>(&mut link.connection).await?;
                Ok(link.life.clone())
            })
            .await?;
        Ok(Lease { nonce, life })
    }
}
