//! Introspection cache: `sentinel:session:<id>` contains the access tokens of a session,
//! `sentinel:client:<id>` the version of a client that introspects.
//!
//! Both are Redis hashes (field maps) with a field for the data and a field for a lease. After a
//! miss, a reader writes a lease, reads the store, and writes the data only if the lease still is
//! its own. An invalidation follows the change of the store and deletes the whole key, including
//! the lease. So a reader that read the store before the change finds its lease gone, and a later
//! reader reads the new state. The name of the data field contains the `run_id` of the Redis
//! instance, so that data from an earlier instance is not read.

use std::sync::LazyLock;
use std::time::Instant;

use deadpool_redis::redis::{RedisResult, Script, cmd, pipe};

use super::CachingStore;
use super::connections::CallConnection;
use crate::domain::{Client, ClientId, Digest, Session, SessionId, random_bytes};
use crate::observe::metrics;
use crate::observe::request::record_step;
use crate::store::packed_session::{pack_cached, unpack_cached};
use crate::store::{CallerLookup, Result, Want};

/// Time to live of a cached session or client, in milliseconds. Correctness does not depend on this
/// TTL.
const CACHE_TTL_MS: i64 = 60_000;
/// Lifetime of a lease (permission to fill a cache entry), in milliseconds. The lifetime is longer
/// than a read of the store takes.
const LEASE_TTL_MS: i64 = 10_000;
const LEASE_FIELD: &str = "lease";

/// Script that takes a lease (permission to fill a cache entry) on each key that has none. Only a
/// successful attempt sets the expiry: a failed attempt must not extend a lease whose owner is
/// gone.
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

/// Script that writes data to a cache entry if the caller still has the lease on the entry.
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

/// Returns the name of the field that contains cached data in a Redis hash (field map): the format
/// version and the start of the Redis process's `run_id`. Returns `None` if the `run_id` is
/// unknown.
fn data_field(call: &CallConnection) -> Option<String> {
    let run_id = call.run_id.as_deref()?;
    Some(format!("v1:{}", run_id.get(..12).unwrap_or(run_id)))
}

/// Returns a text that changes with every change of the client: its version and its timestamps.
fn client_version_tag(client: &Client) -> String {
    let (created, updated) = (client.created_at.as_millis(), client.updated_at.as_millis());
    format!("{}:{created}:{updated}", client.version)
}

pub(super) fn has_access_token(session: &Session, access: &Digest) -> bool {
    session.access_tokens.iter().any(|token| token.digest == *access)
}

/// Lease (temporary, exclusive permission) for one look-up to fill a cache entry.
struct FillLease {
    key: String,
    field: String,
    nonce: String,
}

/// Timer of one look-up in the Redis cache, for the metrics.
struct CacheLookup<'a> {
    counts: &'a metrics::CacheMetrics,
    started: Instant,
}

impl<'a> CacheLookup<'a> {
    /// Records the time that Redis took for the cache look-up, whether Redis answered or failed.
    /// Returns the cache metrics.
    fn finish(self) -> &'a metrics::CacheMetrics {
        let took = self.started.elapsed();
        self.counts.times.observe(took.as_secs_f64());
        record_step("cache.find", self.started, took);
        self.counts
    }
}

/// Counts a look-up in the Redis cache as hit, miss or failure, if metrics are enabled.
fn count(counts: Option<&metrics::CacheMetrics>, is_answered: bool, is_hit: bool) {
    let Some(counts) = counts else { return };
    match (is_answered, is_hit) {
        (false, _) => counts.failures.inc(),
        (true, true) => counts.hits.inc(),
        (true, false) => counts.misses.inc(),
    }
}

impl CachingStore {
    /// Starts the timer of a look-up in the Redis cache. Returns `None` if metrics are disabled.
    fn start_lookup(&self) -> Option<CacheLookup<'_>> {
        self.counts.as_deref().map(|counts| CacheLookup { counts, started: Instant::now() })
    }

    /// Counts a look-up that skipped the Redis cache as a failure of the cache. The cache is
    /// skipped while an invalidation (removal of stale entries) is undelivered.
    pub(super) fn count_bypass(&self) {
        count(self.counts.as_deref(), false, false);
    }

    /// Looks up the session, and the client if `caller` is given, in the Redis cache in one round
    /// trip. If either is missing in the cache, reads the store and fills the cache.
    pub(super) async fn look_up_cached(
        &self,
        id: SessionId,
        access: &Digest,
        caller: Option<&Client>,
    ) -> Result<CallerLookup> {
        let of_session = session_key(id);
        let of_client = caller.map(|caller| (client_key(&caller.id), client_version_tag(caller)));
        let lookup = self.start_lookup();
        let found = self
            .connections
            .call(async |call| {
                let Some(field) = data_field(call) else { return Ok(Vec::new()) };
                let mut get = pipe();
                get.cmd("HGET").arg(&of_session).arg(&field);
                if let Some((key, _)) = &of_client {
                    get.cmd("HGET").arg(key).arg(&field);
                }
                get.query_async::<Vec<Option<Vec<u8>>>>(&mut call.connection).await
            })
            .await;
        let counts = lookup.map(CacheLookup::finish);
        let is_answered = found.is_ok();
        let mut data = found.unwrap_or_default().into_iter();
        let cached = data.next().flatten().and_then(|data| unpack_cached(id, &data));
        let cached = cached.filter(|session| has_access_token(session, access));
        let cached_tag = data.next().flatten();
        let stale_client = of_client
            .as_ref()
            .filter(|(_, current)| cached_tag.as_deref() != Some(current.as_bytes()));
        count(counts, is_answered, cached.is_some() && stale_client.is_none());
        let cached = match cached {
            Some(session) if stale_client.is_none() => return Ok(Some(session).into()),
            cached => cached,
        };
        let mut missing = Vec::new();
        // The cache must not take the memory that published tokens need.
        if is_answered && !self.connections.memory().is_filled() {
            missing.extend(cached.is_none().then(|| of_session.clone()));
            missing.extend(stale_client.map(|(key, _)| key.clone()));
        }
        let leases = self.lease(missing).await;
        let found = self.inner.sessions.look_up(id, Want { access: Some(access), caller }).await;
        for lease in leases {
            let data = match (&found, &of_client) {
                (Err(_) | Ok(CallerLookup::CallerChanged), _) => None,
                (Ok(CallerLookup::Session(_)), Some((key, current))) if lease.key == *key => {
                    Some(current.clone().into_bytes())
                }
                (Ok(CallerLookup::Session(session)), _) => session
                    .as_deref()
                    .filter(|session| has_access_token(session, access))
                    .and_then(pack_cached),
            };
            self.write_back(lease, data).await;
        }
        found
    }

    /// Takes a lease (permission to fill a cache entry) on each of `keys` that has none, and
    /// returns the leases taken.
    async fn lease(&self, keys: Vec<String>) -> Vec<FillLease> {
        // Without a lease, nothing is cached.
        let Some(nonce) = random_bytes::<12>().ok().filter(|_| !keys.is_empty()) else {
            return Vec::new();
        };
        let nonce = hex::encode(nonce);
        let taken = self
            .connections
            .call(async |call| {
                let Some(field) = data_field(call) else { return Ok(None) };
                let mut lease = LEASES.prepare_invoke();
                for key in &keys {
                    lease.key(key);
                }
                lease.arg(LEASE_FIELD).arg(&nonce).arg(LEASE_TTL_MS);
                let taken: Vec<bool> = lease.invoke_async(&mut call.connection).await?;
                Ok(Some((field, taken)))
            })
            .await;
        let Ok(Some((field, taken))) = taken else { return Vec::new() };
        let leases = keys.into_iter().zip(taken).filter(|(_, taken)| *taken);
        leases
            .map(|(key, _)| FillLease { key, field: field.clone(), nonce: nonce.clone() })
            .collect()
    }

    /// Writes data to the cache entry that the lease (permission to fill the entry) is for, or
    /// removes the lease if there is no data. A failure only costs a later read of the store.
    async fn write_back(&self, lease: FillLease, data: Option<Vec<u8>>) {
        let written = self
            .connections
            .call(async |call| -> RedisResult<()> {
                let connection = &mut call.connection;
                let Some(data) = &data else {
                    return cmd("HDEL")
                        .arg(&lease.key)
                        .arg(LEASE_FIELD)
                        .query_async(connection)
                        .await;
                };
                let mut script = WRITE_BACK.key(&lease.key);
                script.arg(&lease.nonce).arg(&lease.field).arg(data.as_slice()).arg(CACHE_TTL_MS);
                script.invoke_async(connection).await
            })
            .await;
        if let Err(error) = written {
            tracing::debug!(%error, "a cache entry could not be written");
        }
    }
}
