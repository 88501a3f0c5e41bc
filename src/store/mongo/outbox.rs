//! Pending Redis invalidations ([`Invalidation`]) in MongoDB, a transactional outbox.
//!
//! The write that ends a session, removes an access token from it or changes its user name also
//! records the invalidation, in the session's document. Every session with a pending invalidation
//! has the indexed field `lost`. A session that has ended keeps its document, marked `ended` and
//! without tokens, until the invalidation is delivered. The invalidation of a client is a document
//! of its own and is written *before* the client is. It is
//! therefore delivered only when the client has been written, or after the time that this may take.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use mongodb::options::ReadConcern;

use super::MongoStore;
use super::documents::parsed;
use super::session_document::key;
use crate::domain::{ClientId, SessionId, random_bytes};
use crate::store::{Invalidation, InvalidationTarget, Outbox, Result, StoreError};

/// Minimum age in seconds of a client's pending Redis invalidation (removal of stale copies) before
/// it is delivered, if the process that recorded it has not released it. This age is longer than a
/// change of a client takes.
const MIN_CLIENT_AGE: i32 = 60;

/// Returns a random revision (number that identifies one recorded Redis invalidation), so that
/// [`Outbox::acknowledge`] does not remove a later invalidation of the same record.
pub(super) fn revision() -> Result<i64> {
    random_bytes().map(i64::from_le_bytes).map_err(StoreError::unavailable)
}

/// Returns the MongoDB update that ends a session and records its Redis invalidation. The update
/// increments the session's version, so that a concurrent compare-and-swap fails.
pub(super) fn ended() -> Result<Document> {
    Ok(doc! {
        "$set": { "ended": true, "lost": revision()? },
        "$unset": { "access": "", "refresh": "" },
        "$inc": { "version": 1_i64 },
    })
}

impl MongoStore {
    /// Returns this store with recording of pending Redis invalidations (removals of stale copies).
    #[must_use]
    pub(super) const fn with_outbox(mut self) -> Self {
        self.records_invalidations = true;
        self
    }

    /// Records the Redis invalidation of a client that is about to be changed, if this store
    /// records invalidations.
    pub(super) async fn record_client_invalidation(&self, id: &ClientId) -> Result<()> {
        if self.records_invalidations {
            let change = doc! { "$set": { "mark": revision()? }, "$currentDate": { "at": true } };
            let write = self.client_invalidations.update_one(doc! { "_id": id.as_str() }, change);
            self.call(write.upsert(true)).await?;
        }
        Ok(())
    }

    /// Makes the recorded Redis invalidation of a client due at once, since the client is changed.
    pub(super) async fn release_client_invalidation(&self, id: &ClientId) -> Result<()> {
        if self.records_invalidations {
            let change = doc! { "$set": { "at": DateTime::from_millis(0) } };
            let write = self.client_invalidations.update_one(doc! { "_id": id.as_str() }, change);
            self.call(write).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Outbox for MongoStore {
    async fn pending(&self, after: Option<i64>, limit: u32) -> Result<Vec<Invalidation>> {
        let later = match after {
            Some(revision) => doc! { "$gt": revision },
            None => doc! { "$exists": true },
        };
        let sessions = self
            .sessions
            .find(doc! { "lost": later.clone() })
            .projection(doc! { "lost": 1 })
            .sort(doc! { "lost": 1 })
            .read_concern(ReadConcern::majority())
            .limit(limit.into());
        let sessions = self.call(async { sessions.await?.try_collect::<Vec<_>>().await });
        let before = doc! {
            "$dateSubtract": { "startDate": "$$NOW", "unit": "second", "amount": MIN_CLIENT_AGE },
        };
        let clients = self
            .client_invalidations
            .find(doc! { "mark": later, "$expr": { "$lt": ["$at", before] } })
            .sort(doc! { "mark": 1 })
            .read_concern(ReadConcern::majority())
            .limit(limit.into());
        let clients = self.call(async { clients.await?.try_collect::<Vec<_>>().await });
        let (sessions, clients) = tokio::try_join!(sessions, clients)?;
        let corrupt = |error| StoreError::corrupt("invalidation", error);
        let sessions = sessions.iter().map(|raw| {
            let id = raw.get_object_id("_id").map_err(corrupt)?;
            let target = InvalidationTarget::Session(SessionId::from_bytes(id.bytes()));
            Ok(Invalidation { revision: raw.get_i64("lost").map_err(corrupt)?, target })
        });
        let clients = clients.iter().map(|raw| {
            let id = raw.get_str("_id").map_err(corrupt)?;
            let target = InvalidationTarget::Client(parsed(id, "invalidation")?);
            Ok(Invalidation { revision: raw.get_i64("mark").map_err(corrupt)?, target })
        });
        let mut pending = sessions.chain(clients).collect::<Result<Vec<_>>>()?;
        pending.sort_unstable_by_key(|invalidation| invalidation.revision);
        pending.truncate(limit as usize);
        Ok(pending)
    }

    async fn acknowledge(&self, delivered: &[Invalidation]) -> Result<()> {
        let (mut sessions, mut revisions) = (Vec::<ObjectId>::new(), Vec::<i64>::new());
        for invalidation in delivered {
            match &invalidation.target {
                InvalidationTarget::Session(id) => {
                    sessions.push(key(*id));
                    revisions.push(invalidation.revision);
                }
                InvalidationTarget::Client(id) => {
                    let this = doc! { "_id": id.as_str(), "mark": invalidation.revision };
                    self.call(self.client_invalidations.delete_one(this)).await?;
                }
            }
        }
        if sessions.is_empty() {
            return Ok(());
        }
        let current = doc! { "_id": { "$in": sessions }, "lost": { "$in": revisions } };
        let mut ended = current.clone();
        ended.insert("ended", true);
        self.call(self.sessions.delete_many(ended)).await?;
        let mut alive = current;
        alive.insert("ended", Bson::Null);
        let clear_mark = doc! { "$unset": { "lost": "" } };
        self.call(self.sessions.update_many(alive, clear_mark)).await.map(drop)
    }
}
