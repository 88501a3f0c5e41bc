//! What was taken over from another server, in MongoDB.

use async_trait::async_trait;
use mongodb::bson::doc;

use super::MongoStore;
use super::documents::{to_binary, to_date};
use super::sessions::key as session_key;
use crate::domain::{Digest, SessionId, Timestamp};
use crate::store::{ImportStore, Result, StoreError};

#[async_trait]
impl ImportStore for MongoStore {
    async fn is_imported(&self, key: &str) -> Result<bool> {
        let found = self.bounded(self.imported.find_one(doc! { "_id": key })).await?;
        Ok(found.is_some())
    }

    async fn note_imported(&self, key: &str) -> Result<()> {
        let (this, note) = (doc! { "_id": key }, doc! { "$setOnInsert": { "_id": key } });
        let write = self.imported.update_one(this, note).upsert(true);
        self.bounded(write).await.map(drop)
    }

    async fn add_alias(
        &self,
        access: &Digest,
        session: SessionId,
        expires_at: Timestamp,
    ) -> Result<()> {
        let this = doc! { "_id": to_binary(access.as_bytes()) };
        let alias = doc! { "session": session_key(session), "expires_at": to_date(expires_at) };
        let write = self.aliases.update_one(this, doc! { "$set": alias }).upsert(true);
        self.bounded(write).await.map(drop)
    }

    async fn find_alias(&self, access: &Digest) -> Result<Option<SessionId>> {
        let this = doc! { "_id": to_binary(access.as_bytes()) };
        let Some(raw) = self.bounded(self.aliases.find_one(this)).await? else { return Ok(None) };
        let id = raw.get_object_id("session").map_err(|e| StoreError::damaged("alias", e))?;
        Ok(Some(SessionId::from_bytes(id.bytes())))
    }
}
