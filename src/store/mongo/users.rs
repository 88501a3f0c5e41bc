//! [`UserStore`] for MongoDB: one document per user.
//!
//! The field `username_key` is the key by which names are compared. An earlier version, which may
//! run beside this one, writes documents without it: such a user is found by the exact name, until
//! a start or a purge adds the field. Names that differ only in their spelling are refused by a
//! query before the write. The index of the field is not unique, since earlier versions accepted
//! such names; so two processes may add two spellings of a name at the same moment.

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Bson, RawDocumentBuf, doc, oid::ObjectId};

use super::documents::{
    AccountStatus, UserDocument, account_status_fields, read as read_as, to_integer, user as read,
};
use super::{MongoStore, indexes, to_raw};
use crate::domain::{PasswordHash, User, UserId, username_key};
use crate::store::{Result, StoreError, Update, UserStore, Written};

const RECORD_KIND: &str = "user";

/// Number of documents without a key of the user name that are read at a time.
const FILL_BATCH: i64 = 1000;
/// Maximum number of concurrent writes that add the key of a user name.
const FILL_WRITES: usize = 16;

pub(super) fn key(id: UserId) -> ObjectId {
    ObjectId::from_bytes(*id.as_bytes())
}

#[async_trait]
impl UserStore for MongoStore {
    async fn insert(&self, user: &User) -> Result<bool> {
        if !self.find_all_by_name(&user.username).await?.is_empty() {
            return Ok(false);
        }
        let document = to_raw(&UserDocument::of(user, None), RECORD_KIND)?;
        if self.insert_unless_duplicate(self.users.insert_one(&document)).await?.is_some() {
            return Ok(true);
        }
        // The id may belong to a user whose deletion was interrupted.
        if !self.finish_deleting_user(key(user.id)).await? {
            return Ok(false);
        }
        Ok(self.insert_unless_duplicate(self.users.insert_one(&document)).await?.is_some())
    }

    async fn find(&self, id: UserId) -> Result<Option<User>> {
        let found = self.call(self.users.find_one(doc! { "_id": key(id) })).await?;
        Ok(found.map(|raw| read(&raw)).transpose()?.flatten())
    }

    async fn find_all_by_name(&self, username: &str) -> Result<Vec<User>> {
        let key = username_key(username);
        let any = vec![doc! { "username_key": &key }, doc! { "username": username }];
        let find = self.users.find(doc! { "$or": any });
        let found: Vec<RawDocumentBuf> =
            self.call(async { find.await?.try_collect().await }).await?;
        found.iter().filter_map(|raw| read(raw).transpose()).collect()
    }

    async fn update(&self, user: &User) -> Result<Written<Update>> {
        let version = to_integer(user.version);
        if self.is_new_name_taken(user).await? {
            return Ok(Update::NameTaken.into());
        }
        let document = to_raw(&UserDocument::of(user, Some(version)), RECORD_KIND)?;
        let before = doc! { "_id": key(user.id), "version": version - 1, "deleting": Bson::Null };
        let replace =
            self.users.find_one_and_replace(before, &document).projection(account_status_fields());
        let before: AccountStatus = match self.insert_unless_duplicate(replace).await? {
            None => return Ok(Update::NameTaken.into()),
            Some(None) => return Ok(Update::Stale.into()),
            Some(Some(raw)) => read_as(&raw, RECORD_KIND)?,
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
        let done = self.call(self.users.update_one(before, change)).await?;
        Ok(done.matched_count == 1)
    }

    async fn delete(&self, id: UserId, version: Option<u64>) -> Result<Written<bool>> {
        let id = key(id);
        let mut before = doc! { "_id": id, "deleting": Bson::Null };
        before.extend(version.map(|version| ("version".to_owned(), to_integer(version).into())));
        // Without a name the document is not in the unique index, so the name is available at once.
        let change = doc! {
            "$set": { "enabled": false, "deleting": true, "ending": 0_i64 },
            "$unset": { "username": "", "username_key": "", "password": "" },
            "$inc": { "version": 1_i64, "generation": 1_i64 },
        };
        let done = self.call(self.users.update_one(before, change)).await?;
        self.finish_deleting_user(id).await?;
        Ok((done.matched_count == 1).into())
    }
}

impl MongoStore {
    /// Returns whether another user has the new name of `user`, in any spelling. A new spelling of
    /// the former name is never taken.
    async fn is_new_name_taken(&self, user: &User) -> Result<bool> {
        let mut others = self.find_all_by_name(&user.username).await?;
        others.retain(|other| other.id != user.id);
        if others.is_empty() {
            return Ok(false);
        }
        let before = UserStore::find(self, user.id).await?;
        Ok(before.is_some_and(|before| {
            before.version + 1 == user.version
                && username_key(&before.username) != username_key(&user.username)
        }))
    }

    /// Adds the key of the user name to the documents that lack it.
    pub(super) async fn fill_username_keys(&self) -> Result<()> {
        loop {
            // Excludes users that are being deleted, which have no name.
            let lacking = doc! { "username_key": Bson::Null, "username": { "$gte": "" } };
            let find = self.users.find(lacking).limit(FILL_BATCH).hint(indexes::username_key());
            let find = find.projection(doc! { "username": 1 });
            let found: Vec<RawDocumentBuf> =
                self.call(async { find.await?.try_collect().await }).await?;
            let is_last = found.len() < usize::try_from(FILL_BATCH).unwrap_or(usize::MAX);
            let filling = found.into_iter().map(|raw| self.fill_username_key(raw));
            stream::iter(filling).buffer_unordered(FILL_WRITES).try_collect::<()>().await?;
            if is_last {
                return Ok(());
            }
        }
    }

    async fn fill_username_key(&self, raw: RawDocumentBuf) -> Result<()> {
        let corrupt = |error| StoreError::corrupt(RECORD_KIND, error);
        let id = raw.get_object_id("_id").map_err(corrupt)?;
        let username = raw.get_str("username").map_err(corrupt)?;
        // The name may have changed since it was read.
        let same = doc! { "_id": id, "username": username };
        let key = doc! { "$set": { "username_key": username_key(username) } };
        self.call(self.users.update_one(same, key)).await.map(drop)
    }
}
