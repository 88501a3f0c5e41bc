//! Pending cache invalidations ([`Loss`]) in MongoDB, a transactional outbox.
//!
//! The write that ends a session, removes an access token from it or changes its user name also
//! records the invalidation, in the session's document. Every session with a pending invalidation
//! has the indexed field `lost`. A session that has ended keeps its document, marked `ended` and
//! without tokens, until the invalidation is delivered. The invalidation of a client is a document
//! of its own and is written *before* the client is. Other processes therefore deliver it only
//! after the time that such a change may take.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use mongodb::options::ReadConcern;

use super::MongoStore;
use super::documents::parsed;
use super::sessions::key;
use crate::domain::{ClientId, SessionId};
use crate::store::{Loss, Losses, Lost, Result, StoreError};

/// Minimum age in seconds of a client's invalidation before it is delivered. It is longer than a
/// change of a client takes.
const CHANGING: i32 = 60;

/// Returns a random mark that identifies one recorded invalidation, so that [`Losses::clear`] does
/// not remove a later one of the same record.
pub(super) fn mark() -> i64 {
    rand::random()
}

/// Returns the update that ends a session and records its invalidation. It increments the version,
/// so that a concurrent compare-and-swap fails.
pub(super) fn ended() -> Document {
    doc! {
        "$set": { "ended": true, "lost": mark() },
        "$unset": { "access": "", "refresh": "" },
        "$inc": { "version": 1_i64 },
    }
}

impl MongoStore {
    /// Makes this store record pending invalidations.
    #[must_use]
    pub(super) const fn noting_losses(mut self) -> Self {
        self.notes_losses = true;
        self
    }

    /// Records the invalidation of a client that is about to be changed, if this store records
    /// invalidations.
    pub(super) async fn note_client(&self, id: &ClientId) -> Result<()> {
        if self.notes_losses {
            let change = doc! { "$set": { "mark": mark() }, "$currentDate": { "at": true } };
            let write = self.client_losses.update_one(doc! { "_id": id.as_str() }, change);
            self.bounded(write.upsert(true)).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Losses for MongoStore {
    async fn losses(&self, after: Option<i64>, limit: u32) -> Result<Vec<Loss>> {
        let behind = match after {
            Some(mark) => doc! { "$gt": mark },
            None => doc! { "$exists": true },
        };
        let sessions = self
            .sessions
            .find(doc! { "lost": behind.clone() })
            .projection(doc! { "lost": 1 })
            .sort(doc! { "lost": 1 })
            .read_concern(ReadConcern::majority())
            .limit(limit.into());
        let sessions = self.bounded(async { sessions.await?.try_collect::<Vec<_>>().await });
        let before = doc! {
            "$dateSubtract": { "startDate": "$$NOW", "unit": "second", "amount": CHANGING },
        };
        let clients = self
            .client_losses
            .find(doc! { "mark": behind, "$expr": { "$lt": ["$at", before] } })
            .sort(doc! { "mark": 1 })
            .read_concern(ReadConcern::majority())
            .limit(limit.into());
        let clients = self.bounded(async { clients.await?.try_collect::<Vec<_>>().await });
        let (sessions, clients) = tokio::try_join!(sessions, clients)?;
        let damaged = |error| StoreError::damaged("loss", error);
        let sessions = sessions.iter().map(|raw| {
            let id = raw.get_object_id("_id").map_err(damaged)?;
            let of = Lost::Session(SessionId::from_bytes(id.bytes()));
            Ok(Loss { mark: raw.get_i64("lost").map_err(damaged)?, of })
        });
        let clients = clients.iter().map(|raw| {
            let id = raw.get_str("_id").map_err(damaged)?;
            let of = Lost::Client(parsed(id, "loss")?);
            Ok(Loss { mark: raw.get_i64("mark").map_err(damaged)?, of })
        });
        let mut losses = sessions.chain(clients).collect::<Result<Vec<_>>>()?;
        losses.sort_unstable_by_key(|loss| loss.mark);
        losses.truncate(limit as usize);
        Ok(losses)
    }

    async fn clear(&self, losses: &[Loss]) -> Result<()> {
        let (mut sessions, mut marks) = (Vec::<ObjectId>::new(), Vec::<i64>::new());
        for loss in losses {
            match &loss.of {
                Lost::Session(id) => {
                    sessions.push(key(*id));
                    marks.push(loss.mark);
                }
                Lost::Client(id) => {
                    let this = doc! { "_id": id.as_str(), "mark": loss.mark };
                    self.bounded(self.client_losses.delete_one(this)).await?;
                }
            }
        }
        if sessions.is_empty() {
            return Ok(());
        }
        let these = doc! { "_id": { "$in": sessions }, "lost": { "$in": marks } };
        let mut ended = these.clone();
        ended.insert("ended", true);
        self.bounded(self.sessions.delete_many(ended)).await?;
        let mut alive = these;
        alive.insert("ended", Bson::Null);
        let unmark = doc! { "$unset": { "lost": "" } };
        self.bounded(self.sessions.update_many(alive, unmark)).await.map(drop)
    }
}
