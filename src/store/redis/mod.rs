//! Redis in front of a store: published access tokens, and a cache that several servers share.
//!
//! Redis is never the truth. What is in it can be lost at any moment, and what is to go from it is noted
//! in the store, with the write that takes it away ([`Losses`]): whoever cannot tell Redis answers that
//! it could not, and every server goes on trying.
//!
//! - [`server`]: where it is, and which certificates count.
//! - [`links`]: connections, held and shared; what happens when Redis does not answer.
//! - [`publishing`]: `<access token>` → user id, and the list of them beside each session.
//! - [`telling`]: how both are taken back when something ends.
//! - [`cache`]: sessions and callers, as introspection needs them, and how a late reader is kept from
//!   putting back what has been taken away.
//! - [`attempts`]: counters of failed attempts, for the throttle.
//! - [`front`]: the traits, over those of the store behind.
//!
//! String keys are live access tokens, all of them: resource servers take any for one. All else is of
//! another type, under `sentinel:`.

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

/// A store with Redis in front of it. Clones share everything.
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
    /// `caches`: whether a look-up in Redis is faster than one in the store. Connects when it is first
    /// needed.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when the URL is no good.
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

    /// The same, with the store behind it and the cache seen by `metrics`.
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

    /// As the stores of a server.
    pub fn into_stores(self) -> Stores {
        let front = Arc::new(self);
        let publisher = Arc::<Self>::clone(&front);
        let attempts = Arc::new(RedisAttempts::new(Arc::clone(&front.links)));
        Stores { publisher: Some(publisher), attempts, ..Stores::shared(front) }
    }
}

/// Counters of failed attempts alone, for a store that has no other use for Redis.
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

/// Whether there can be a connection, without making one.
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
