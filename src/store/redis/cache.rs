//! Introspection cache: `sentinel:session:<id>` contains the access tokens of a session,
//! `sentinel:client:<id>` the version of a client that introspects.
//!
//! Both are hashes with a field for the data and one for a lease. After a miss, a reader writes a
//! lease, reads the store, and writes the data only if the lease still is its own. An invalidation
//! follows the change of the store and deletes the whole key, including the lease. So a reader that
//! read the store before the change finds its lease gone, and a later reader reads the new state.
//! The name of the data field contains the `run_id` of the Redis instance, so that data from an
//! earlier instance is not read.

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

/// Time to live of cached data, in milliseconds. Correctness does not depend on this TTL.
const KEPT: i64 = 60_000;
/// Lifetime of a lease, in milliseconds. It is longer than a read of the store takes.
const LEASE: i64 = 10_000;
const LEASE_FIELD: &str = "lease";

/// Takes leases on those keys that have none. Only a successful attempt sets the expiry: a failed
/// one must not extend a lease whose owner is gone.
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

/// Writes data if the caller still has the lease.
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

/// Returns the name of the data field for this format version and this Redis instance, or `None` if
/// the instance is unknown.
fn data_field(link: &Link) -> Option<String> {
    let life = link.life.as_deref()?;
    Some(format!("v1:{}", life.get(..12).unwrap_or(life)))
}

/// Returns a text that changes with every change of the client.
fn stamp(client: &Client) -> String {
    let (created, updated) = (client.created_at.as_millis(), client.updated_at.as_millis());
    format!("{}:{created}:{updated}", client.version)
}

pub(super) fn has(session: &Session, access: &Digest) -> bool {
    session.access.iter().any(|token| token.digest == *access)
}

/// Lease that permits one look-up to fill a cache entry.
struct Lease {
    key: String,
    field: String,
    nonce: String,
}

/// Measurement of one cache look-up.
struct Lookup<'a> {
    counts: &'a metrics::Cache,
    started: Instant,
}

impl<'a> Lookup<'a> {
    /// Records the time that Redis took, whether it answered or failed.
    fn answered(self) -> &'a metrics::Cache {
        let took = self.started.elapsed();
        self.counts.times.observe(took);
        note_step("cache.find", self.started, took);
        self.counts
    }
}

/// Counts a look-up as hit, miss or failure.
fn count(asked: Option<&metrics::Cache>, answered: bool, hit: bool) {
    let Some(counts) = asked else { return };
    match (answered, hit) {
        (false, _) => counts.failures.increment(),
        (true, true) => counts.hits.increment(),
        (true, false) => counts.misses.increment(),
    }
}

impl RedisFront {
    /// Starts the measurement of a look-up, if metrics are enabled.
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

    /// Takes leases on those of `keys` that have none, and returns the leases taken.
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

    /// Writes data under a lease, or removes the lease if there is no data. A failure only costs a
    /// later read of the store.
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
