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

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Pipeline, Script, cmd, pipe};
use futures_util::{StreamExt, TryStreamExt, stream};
use secrecy::{ExposeSecret, SecretString};

use super::RedisFront;
use super::cache::{client_key, session_key};
use super::links::Failure;
use crate::domain::{Digest, Session, SessionId, Timestamp, Token, TokenKind};
use crate::store::{Lost, Publisher, Result, StoreError};

/// How long a list stays after the last token in it.
const LINGER: Duration = Duration::from_secs(60);
/// Losses taken on at a time, and of those at once.
const BATCH: u32 = 500;
const AT_ONCE: usize = 32;
/// Which life of the server has been checked.
const SERVER_KEY: &str = "sentinel:server";

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

/// Takes all leases away and reads the list. A full Redis allows a script that only removes and reads, and no
/// transaction whatever.
static LISTED: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('DEL', KEYS[1])
         return redis.call('ZRANGE', KEYS[2], 0, -1)",
    )
});

fn list_key(id: SessionId) -> String {
    format!("{LISTS}{id}")
}

const LISTS: &str = "sentinel:published:";

fn leases_key(id: SessionId) -> String {
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

    async fn catch_up(&self) -> Result<()> {
        if self.links.is_down() {
            return Ok(());
        }
        self.check_life().await?;
        self.tell_all().await
    }
}

impl RedisFront {
    async fn run(&self, pipeline: &Pipeline) -> Result<(), Failure> {
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

    /// Tells Redis of all that is noted as lost.
    pub(super) async fn tell_all(&self) -> Result<()> {
        loop {
            let losses = self.losses.losses(BATCH).await?;
            if losses.is_empty() {
                return Ok(());
            }
            stream::iter(losses.clone())
                .map(|loss| self.tell(loss.of))
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            self.losses.clear(&losses).await?;
            if losses.len() < BATCH as usize {
                return Ok(());
            }
        }
    }

    async fn tell(&self, lost: Lost) -> Result<()> {
        match lost {
            Lost::Session(id) => self.tell_of_session(id).await,
            Lost::Client(id) => self.forget(&client_key(&id)).await,
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
        let session = self.behind.sessions.find(id).await?;
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
    async fn check_life(&self) -> Result<()> {
        let life = self.links.call(async |link| Ok(link.life.clone())).await?;
        let Some(life) = life.filter(|_| self.publishes) else { return Ok(()) };
        let (key, field) = (SERVER_KEY, "checked");
        let checked: Option<String> = self
            .links
            .call(async |link| {
                cmd("HGET").arg(key).arg(field).query_async(&mut link.connection).await
            })
            .await?;
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
                .await?;
            let sessions = lists.iter().filter_map(|list| list.strip_prefix(LISTS)?.parse().ok());
            stream::iter(sessions.collect::<Vec<SessionId>>())
                .map(|id| self.tell_of_session(id))
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            if next == 0 {
                break;
            }
            cursor = next;
        }
        let mut note = pipe();
        note.cmd("HSET").arg(key).arg(field).arg(&*life).ignore();
        Ok(self.run(&note).await?)
    }
}

fn has(session: &Session, digest: &Digest) -> bool {
    session.access.iter().any(|access| access.digest == *digest)
}

/// The keys go first: what is not in a list cannot be found again.
fn taking_down(list: &str, tokens: &[String]) -> Pipeline {
    let mut pipeline = pipe();
    pipeline.cmd("DEL").arg(tokens).ignore();
    pipeline.cmd("ZREM").arg(list).arg(tokens).ignore();
    pipeline
}
