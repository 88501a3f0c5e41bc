//! Ending the sessions of a user or a client that has changed, so that it is done even if this
//! process is not there to do it.
//!
//! The write that changes the record marks it as well: `ending`. The mark goes when the sessions have
//! gone. A record that still has it, because somebody crashed or lost the connection in between, is
//! found by an index and finished at every start and with every purge, of any process. So a deletion
//! is a mark first (`deleting`, which hides the record), and the record goes last.
//!
//! All of it may be done by several at once, and late: sessions are ended that are of an *earlier*
//! generation, and names are replaced by those of a *later* version, never the other way.

use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc, oid::ObjectId};
use mongodb::options::ReadConcern;

use super::documents::{Standing, read, to_integer};
use super::{MongoStore, indexes, losses, sessions, users};
use crate::domain::{Client, User};
use crate::observe::chain;
use crate::store::{Result, StoreError};

/// Sessions ended by one command, so that each of them is short.
const BATCH: u32 = 1000;

/// What became of one batch.
pub(super) struct Batch {
    /// How many there were to end; fewer than asked for means that there are no more.
    found: usize,
    /// How many of them this call has ended.
    pub(super) ended: u64,
}

impl MongoStore {
    /// Ends all sessions that fit; how many this call has ended.
    pub(super) async fn end_sessions(&self, condition: Document) -> Result<u64> {
        let mut ended = 0;
        loop {
            let batch = if self.notes_losses {
                self.note_batch(&condition, BATCH).await?
            } else {
                self.remove_batch(&condition, None, BATCH).await?
            };
            ended += batch.ended;
            if batch.found < BATCH as usize {
                return Ok(ended);
            }
        }
    }

    /// Removes up to `limit` sessions that fit, and still do when they are removed.
    pub(super) async fn remove_batch(
        &self,
        condition: &Document,
        order: Option<Document>,
        limit: u32,
    ) -> Result<Batch> {
        let ids = self.batch(condition, order, limit).await?;
        if ids.is_empty() {
            return Ok(Batch { found: 0, ended: 0 });
        }
        let (mut these, found) = (condition.clone(), ids.len());
        these.insert("_id", doc! { "$in": ids });
        let done = self.bounded(self.sessions.delete_many(these)).await?;
        Ok(Batch { found, ended: done.deleted_count })
    }

    /// Ends up to `limit` sessions that fit and leaves their documents, as losses.
    async fn note_batch(&self, condition: &Document, limit: u32) -> Result<Batch> {
        let mut alive = condition.clone();
        alive.insert("ended", Bson::Null);
        let ids = self.batch(&alive, None, limit).await?;
        if ids.is_empty() {
            return Ok(Batch { found: 0, ended: 0 });
        }
        let found = ids.len();
        alive.insert("_id", doc! { "$in": ids });
        let done = self.bounded(self.sessions.update_many(alive, losses::ended())).await?;
        Ok(Batch { found, ended: done.matched_count })
    }

    async fn batch(
        &self,
        condition: &Document,
        order: Option<Document>,
        limit: u32,
    ) -> Result<Vec<ObjectId>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut find = self.sessions.find(condition.clone());
        find = find.projection(doc! { "_id": 1 }).limit(limit.into());
        if let Some(index) = indexes::of_sessions(condition) {
            find = find.hint(index);
        }
        if let Some(order) = order {
            find = find.sort(order);
        }
        let found = self.bounded(async { find.await?.try_collect::<Vec<_>>().await }).await?;
        let ids = found.iter().map(|raw| raw.get_object_id("_id"));
        ids.collect::<Result<_, _>>().map_err(|error| StoreError::damaged("session", error))
    }

    /// Ends the sessions of earlier generations, and carries the name to those that stay, after an
    /// update of the record that was as `before`.
    pub(super) async fn end_sessions_of_user(&self, user: &User, before: &Standing) -> Result<()> {
        let (id, generation) = (users::key(user.id), to_integer(user.generation));
        if before.ending.is_some() || before.generation != generation {
            self.end_earlier_of_user(id, generation).await?;
        }
        let version = to_integer(user.version);
        if before.ending.is_some() || before.username != user.username {
            self.carry_name(id, &user.username, version).await?;
        }
        self.unmark(&self.users, id.into(), Some(version)).await
    }

    /// Ends the sessions of earlier generations, after an update of the record that was as `before`.
    pub(super) async fn end_sessions_of_client(
        &self,
        client: &Client,
        before: &Standing,
    ) -> Result<()> {
        let (id, generation) = (client.id.as_str(), to_integer(client.generation));
        // To look for sessions that are not there would be to look at all that the client has.
        if before.ending.is_some() || before.generation != generation {
            self.end_earlier_of_client(id, generation).await?;
        }
        self.unmark(&self.clients, id.into(), Some(to_integer(client.version))).await
    }

    /// Deletes a user that is marked so; `false` when there is none such.
    pub(super) async fn finish_deleting_user(&self, id: ObjectId) -> Result<bool> {
        let marked = doc! { "_id": id, "deleting": true };
        if self.bounded(self.users.find_one(marked.clone())).await?.is_none() {
            return Ok(false);
        }
        self.end_sessions(doc! { "user_id": id }).await?;
        self.bounded(self.users.delete_one(marked)).await?;
        Ok(true)
    }

    /// The same of a client.
    pub(super) async fn finish_deleting_client(&self, id: &str) -> Result<bool> {
        let marked = doc! { "_id": id, "deleting": true };
        if self.bounded(self.clients.find_one(marked.clone())).await?.is_none() {
            return Ok(false);
        }
        self.end_sessions(doc! { "client_id": id }).await?;
        self.bounded(self.clients.delete_one(marked)).await?;
        Ok(true)
    }

    /// Finishes what somebody began and did not finish. A record that cannot be read keeps no other one
    /// from being finished, and no server from starting.
    pub(super) async fn finish_endings(&self) -> Result<()> {
        for raw in self.unfinished(&self.users).await? {
            pass_over_damaged(&raw, self.finish_user(&raw).await)?;
        }
        for raw in self.unfinished(&self.clients).await? {
            pass_over_damaged(&raw, self.finish_client(&raw).await)?;
        }
        Ok(())
    }

    async fn finish_user(&self, raw: &RawDocument) -> Result<()> {
        let id = raw.get_object_id("_id").map_err(|error| StoreError::damaged("user", error))?;
        let now: Standing = read(raw, "user")?;
        if now.deleting {
            return self.finish_deleting_user(id).await.map(drop);
        }
        self.end_earlier_of_user(id, now.generation).await?;
        self.carry_name(id, &now.username, now.version).await?;
        self.unmark(&self.users, id.into(), now.ending).await
    }

    async fn finish_client(&self, raw: &RawDocument) -> Result<()> {
        let id = raw.get_str("_id").map_err(|error| StoreError::damaged("client", error))?;
        let now: Standing = read(raw, "client")?;
        if now.deleting {
            return self.finish_deleting_client(id).await.map(drop);
        }
        self.end_earlier_of_client(id, now.generation).await?;
        self.unmark(&self.clients, id.into(), now.ending).await
    }

    /// The marked records, as the majority has them: what may still be undone ends no session.
    async fn unfinished(
        &self,
        records: &Collection<RawDocumentBuf>,
    ) -> Result<Vec<RawDocumentBuf>> {
        let mut fields = sessions::standing();
        fields.insert("_id", 1);
        let find = records
            .find(doc! { "ending": { "$gte": 0_i64 } })
            .projection(fields)
            .read_concern(ReadConcern::majority());
        self.bounded(async { find.await?.try_collect().await }).await
    }

    async fn end_earlier_of_user(&self, id: ObjectId, generation: i64) -> Result<()> {
        let earlier = doc! { "user_id": id, "user_generation": { "$lt": generation } };
        self.end_sessions(earlier).await.map(drop)
    }

    async fn end_earlier_of_client(&self, id: &str, generation: i64) -> Result<()> {
        let earlier = doc! { "client_id": id, "client_generation": { "$lt": generation } };
        self.end_sessions(earlier).await.map(drop)
    }

    async fn carry_name(&self, id: ObjectId, username: &str, of_version: i64) -> Result<()> {
        let mut older = doc! { "user_id": id, "name_version": { "$lt": of_version } };
        let name = doc! { "$literal": username };
        // A new version where the name is another one, so that a refresh in progress decides again.
        let version = doc! { "$cond": [
            { "$eq": ["$username", name.clone()] }, "$version", { "$add": ["$version", 1_i64] },
        ] };
        let mut change = doc! { "username": name, "name_version": of_version, "version": version };
        if self.notes_losses {
            older.insert("ended", Bson::Null);
            change.insert("lost", losses::mark());
        }
        let carry = doc! { "$set": change };
        self.bounded(self.sessions.update_many(older, vec![carry])).await.map(drop)
    }

    /// Takes the mark away, unless a later update has put its own.
    async fn unmark(
        &self,
        records: &Collection<RawDocumentBuf>,
        id: Bson,
        ending: Option<i64>,
    ) -> Result<()> {
        let mark = doc! { "_id": id, "ending": ending };
        self.bounded(records.update_one(mark, doc! { "$unset": { "ending": "" } })).await?;
        Ok(())
    }
}

/// What failed for what a record holds fails again, and is for somebody to look at.
fn pass_over_damaged(raw: &RawDocument, finished: Result<()>) -> Result<()> {
    match finished {
        Err(error @ StoreError::Damaged { .. }) => {
            let id = raw.get("_id").ok().flatten().map(|id| format!("{id:?}"));
            tracing::error!(id, "what a change began cannot be finished: {}", chain(&error));
            Ok(())
        }
        finished => finished,
    }
}
