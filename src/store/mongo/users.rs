//! [`UserStore`] for MongoDB: one document per user.

use std::collections::HashSet;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};

use super::documents::{
    Standing, UserDocument, password, read as read_as, to_integer, user as read,
};
use super::sessions::standing;
use super::{MongoStore, beginning_with, refused_as_taken, to_raw};
use crate::domain::{PasswordHash, User, UserId};
use crate::store::{Page, Result, StoreError, Update, UserStore, Written};

const WHAT: &str = "user";

pub(super) fn key(id: UserId) -> ObjectId {
    ObjectId::from_bytes(*id.as_bytes())
}

#[async_trait]
impl UserStore for MongoStore {
    async fn insert(&self, user: &User) -> Result<bool> {
        let document = to_raw(&UserDocument::of(user, None), WHAT)?;
        if self.unless_taken(self.users.insert_one(&document)).await?.is_some() {
            return Ok(true);
        }
        // The id may belong to a user whose deletion was interrupted.
        if !self.finish_deleting_user(key(user.id)).await? {
            return Ok(false);
        }
        Ok(self.unless_taken(self.users.insert_one(&document)).await?.is_some())
    }

    async fn insert_many(&self, users: &[User]) -> Result<Vec<bool>> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let documents: Vec<_> = users
            .iter()
            .map(|user| to_raw(&UserDocument::of(user, None), WHAT))
            .collect::<Result<_>>()?;
        // Unordered, so that a rejected document does not prevent the insertion of those after it.
        let inserting = self.users.insert_many(&documents).ordered(false);
        let refused = match self.timed(inserting).await? {
            Ok(_) => HashSet::new(),
            Err(error) => refused_as_taken(&error).ok_or_else(|| StoreError::unavailable(error))?,
        };
        let mut added: Vec<_> = (0..users.len()).map(|index| !refused.contains(&index)).collect();
        self.insert_over_deleted(users, &mut added).await?;
        Ok(added)
    }

    async fn find(&self, id: UserId) -> Result<Option<User>> {
        let found = self.bounded(self.users.find_one(doc! { "_id": key(id) })).await?;
        Ok(found.map(|raw| read(&raw)).transpose()?.flatten())
    }

    async fn find_by_name(&self, username: &str) -> Result<Option<User>> {
        let found = self.bounded(self.users.find_one(doc! { "username": username })).await?;
        Ok(found.map(|raw| read(&raw)).transpose()?.flatten())
    }

    async fn search(&self, prefix: &str, page: &Page) -> Result<Vec<User>> {
        let after = page.after.as_deref().unwrap_or("");
        let mut filter = doc! { "username": beginning_with(prefix) };
        if after >= prefix {
            filter = doc! { "$and": [filter, { "username": { "$gt": after } }] };
        }
        let found = self.list_page(&self.users, filter, doc! { "username": 1 }, page.limit);
        found.await?.iter().filter_map(|raw| read(raw).transpose()).collect()
    }

    async fn count(&self, limit: u32) -> Result<u64> {
        // Excludes users that are being deleted, which have no name.
        self.count_up_to(&self.users, doc! { "username": { "$gte": "" } }, limit).await
    }

    async fn update(&self, user: &User) -> Result<Written<Update>> {
        let version = to_integer(user.version);
        let document = to_raw(&UserDocument::of(user, Some(version)), WHAT)?;
        let before = doc! { "_id": key(user.id), "version": version - 1, "deleting": Bson::Null };
        let replace = self.users.find_one_and_replace(before, &document).projection(standing());
        let before: Standing = match self.unless_taken(replace).await? {
            None => return Ok(Update::NameTaken.into()),
            Some(None) => return Ok(Update::Stale.into()),
            Some(Some(raw)) => read_as(&raw, WHAT)?,
        };
        self.end_sessions_of_user(user, &before).await?;
        Ok(Update::Done.into())
    }

    async fn upgrade_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool> {
        let before = doc! { "_id": key(id), "password": old.encoded() };
        let change = doc! {
            "$set": { "password": new.encoded(), "password_imported": new.is_imported() },
            "$inc": { "version": 1_i64 },
        };
        let done = self.bounded(self.users.update_one(before, change)).await?;
        Ok(done.matched_count == 1)
    }

    async fn passwords_unlike(
        &self,
        beginnings: &[String],
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, PasswordHash)>> {
        // MongoDB treats limit 0 as no limit and rejects an empty `$nor`. The first condition
        // excludes users that are being deleted, which have no password.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut conditions = vec![doc! { "password": { "$gte": "" } }];
        conditions.extend(beginnings.iter().map(|beginning| {
            doc! { "$nor": [{ "password": beginning_with(beginning) }] }
        }));
        conditions.extend(after.map(|id| doc! { "_id": { "$gt": key(id) } }));
        let find = self.users.find(doc! { "$and": conditions }).limit(limit.into());
        let find = find.sort(doc! { "_id": 1 });
        let find = find.projection(doc! { "password": 1, "password_imported": 1 });
        let find = find.selection_criteria(self.lists.clone()).max_time(self.call);
        let found: Vec<RawDocumentBuf> =
            self.bounded(async { find.await?.try_collect().await }).await?;
        let id = |raw: &RawDocumentBuf| raw.get_object_id("_id").map(|id| id.bytes());
        let id = |raw| id(raw).map_err(|error| StoreError::damaged(WHAT, error));
        found.iter().map(|raw| Ok((UserId::from_bytes(id(raw)?), password(raw)?))).collect()
    }

    async fn put(&self, user: &User) -> Result<bool> {
        let document = to_raw(&UserDocument::of(user, None), WHAT)?;
        let put = self.users.replace_one(doc! { "_id": key(user.id) }, &document).upsert(true);
        Ok(self.unless_taken(put).await?.is_some())
    }

    async fn delete(&self, id: UserId) -> Result<Written<bool>> {
        self.delete_user(doc! { "_id": key(id) }, key(id)).await
    }

    async fn delete_version(&self, id: UserId, version: u64) -> Result<Written<bool>> {
        self.delete_user(doc! { "_id": key(id), "version": to_integer(version) }, key(id)).await
    }
}

impl MongoStore {
    /// Inserts the users that were rejected because their id belongs to a user whose deletion was
    /// interrupted, as [`UserStore::insert`] does.
    async fn insert_over_deleted(&self, users: &[User], added: &mut [bool]) -> Result<()> {
        let left = users.iter().zip(added).filter(|(_, added)| !**added);
        let left: Vec<_> = left.map(|(user, added)| (key(user.id), user, added)).collect();
        if left.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = left.iter().map(|(id, ..)| *id).collect();
        let find = self.users.find(doc! { "_id": { "$in": ids }, "deleting": true });
        let found: Vec<RawDocumentBuf> =
            self.bounded(async { find.await?.try_collect().await }).await?;
        let ids = found.iter().map(|raw| raw.get_object_id("_id"));
        let marked: HashSet<ObjectId> =
            ids.collect::<Result<_, _>>().map_err(|error| StoreError::damaged(WHAT, error))?;
        for (_, user, added) in left.into_iter().filter(|(id, ..)| marked.contains(id)) {
            *added = self.insert(user).await?;
        }
        Ok(())
    }

    async fn delete_user(&self, mut before: Document, id: ObjectId) -> Result<Written<bool>> {
        // Without a name the document is not in the unique index, so the name is available at once.
        let change = doc! {
            "$set": { "enabled": false, "deleting": true, "ending": 0_i64 },
            "$unset": { "username": "", "password": "" },
            "$inc": { "version": 1_i64, "generation": 1_i64 },
        };
        before.insert("deleting", Bson::Null);
        let done = self.bounded(self.users.update_one(before, change)).await?;
        self.finish_deleting_user(id).await?;
        Ok((done.matched_count == 1).into())
    }
}
