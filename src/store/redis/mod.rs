//! Redis in front of a store: published access tokens, and a cache that several servers share.
//!
//! Redis is never authoritative. Its data may be lost at any time. A write that makes data in Redis
//! stale also records a pending invalidation in the store ([`Losses`]). If Redis cannot be
//! invalidated, the call that caused the change reports it, and every server retries the
//! invalidation.
//!
//! - [`server`]: address and certificates.
//! - [`links`]: shared connections, and behavior while Redis does not answer.
//! - [`publishing`]: `<access token>` → user id, and a list of these keys for each session.
//! - [`telling`]: invalidation of cached and published data.
//! - [`cache`]: sessions and clients for introspection, and the leases that prevent stale writes.
//! - [`attempts`]: rate limit counters.
//! - [`front`]: the store traits, implemented over those of the wrapped store.
//!
//! All string keys are valid access tokens, because resource servers accept any string key as one.
//! All other keys are of another type and begin with `sentinel:`.

mod attempts;
mod cache;
mod cached_session;
mod front;
mod links;
mod publishing;
mod server;
mod telling;

use std::sync::Arc;

use super::measured::measured;
use super::{
    AttemptStore, ClientStore, Health, ImportStore, Losses, Result, SessionStore, Stores, UserStore,
};
use crate::observe::metrics::{self, Metrics};
use crate::settings;
use attempts::RedisAttempts;
#[doc(hidden)]
pub use cached_session::unpack as read_cached;
use links::Links;

/// A decorator that puts Redis in front of a store. Clones share connections and state.
#[derive(Clone)]
pub struct RedisFront {
    links: Arc<Links>,
    behind: Stores,
    losses: Arc<dyn Losses>,
    publishes: bool,
    caches: bool,
    counts: Option<Arc<metrics::Cache>>,
}

impl RedisFront {
    /// Creates the decorator; it connects at the first call. `caches` enables the introspection
    /// cache, for stores that are slower than Redis.
    ///
    /// # Errors
    /// [`StoreError::Unusable`](super::StoreError::Unusable) if the URL or a certificate file is
    /// invalid.
    pub fn new<S>(store: S, settings: &settings::Redis, caches: bool) -> Result<Self>
    where
        S: UserStore + ClientStore + SessionStore + ImportStore + Health + Losses + 'static,
    {
        let store = Arc::new(store);
        Ok(Self {
            links: links(settings)?,
            losses: Arc::<S>::clone(&store),
            behind: Stores::shared(store),
            publishes: settings.publish_tokens,
            caches,
            counts: None,
        })
    }

    /// Records metrics of the wrapped store, of the cache and of Redis, if `metrics` is given.
    pub(super) fn observed_by(self, metrics: Option<&Metrics>) -> Self {
        match metrics {
            None => self,
            Some(metrics) => {
                self.links.count_in(&metrics.redis);
                Self {
                    behind: measured(self.behind, &metrics.store),
                    counts: Some(Arc::clone(&metrics.cache)),
                    ..self
                }
            }
        }
    }

    /// Returns this decorator as the stores of a server, with publisher and shared rate limit
    /// counters.
    pub fn into_stores(self) -> Stores {
        let front = Arc::new(self);
        let publisher = Arc::<Self>::clone(&front);
        let attempts = Arc::new(RedisAttempts::new(Arc::clone(&front.links)));
        Stores { publisher: Some(publisher), attempts, ..Stores::shared(front) }
    }
}

/// Returns only the shared rate limit counters, for a store that does not use Redis otherwise.
///
/// # Errors
/// As [`RedisFront::new`].
pub fn attempts(
    settings: &settings::Redis,
    metrics: Option<&Metrics>,
) -> Result<Arc<dyn AttemptStore>> {
    let links = links(settings)?;
    if let Some(metrics) = metrics {
        links.count_in(&metrics.redis);
    }
    Ok(Arc::new(RedisAttempts::new(links)))
}

/// Validates the Redis settings without connecting.
///
/// # Errors
/// As [`RedisFront::new`].
pub fn check(settings: &settings::Redis) -> Result<()> {
    server::read(settings).map(drop)
}

fn links(settings: &settings::Redis) -> Result<Arc<Links>> {
    let links = server::read(settings)
        .and_then(|server| Links::new(&server).map_err(|error| server::unusable(&error)))?;
    Ok(Arc::new(links))
}
