//! Redis in front of a store: published access tokens, and a cache that several servers share.
//!
//! Redis is never the truth. What is in it can be lost at any moment, and what is to go from it is noted
//! in the store, with the write that takes it away ([`Losses`]): whoever cannot tell Redis answers that
//! it could not, and every server goes on trying.
//!
//! - [`server`]: where it is, and which certificates count.
//! - [`links`]: connections, held and shared; what happens when Redis does not answer.
//! - [`publishing`]: `<access token>` → user id, and the list of them beside each session.
//! - [`cache`]: sessions and callers, as introspection needs them, and how a late reader is kept from
//!   putting back what has been taken away.
//! - [`front`]: the traits, over those of the store behind.
//!
//! String keys are live access tokens, all of them: resource servers take any for one. All else is of
//! another type, under `sentinel:`.

mod cache;
mod cached_session;
mod front;
mod links;
mod publishing;
mod server;

use std::sync::Arc;

use super::{ClientStore, Health, ImportStore, Losses, Result, SessionStore, Stores, UserStore};
use crate::settings;
use links::Links;

/// A store with Redis in front of it. Clones share everything.
#[derive(Clone)]
pub struct RedisFront {
    links: Arc<Links>,
    behind: Stores,
    losses: Arc<dyn Losses>,
    publishes: bool,
    caches: bool,
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
        let links = server::read(settings)
            .and_then(|server| Links::new(&server).map_err(|error| server::unusable(&error)))?;
        let store = Arc::new(store);
        Ok(Self {
            links: Arc::new(links),
            losses: Arc::<S>::clone(&store),
            behind: Stores::shared(store),
            publishes: settings.publish_tokens,
            caches,
        })
    }

    /// As the stores of a server.
    pub fn into_stores(self) -> Stores {
        let front = Arc::new(self);
        let publisher = Arc::<Self>::clone(&front);
        Stores { publisher: Some(publisher), ..Stores::shared(front) }
    }
}
