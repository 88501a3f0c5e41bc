//! Cascade from a changed user or client to its sessions, which completes even if this process
//! dies.
//!
//! The write that changes the record also marks it with `ending`. The mark is removed after the
//! sessions have been ended. If a process crashes or loses its connection in between, the mark
//! remains. Every process looks for marked records, by an index, at each start and each purge, and
//! completes them. Deletion works in the same way: the record is first marked `deleting`, which
//! hides it, and is removed last.
//!
//! Each step may run late and in several processes at once: it ends only sessions of an *earlier*
//! generation, and writes only names of a *later* version.

use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc, oid::ObjectId};
use mongodb::options::ReadConcern;

use super::documents::{AccountStatus, account_status_fields, read, to_integer};
use super::{MongoStore, indexes, outbox, users};
use crate::domain::{Client, User};
use crate::observe::error_chain;
use crate::store::{Result, StoreError};

/// Maximum number of sessions ended by one command, which keeps each command short.
const BATCH: u32 = 1000;

/// Result of ending one batch of sessions.
pub(super) struct DeletedBatch {
    /// Number of matching sessions that were read. If this number is below the limit of the batch,
    /// no more sessions match.
    found: usize,
    /// Number of sessions that this batch ended.
    pub(super) ended: u64,
}

impl MongoStore {
    /// Ends all sessions that match `condition`. Returns the number of sessions that this call
    /// ended.
    pub(super) async fn end_sessions(&self, condition: Document) -> Result<u64> {
        let mut ended = 0;
        loop {
            let batch = if self.records_invalidations {
                self.mark_ended_batch(&condition, BATCH).await?
            } else {
                self.remove_batch(&condition, None, BATCH).await?
            };
            ended += batch.ended;
            if batch.found < BATCH as usize {
                return Ok(ended);
            }
        }
    }

    /// Deletes up to `limit` sessions that match `condition`, sorted by `order`, and checks the
    /// condition again when it deletes them. Returns the numbers of sessions found and deleted.
    pub(super) async fn remove_batch(
        &self,
        condition: &Document,
        order: Option<Document>,
        limit: u32,
    ) -> Result<DeletedBatch> {
        let ids = self.batch(condition, order, limit).await?;
        if ids.is_empty() {
            return Ok(DeletedBatch { found: 0, ended: 0 });
        }
        let (mut selected, found) = (condition.clone(), ids.len());
        selected.insert("_id", doc! { "$in": ids });
        let done = self.call(self.sessions.delete_many(selected)).await?;
        Ok(DeletedBatch { found, ended: done.deleted_count })
    }

    /// Ends up to `limit` sessions that match `condition`. Keeps the documents of these sessions as
    /// pending Redis invalidations (removals of stale copies).
    async fn mark_ended_batch(&self, condition: &Document, limit: u32) -> Result<DeletedBatch> {
        let mut alive = condition.clone();
        alive.insert("ended", Bson::Null);
        let ids = self.batch(&alive, None, limit).await?;
        if ids.is_empty() {
            return Ok(DeletedBatch { found: 0, ended: 0 });
        }
        let found = ids.len();
        alive.insert("_id", doc! { "$in": ids });
        let done = self.call(self.sessions.update_many(alive, outbox::ended()?)).await?;
        Ok(DeletedBatch { found, ended: done.matched_count })
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
        if let Some(index) = indexes::session_index(condition) {
            find = find.hint(index);
        }
        if let Some(order) = order {
            find = find.sort(order);
        }
        let found = self.call(async { find.await?.try_collect::<Vec<_>>().await }).await?;
        let ids = found.iter().map(|raw| raw.get_object_id("_id"));
        ids.collect::<Result<_, _>>().map_err(|error| StoreError::corrupt("session", error))
    }

    /// Ends the user's sessions of earlier generations (counter that a new password or disabling
    /// increments) and updates the user name in the user's other sessions. `before` is the account
    /// status of the user before the update.
    pub(super) async fn end_sessions_of_user(
        &self,
        user: &User,
        before: &AccountStatus,
    ) -> Result<()> {
        let (id, generation) = (users::key(user.id), to_integer(user.generation));
        if before.cascade_version.is_some() || before.generation != generation {
            self.end_earlier_of_user(id, generation).await?;
        }
        let version = to_integer(user.version);
        if before.cascade_version.is_some() || before.username != user.username {
            self.propagate_username(id, &user.username, version).await?;
        }
        self.clear_mark(&self.users, id.into(), Some(version)).await
    }

    /// Ends the client's sessions of earlier generations (counter that disabling increments).
    /// `before` is the account status of the client before the update.
    pub(super) async fn end_sessions_of_client(
        &self,
        client: &Client,
        before: &AccountStatus,
    ) -> Result<()> {
        let (id, generation) = (client.id.as_str(), to_integer(client.generation));
        // Skipped if no session can be of an earlier generation: the query would scan all sessions
        // of the client.
        if before.cascade_version.is_some() || before.generation != generation {
            self.end_earlier_of_client(id, generation).await?;
        }
        self.clear_mark(&self.clients, id.into(), Some(to_integer(client.version))).await
    }

    /// Completes the deletion of a user whose record is marked `deleting`. Returns whether there
    /// was such a record.
    pub(super) async fn finish_deleting_user(&self, id: ObjectId) -> Result<bool> {
        let marked = doc! { "_id": id, "deleting": true };
        if self.call(self.users.find_one(marked.clone())).await?.is_none() {
            return Ok(false);
        }
        self.end_sessions(doc! { "user_id": id }).await?;
        self.call(self.users.delete_one(marked)).await?;
        Ok(true)
    }

    /// Completes the deletion of a client whose record is marked `deleting`. Returns whether there
    /// was such a record.
    pub(super) async fn finish_deleting_client(&self, id: &str) -> Result<bool> {
        let marked = doc! { "_id": id, "deleting": true };
        if self.call(self.clients.find_one(marked.clone())).await?.is_none() {
            return Ok(false);
        }
        self.end_sessions(doc! { "client_id": id }).await?;
        self.call(self.clients.delete_one(marked)).await?;
        Ok(true)
    }

    /// Completes the cascades (ends of sessions after a change of their user or client) that other
    /// processes left unfinished. Logs and skips corrupt records, so that they prevent neither the
    /// other cascades nor the start of a server.
    pub(super) async fn finish_cascades(&self) -> Result<()> {
        for raw in self.unfinished(&self.users).await? {
            skip_corrupt(&raw, self.finish_user(&raw).await)?;
        }
        for raw in self.unfinished(&self.clients).await? {
            skip_corrupt(&raw, self.finish_client(&raw).await)?;
        }
        Ok(())
    }

    async fn finish_user(&self, raw: &RawDocument) -> Result<()> {
        let id = raw.get_object_id("_id").map_err(|error| StoreError::corrupt("user", error))?;
        let now: AccountStatus = read(raw, "user")?;
        if now.deleting {
            return self.finish_deleting_user(id).await.map(drop);
        }
        self.end_earlier_of_user(id, now.generation).await?;
        self.propagate_username(id, &now.username, now.version).await?;
        self.clear_mark(&self.users, id.into(), now.cascade_version).await
    }

    async fn finish_client(&self, raw: &RawDocument) -> Result<()> {
        let id = raw.get_str("_id").map_err(|error| StoreError::corrupt("client", error))?;
        let now: AccountStatus = read(raw, "client")?;
        if now.deleting {
            return self.finish_deleting_client(id).await.map(drop);
        }
        self.end_earlier_of_client(id, now.generation).await?;
        self.clear_mark(&self.clients, id.into(), now.cascade_version).await
    }

    /// Returns the users or clients with an unfinished cascade (change to their sessions). Reads
    /// from a majority: a change that can be rolled back must not end a session.
    async fn unfinished(
        &self,
        records: &Collection<RawDocumentBuf>,
    ) -> Result<Vec<RawDocumentBuf>> {
        let mut fields = account_status_fields();
        fields.insert("_id", 1);
        let find = records
            .find(doc! { "ending": { "$gte": 0_i64 } })
            .projection(fields)
            .read_concern(ReadConcern::majority());
        self.call(async { find.await?.try_collect().await }).await
    }

    async fn end_earlier_of_user(&self, id: ObjectId, generation: i64) -> Result<()> {
        let earlier = doc! { "user_id": id, "user_generation": { "$lt": generation } };
        self.end_sessions(earlier).await.map(drop)
    }

    async fn end_earlier_of_client(&self, id: &str, generation: i64) -> Result<()> {
        let earlier = doc! { "client_id": id, "client_generation": { "$lt": generation } };
        self.end_sessions(earlier).await.map(drop)
    }

    async fn propagate_username(
        &self,
        id: ObjectId,
        username: &str,
        of_version: i64,
    ) -> Result<()> {
        let mut older = doc! { "user_id": id, "name_version": { "$lt": of_version } };
        let name = doc! { "$literal": username };
        // The version changes with the name, so that a concurrent refresh fails its
        // compare-and-swap and reads the session again.
        let version = doc! { "$cond": [
            { "$eq": ["$username", name.clone()] }, "$version", { "$add": ["$version", 1_i64] },
        ] };
        let mut change = doc! { "username": name, "name_version": of_version, "version": version };
        if self.records_invalidations {
            older.insert("ended", Bson::Null);
            change.insert("lost", outbox::revision()?);
        }
        let update = doc! { "$set": change };
        self.call(self.sessions.update_many(older, vec![update])).await.map(drop)
    }

    /// Removes the mark of an unfinished cascade (field `ending`) from a user or client, unless a
    /// later update has set a mark of its own.
    async fn clear_mark(
        &self,
        records: &Collection<RawDocumentBuf>,
        id: Bson,
        cascade_version: Option<i64>,
    ) -> Result<()> {
        let mark = doc! { "_id": id, "ending": cascade_version };
        self.call(records.update_one(mark, doc! { "$unset": { "ending": "" } })).await?;
        Ok(())
    }
}

/// Logs and ignores [`StoreError::Corrupt`] of a cascade (change to the sessions of a user or
/// client), and returns any other result. A retry would fail: an operator has to repair the record.
fn skip_corrupt(raw: &RawDocument, finished: Result<()>) -> Result<()> {
    match finished {
        Err(error @ StoreError::Corrupt { .. }) => {
            let id = raw.get("_id").ok().flatten().map(|id| format!("{id:?}"));
            tracing::error!(
                id,
                "the cascade of a corrupt record cannot be completed: {}",
                error_chain(&error)
            );
            Ok(())
        }
        finished => finished,
    }
}
