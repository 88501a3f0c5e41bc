//! The cache: `sentinel:session:<id>` has the access tokens of a session, `sentinel:client:<id>` the
//! version of a client that introspects.
//!
//! Both are hashes of two fields. Whoever finds no data puts a lease there, then reads the store, then
//! writes the data if the lease is still its own. Whoever takes something away changes the store, then
//! removes the whole key, lease and all: who read before that finds the lease gone, who reads after it
//! reads what is true. The name of the data's field has the server's life in it: what a server has of an
//! earlier life is not read.

use std::sync::LazyLock;
use std::time::Instant;

use deadpool_redis::redis::{RedisResult, Script, cmd, pipe};

use super::RedisFront;
use super::cached_session::{pack, unpack};
use super::links::Link;
use crate::domain::{Client, ClientId, Digest, Session, SessionId};
use crate::observe::metrics;
use crate::observe::request::note_step;
use crate::store::{Result, Seen};

/// How long data is kept, in milliseconds. That it is right does not depend on it.
const KEPT: i64 = 60_000;
/// How long a lease is, which is longer than reading the store takes.
const LEASE: i64 = 10_000;
const LEASE_FIELD: &str = "lease";

/// Leases on those of the keys on which nobody has one. Only who gets it sets when it is over: those who
/// come later must not keep one alive whose owner is gone.
static LEASES: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local taken = {}
         for i, key in ipairs(KEYS) do
             taken[i] = redis.call('HSETNX', key, ARGV[1], ARGV[2])
             if taken[i] == 1 then redis.call('PEXPIRE', key, ARGV[3]) end
         end
         return taken",
    )
});

/// Writes data for whoever has the lease.
static WRITE_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], 'lease') ~= ARGV[1] then return 0 end
         redis.call('HDEL', KEYS[1], 'lease')
         redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
         redis.call('PEXPIRE', KEYS[1], ARGV[4])
         return 1",
    )
});

pub(super) fn session_key(id: SessionId) -> String {
    format!("sentinel:session:{id}")
}

pub(super) fn client_key(id: &ClientId) -> String {
    format!("sentinel:client:{id}")
}

/// Where the data of this version of Sentinel is, in this life of the server.
fn data_field(link: &Link) -> Option<String> {
    let life = link.life.as_deref()?;
    Some(format!("v1:{}", life.get(..12).unwrap_or(life)))
}

/// Changes with every change of the client.
fn stamp(client: &Client) -> String {
    let (created, updated) = (client.created_at.as_millis(), client.updated_at.as_millis());
    format!("{}:{created}:{updated}", client.version)
}

pub(super) fn has(session: &Session, access: &Digest) -> bool {
    session.access.iter().any(|token| token.digest == *access)
}

/// A key that this look-up may write.
struct Lease {
    key: String,
    field: String,
    nonce: String,
}

/// A look-up that is counted.
struct Lookup<'a> {
    counts: &'a metrics::Cache,
    started: Instant,
}

impl<'a> Lookup<'a> {
    /// Redis has answered, or will not.
    fn answered(self) -> &'a metrics::Cache {
        let took = self.started.elapsed();
        self.counts.times.observe(took);
        note_step("cache.find", self.started, took);
        self.counts
    }
}

/// Counts what came of it.
fn count(asked: Option<&metrics::Cache>, answered: bool, hit: bool) {
    let Some(counts) = asked else { return };
    match (answered, hit) {
        (false, _) => counts.failures.increment(),
        (true, true) => counts.hits.increment(),
        (true, false) => counts.misses.increment(),
    }
}

impl RedisFront {
    /// A look-up begins, if anybody counts them.
    fn asks(&self) -> Option<Lookup<'_>> {
        self.counts.as_deref().map(|counts| Lookup { counts, started: Instant::now() })
    }

    pub(super) async fn find_cached(
        &self,
        id: SessionId,
        access: &Digest,
    ) -> Result<Option<Session>> {
        let key = session_key(id);
        let asked = self.asks();
        let found = self
            .links
            .call(async |link| {
                let Some(field) = data_field(link) else { return Ok(None) };
                let mut get = cmd("HGET");
                get.arg(&key).arg(field);
                get.query_async::<Option<Vec<u8>>>(&mut link.connection).await
            })
            .await;
        let asked = asked.map(Lookup::answered);
        let cached = found.as_ref().ok().and_then(|data| unpack(id, data.as_deref()?));
        let cached = cached.filter(|session| has(session, access));
        count(asked, found.is_ok(), cached.is_some());
        if let Some(session) = cached {
            return Ok(Some(session));
        }
        let lease = if found.is_ok() { self.lease(vec![key]).await.pop() } else { None };
        let session = match self.behind.sessions.find(id).await {
            Ok(session) => session,
            Err(error) => {
                self.write_back(lease, None).await;
                return Err(error);
            }
        };
        let wanted = session.as_ref().filter(|session| has(session, access));
        self.write_back(lease, wanted.and_then(pack)).await;
        Ok(session)
    }

    pub(super) async fn find_cached_for(
        &self,
        id: SessionId,
        access: &Digest,
        caller: &Client,
    ) -> Result<Seen> {
        let keys = [session_key(id), client_key(&caller.id)];
        let [of_session, of_client] = &keys;
        let asked = self.asks();
        let found = self
            .links
            .call(async |link| {
                let Some(field) = data_field(link) else { return Ok((None, None)) };
                let mut both = pipe();
                both.cmd("HGET").arg(of_session).arg(&field);
                both.cmd("HGET").arg(of_client).arg(&field);
                let both: (Option<Vec<u8>>, Option<String>) =
                    both.query_async(&mut link.connection).await?;
                Ok(both)
            })
            .await;
        let asked = asked.map(Lookup::answered);
        let (data, version) = match &found {
            Ok((data, version)) => (data.as_deref(), version.as_deref()),
            Err(_) => (None, None),
        };
        let cached = data.and_then(|data| unpack(id, data)).filter(|found| has(found, access));
        let current = stamp(caller);
        let is_caller = version == Some(current.as_str());
        count(asked, found.is_ok(), cached.is_some() && is_caller);
        let cached = match cached {
            Some(session) if is_caller => return Ok(Seen::Session(Some(Box::new(session)))),
            cached => cached,
        };
        let missing = [(cached.is_none(), of_session), (!is_caller, of_client)];
        let missing = missing.into_iter().filter(|(is_missing, _)| *is_missing && found.is_ok());
        let leases = self.lease(missing.map(|(_, key)| key.clone()).collect()).await;
        let seen = self.behind.sessions.find_for(id, Some(access), caller).await;
        for lease in leases {
            let data = match &seen {
                Err(_) | Ok(Seen::OtherCaller) => None,
                Ok(Seen::Session(_)) if lease.key == *of_client => {
                    Some(current.clone().into_bytes())
                }
                Ok(Seen::Session(session)) => {
                    session.as_deref().filter(|found| has(found, access)).and_then(pack)
                }
            };
            self.write_back(Some(lease), data).await;
        }
        seen
    }

    /// Leases on those of these keys on which nobody has one.
    async fn lease(&self, keys: Vec<String>) -> Vec<Lease> {
        if keys.is_empty() {
            return Vec::new();
        }
        let nonce = hex::encode(rand::random::<[u8; 12]>());
        let taken = self
            .links
            .call(async |link| {
                let Some(field) = data_field(link) else { return Ok(None) };
                let mut lease = LEASES.prepare_invoke();
                for key in &keys {
                    lease.key(key);
                }
                lease.arg(LEASE_FIELD).arg(&nonce).arg(LEASE);
                let taken: Vec<bool> = lease.invoke_async(&mut link.connection).await?;
                Ok(Some((field, taken)))
            })
            .await;
        let Ok(Some((field, taken))) = taken else { return Vec::new() };
        let leases = keys.into_iter().zip(taken).filter(|(_, taken)| *taken);
        leases.map(|(key, _)| Lease { key, field: field.clone(), nonce: nonce.clone() }).collect()
    }

    /// Writes data under a lease, or gives the lease up. That it fails costs a read of the store later.
    async fn write_back(&self, lease: Option<Lease>, data: Option<Vec<u8>>) {
        let Some(lease) = lease else { return };
        let written = self
            .links
            .call(async |link| -> RedisResult<()> {
                let connection = &mut link.connection;
                let Some(data) = &data else {
                    return cmd("HDEL")
                        .arg(&lease.key)
                        .arg(LEASE_FIELD)
                        .query_async(connection)
                        .await;
                };
                let mut script = WRITE_BACK.key(&lease.key);
                script.arg(&lease.nonce).arg(&lease.field).arg(data.as_slice()).arg(KEPT);
                script.invoke_async(connection).await
            })
            .await;
        if let Err(error) = written {
            tracing::debug!(%error, "a cache entry could not be written");
        }
    }
}
