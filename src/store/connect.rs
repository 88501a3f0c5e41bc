//! Opens the stores that the settings configure. No other file knows all backends.

use std::path::PathBuf;
use std::sync::Arc;

use super::measured::measured;
use super::mongo::{self, MongoStore};
use super::redis::{self, CachingStore};
use super::sqlite::{self, SqliteStore};
use super::{OpenMode, Result, StoreError, Stores};
use crate::observe::metrics::Metrics;
use crate::settings::{Backend, Settings};

/// Opens the stores of the configured backend (SQLite file or MongoDB) for the given purpose, with
/// Redis if configured and needed. Reading needs no Redis.
///
/// # Errors
/// [`StoreError::Configuration`] if a setting is invalid, [`StoreError::Open`] if a store cannot be
/// opened, each with a sentence for the operator. [`StoreError::Missing`] if the embedded store
/// does not exist and is not to be created. Other variants of [`StoreError`] if a backend fails
/// while it is opened.
pub async fn connect(settings: &Settings, mode: OpenMode) -> Result<Stores> {
    check_redis(settings)?;
    match (mode, settings.store.backend) {
        (OpenMode::Read, Backend::Embedded) => {
            Ok(open_file(settings, OpenMode::Read)?.into_stores())
        }
        (OpenMode::Read, Backend::Mongodb) => {
            Ok(MongoStore::connect_read_only(&settings.mongo).await?.into_stores())
        }
        (OpenMode::Write | OpenMode::Create, _) => connect_observed(settings, mode, None).await,
    }
}

/// Opens the stores of the configured backend for reading and writing. If `metrics` is given,
/// counts and times the operations of the stores in it.
///
/// # Errors
/// As [`connect`].
pub async fn connect_observed(
    settings: &Settings,
    mode: OpenMode,
    metrics: Option<&Metrics>,
) -> Result<Stores> {
    let seen = |stores: Stores| match metrics {
        Some(metrics) => measured(stores, &metrics.store),
        None => stores,
    };
    check_redis(settings)?;
    let redis = settings.redis.url.is_some().then_some(&settings.redis);
    match settings.store.backend {
        Backend::Embedded => {
            let store = open_file(settings, mode)?;
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

fn open_file(settings: &Settings, mode: OpenMode) -> Result<SqliteStore> {
    name_setting(SqliteStore::open_for(&settings.store.path, mode))
}

/// Returns the absolute path of the embedded store if the settings select it and its file does not
/// exist yet.
pub fn missing_file(settings: &Settings) -> Option<PathBuf> {
    match settings.store.backend {
        Backend::Embedded => sqlite::missing_file(&settings.store.path),
        Backend::Mongodb => None,
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
    check_redis(settings)
}

/// Checks the settings of Redis, if it is configured. Every command does this before it opens a
/// store, so that an invalid setting is the same error whether or not the command needs Redis.
fn check_redis(settings: &Settings) -> Result<()> {
    settings.redis.url.as_ref().map_or(Ok(()), |_| redis::check(&settings.redis))
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
