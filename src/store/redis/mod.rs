//! Redis in front of a store: published access tokens, and a cache that several servers share.
//!
//! Redis is never authoritative. Its data may be lost at any time. A write that makes data in Redis
//! stale also records a pending invalidation in the store ([`Outbox`]). If Redis cannot be
//! invalidated, the call that caused the change reports it, and every server retries the
//! invalidation.
//!
//! - [`server`]: address and certificates.
//! - [`connections`]: shared connections, and behavior while Redis does not answer.
//! - [`publishing`]: `<access token>` → user id, and a list of these keys for each session.
//! - [`invalidation`]: invalidation of cached and published data.
//! - [`memory`]: used and maximum memory of Redis, and the policy for a full memory.
//! - [`undelivered`]: whether cached data may be read.
//! - [`cache`]: sessions and clients for introspection, and the leases that prevent stale writes.
//! - [`rate_limit_store`]: rate limit counters.
//! - [`caching_store`]: the store traits that the decorator changes.
//!
//! All string keys are valid access tokens, because resource servers accept any string key as one.
//! All other keys are of another type and begin with `sentinel:`.

mod cache;
mod caching_store;
mod connections;
mod invalidation;
mod memory;
mod publishing;
mod rate_limit_store;
mod server;
mod undelivered;

use std::sync::Arc;

#[doc(hidden)]
pub use super::packed_session::unpack_cached as read_cached;
use super::{LastWrite, Outbox, RateLimitStore, Result, Stores};
use crate::observe::metrics::{self, Metrics};
use crate::settings;
use connections::Connections;
use memory::RedisMemory;
use rate_limit_store::RedisRateLimitStore;
use undelivered::Undelivered;

/// Store that adds a Redis cache and published access tokens to another store. Clones share the
/// connections to Redis and all other state.
#[derive(Clone)]
pub struct CachingStore {
    connections: Arc<Connections>,
    inner: Stores,
    outbox: Arc<dyn Outbox>,
    undelivered: Arc<Undelivered>,
    last_write: Arc<LastWrite>,
    publishes: bool,
    caches: bool,
    counts: Option<Arc<metrics::CacheMetrics>>,
}

impl CachingStore {
    /// Wraps the stores `inner`; connects to Redis at the first call. `outbox` is the outbox
    /// (pending Redis invalidations) of `inner`. `caches` turns on the introspection cache, for
    /// stores that are slower than Redis.
    ///
    /// # Errors
    /// [`StoreError::Configuration`](super::StoreError::Configuration) if `redis.url` or a
    /// certificate file in the settings is invalid.
    pub fn new(
        inner: Stores,
        outbox: Arc<dyn Outbox>,
        settings: &settings::RedisSettings,
        caches: bool,
    ) -> Result<Self> {
        let connections = connections(settings)?;
        let publishes = settings.publish_tokens;
        let (undelivered, last_write) = (Arc::default(), Arc::default());
        Ok(Self {
            connections,
            inner,
            outbox,
            undelivered,
            last_write,
            publishes,
            caches,
            counts: None,
        })
    }

    /// Returns this store, which records metrics of the cache and of Redis in `metrics`, if given.
    pub(super) fn observed_by(self, metrics: Option<&Metrics>) -> Self {
        let counts = metrics.map(|metrics| {
            self.connections.count_in(metrics);
            self.connections.show_memory_in(metrics);
            Arc::clone(&metrics.cache)
        });
        Self { counts, ..self }
    }

    /// Returns the stores of a server: this store, its publisher of access tokens, and rate limit
    /// counters that servers share over Redis.
    pub fn into_stores(self) -> Stores {
        let store = Arc::new(self);
        Stores {
            users: Arc::<Self>::clone(&store),
            clients: Arc::<Self>::clone(&store),
            sessions: Arc::<Self>::clone(&store),
            transfer: Arc::<Self>::clone(&store),
            rate_limits: Arc::new(RedisRateLimitStore::new(Arc::clone(&store.connections))),
            publisher: Some(Arc::<Self>::clone(&store)),
            ..store.inner.clone()
        }
    }
}

/// Returns rate limit counters that servers share over Redis, for a server that does not use Redis
/// otherwise. Records metrics of Redis in `metrics`, if given.
///
/// # Errors
/// [`StoreError::Configuration`](super::StoreError::Configuration) if `redis.url` or a certificate
/// file in the settings is invalid.
pub fn rate_limit_store(
    settings: &settings::RedisSettings,
    metrics: Option<&Metrics>,
) -> Result<Arc<dyn RateLimitStore>> {
    let connections = connections(settings)?;
    if let Some(metrics) = metrics {
        connections.count_in(metrics);
    }
    Ok(Arc::new(RedisRateLimitStore::new(connections)))
}

/// Validates the `[redis]` settings and reads their certificate files, without connecting to Redis.
///
/// # Errors
/// [`StoreError::Configuration`](super::StoreError::Configuration) if `redis.url` or a certificate
/// file in the settings is invalid.
pub fn check(settings: &settings::RedisSettings) -> Result<()> {
    server::read(settings).map(drop)
}

/// Asks Redis for its policy for a full memory, and returns a warning if Redis would remove
/// published tokens. Returns `None` if no tokens are published, or Redis does not answer.
pub async fn eviction_warning(settings: &settings::RedisSettings) -> Option<String> {
    let server = server::read(settings).ok().filter(|_| settings.publish_tokens)?;
    let memory = RedisMemory::default();
    memory.update(&connections::read_memory(&server).await.ok()?);
    memory.eviction_warning()
}

fn connections(settings: &settings::RedisSettings) -> Result<Arc<Connections>> {
    let connections = server::read(settings)
        .and_then(|server| Connections::new(&server).map_err(|error| server::unusable(&error)))?;
    Ok(Arc::new(connections))
}
