//! [`StoreTransfer`] for MongoDB.

use std::collections::HashSet;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::{RawDocumentBuf, doc, oid::ObjectId};

use super::documents::{ClientDocument, UserDocument, client};
use super::session_document::{SessionDocument, key};
use super::{MongoStore, duplicate_positions, failed, to_raw, users};
use crate::domain::{Client, ClientId, Session, User};
use crate::store::{Result, StoreError, StoreTransfer, UserStore};

#[async_trait]
impl StoreTransfer for MongoStore {
    async fn find_clients(&self, ids: &[ClientId]) -> Result<Vec<Client>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = ids.iter().map(ClientId::as_str).collect();
        let find = self.clients.find(doc! { "_id": { "$in": ids } });
        let found: Vec<RawDocumentBuf> =
            self.call(async { find.await?.try_collect().await }).await?;
        found.iter().filter_map(|raw| client(raw).transpose()).collect()
    }

    async fn insert_users(&self, users: &[User]) -> Result<Vec<bool>> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let documents: Vec<_> = users
            .iter()
            .map(|user| to_raw(&UserDocument::of(user, None), "user"))
            .collect::<Result<_>>()?;
        // Unordered, so that a rejected document does not prevent the insertion of those after it.
        let inserting = self.users.insert_many(&documents).ordered(false);
        let refused = match self.with_timeout(inserting).await? {
            Ok(_) => HashSet::new(),
            Err(error) => duplicate_positions(&error).ok_or_else(|| failed(&error))?,
        };
        let mut added: Vec<_> = (0..users.len()).map(|index| !refused.contains(&index)).collect();
        self.insert_over_deleted(users, &mut added).await?;
        Ok(added)
    }

    async fn put_user_unchecked(&self, user: &User) -> Result<bool> {
        let document = to_raw(&UserDocument::of(user, None), "user")?;
        let this = doc! { "_id": users::key(user.id) };
        let put = self.users.replace_one(this, &document).upsert(true);
        Ok(self.insert_unless_duplicate(put).await?.is_some())
    }

    async fn put_client_unchecked(&self, client: &Client) -> Result<()> {
        let document = to_raw(&ClientDocument::of(client, None), "client")?;
        let this = doc! { "_id": client.id.as_str() };
        self.record_client_invalidation(&client.id).await?;
        self.call(self.clients.replace_one(this, &document).upsert(true)).await.map(drop)
    }

    async fn put_session_unchecked(&self, session: &Session) -> Result<()> {
        // Version 0 precedes every later version of the user, so any later name replaces this one.
        let name_version = session.user.as_ref().map(|_| 0);
        let document = to_raw(&SessionDocument::of(session, name_version), "session")?;
        let this = doc! { "_id": key(session.id) };
        self.call(self.sessions.replace_one(this, &document).upsert(true)).await.map(drop)
    }
}

impl MongoStore {
    /// Inserts the users that were rejected because their id belongs to a user whose deletion was
    /// interrupted, after completing that deletion, and updates their entries in `added`.
    async fn insert_over_deleted(&self, users: &[User], added: &mut [bool]) -> Result<()> {
        let left = users.iter().zip(added).filter(|(_, added)| !**added);
        let left: Vec<_> = left.map(|(user, added)| (users::key(user.id), user, added)).collect();
        if left.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = left.iter().map(|(id, ..)| *id).collect();
        let find = self.users.find(doc! { "_id": { "$in": ids }, "deleting": true });
        let found: Vec<RawDocumentBuf> =
            self.call(async { find.await?.try_collect().await }).await?;
        let ids = found.iter().map(|raw| raw.get_object_id("_id"));
        let marked: HashSet<ObjectId> =
            ids.collect::<Result<_, _>>().map_err(|error| StoreError::corrupt("user", error))?;
        for (_, user, added) in left.into_iter().filter(|(id, ..)| marked.contains(id)) {
            *added = UserStore::insert(self, user).await?;
        }
        Ok(())
    }
}
