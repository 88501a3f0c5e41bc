//! [`UserStore`] for MongoDB: one document per user.

use async_trait::async_trait;
use mongodb::bson::{Bson, doc, oid::ObjectId};

use super::documents::{
    AccountStatus, UserDocument, account_status_fields, read as read_as, to_integer, user as read,
};
use super::{MongoStore, to_raw};
use crate::domain::{PasswordHash, User, UserId};
use crate::store::{Result, Update, UserStore, Written};

const RECORD_KIND: &str = "user";

pub(super) fn key(id: UserId) -> ObjectId {
    ObjectId::from_bytes(*id.as_bytes())
}

#[async_trait]
impl UserStore for MongoStore {
    async fn insert(&self, user: &User) -> Result<bool> {
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

    async fn find_by_name(&self, username: &str) -> Result<Option<User>> {
        let found = self.call(self.users.find_one(doc! { "username": username })).await?;
        Ok(found.map(|raw| read(&raw)).transpose()?.flatten())
    }

    async fn update(&self, user: &User) -> Result<Written<Update>> {
        let version = to_integer(user.version);
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
            "$unset": { "username": "", "password": "" },
            "$inc": { "version": 1_i64, "generation": 1_i64 },
        };
        let done = self.call(self.users.update_one(before, change)).await?;
        self.finish_deleting_user(id).await?;
        Ok((done.matched_count == 1).into())
    }
}
