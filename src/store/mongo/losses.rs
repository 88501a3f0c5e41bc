//! Losses in MongoDB.
//!
//! A session that has ended keeps its document until others have been told, without its tokens: `ended`.
//! One that goes on has a mark, `lost`, which an index finds. Both are put there by the write that ends
//! the session or replaces it. The loss of a client is written *before* the client is: so it is not
//! acted on by others before that has had its time.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use mongodb::options::ReadConcern;

use super::MongoStore;
use super::documents::parsed;
use super::sessions::key;
use crate::domain::{ClientId, SessionId};
use crate::store::{Loss, Losses, Lost, Result, StoreError};

/// Longer than a change of a client takes, in seconds.
const CHANGING: i32 = 60;

/// Tells one noting from another.
pub(super) fn mark() -> i64 {
    rand::random()
}

/// Ends a session and notes the loss. What goes by the version finds it changed.
pub(super) fn ended() -> Document {
    doc! {
        "$set": { "ended": true, "lost": mark() },
        "$unset": { "access": "", "refresh": "" },
        "$inc": { "version": 1_i64 },
    }
}

impl MongoStore {
    /// This store, noting losses from now on.
    #[must_use]
    pub(super) const fn noting_losses(mut self) -> Self {
        self.notes_losses = true;
        self
    }

    /// Notes that a client is about to change, if losses are noted.
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
