//! Opens the stores that the settings configure. No other file knows all backends.

use std::sync::Arc;

use super::measured::measured;
use super::mongo::{self, MongoStore};
use super::redis::{self, CachingStore};
use super::sqlite::{self, SqliteStore};
use super::{Result, StoreError, Stores};
use crate::observe::metrics::Metrics;
use crate::settings::{Backend, Settings};

/// Opens the stores of the configured backend (SQLite file or MongoDB), with Redis if configured.
///
/// # Errors
/// [`StoreError::Configuration`] if a setting is invalid, [`StoreError::Open`] if a store cannot be
/// opened, each with a sentence for the operator. Other variants of [`StoreError`] if a backend
/// fails while it is opened.
pub async fn connect(settings: &Settings) -> Result<Stores> {
    connect_observed(settings, None).await
}

/// Opens the stores of the configured backend. If `metrics` is given, counts and times the
/// operations of the stores in it.
///
/// # Errors
/// As [`connect`].
pub async fn connect_observed(settings: &Settings, metrics: Option<&Metrics>) -> Result<Stores> {
    let seen = |stores: Stores| match metrics {
        Some(metrics) => measured(stores, &metrics.store),
        None => stores,
    };
    let redis = settings.redis.url.is_some().then_some(&settings.redis);
    match settings.store.backend {
        Backend::Embedded => {
            let store = name_setting(SqliteStore::open(&settings.store.path))?;
            // A read of the file is faster than a round trip to Redis, so there is no cache here.
            match redis {
                None => Ok(seen(store.into_stores())),
                Some(redis) if !redis.publish_tokens => {
                    let rate_limits = redis::rate_limit_store(redis, metrics)?;
                    Ok(seen(Stores { rate_limits, ..store.into_stores() }))
                }
                Some(redis) => {
                    let store = Arc::new(store.with_outbox().await?);
                    let stores = seen(Stores::of(Arc::clone(&store)));
                    let store = CachingStore::new(stores, store, redis, false)?;
                    Ok(store.observed_by(metrics).into_stores())
                }
            }
        }
        Backend::Mongodb => match redis {
            None => Ok(seen(MongoStore::open(&settings.mongo).await?.into_stores())),
            Some(redis) => {
                let store = Arc::new(MongoStore::open_with_outbox(&settings.mongo).await?);
                let stores = seen(Stores::of(Arc::clone(&store)));
                let store = CachingStore::new(stores, store, redis, true)?;
                Ok(store.observed_by(metrics).into_stores())
            }
        },
    }
}

/// Checks the settings of the backend and of Redis, without opening a store or connecting to a
/// server.
///
/// # Errors
/// [`super::StoreError::Configuration`] with a sentence for the operator if a setting cannot work.
pub fn check(settings: &Settings) -> Result<()> {
    match settings.store.backend {
        Backend::Embedded => name_setting(sqlite::check(&settings.store.path))?,
        Backend::Mongodb => mongo::check(&settings.mongo)?,
    }
    settings.redis.url.as_ref().map_or(Ok(()), |_| redis::check(&settings.redis))
}

/// Opens the stores for a command that only reads, without Redis. Returns `None` if the file of the
/// embedded (SQLite) store does not exist. Creates no store and no MongoDB index.
///
/// # Errors
/// As [`connect`].
pub async fn connect_read_only(settings: &Settings) -> Result<Option<Stores>> {
    match settings.store.backend {
        Backend::Embedded if !settings.store.path.exists() => Ok(None),
        Backend::Embedded => {
            Ok(Some(name_setting(SqliteStore::open(&settings.store.path))?.into_stores()))
        }
        Backend::Mongodb => {
            Ok(Some(MongoStore::connect_read_only(&settings.mongo).await?.into_stores()))
        }
    }
}

/// Adds the name of the setting, `store.path`, to an error about the store file. Returns every
/// other result unchanged.
fn name_setting<T>(result: Result<T>) -> Result<T> {
    result.map_err(|error| match error {
        StoreError::Configuration(reason) => {
            StoreError::Configuration(format!("store.path: {reason}"))
        }
        StoreError::Open(reason) => StoreError::Open(format!("store.path: {reason}")),
        other => other,
    })
}
