//! [`ImportStore`] for MongoDB: import records and aliases of imported access tokens.

use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, DateTime, Document, RawDocument, RawDocumentBuf, doc};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{bytes, read, to_binary, to_date, to_moment};
use super::sessions::key as session_key;
use crate::domain::{Digest, SessionId, Timestamp};
use crate::store::{ImportStore, LegacyToken, Page, Result, StoreError};

#[async_trait]
impl ImportStore for MongoStore {
    async fn is_imported(&self, key: &str) -> Result<bool> {
        let found = self.bounded(self.imported.find_one(doc! { "_id": key })).await?;
        Ok(found.is_some())
    }

    async fn record_import(&self, key: &str) -> Result<()> {
        let (this, note) = (doc! { "_id": key }, doc! { "$setOnInsert": { "_id": key } });
        let write = self.imported.update_one(this, note).upsert(true);
        self.bounded(write).await.map(drop)
    }

    async fn delete_import_record(&self, key: &str) -> Result<()> {
        self.bounded(self.imported.delete_one(doc! { "_id": key })).await.map(drop)
    }

    async fn list_import_records(&self, page: &Page) -> Result<Vec<String>> {
        let behind = doc! { "_id": { "$gt": page.after.as_deref().unwrap_or("") } };
        let found = self.list_page(&self.imported, behind, doc! { "_id": 1 }, page.limit).await?;
        let key = |raw: &RawDocumentBuf| {
            raw.get_str("_id").map(str::to_owned).map_err(|e| StoreError::damaged("note", e))
        };
        found.iter().map(key).collect()
    }

    async fn add_legacy_token(
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

    async fn find_legacy_token(&self, access: &Digest) -> Result<Option<SessionId>> {
        let this = doc! { "_id": to_binary(access.as_bytes()) };
        let Some(raw) = self.bounded(self.aliases.find_one(this)).await? else { return Ok(None) };
        let id = raw.get_object_id("session").map_err(|e| StoreError::damaged("alias", e))?;
        Ok(Some(SessionId::from_bytes(id.bytes())))
    }

    async fn list_legacy_tokens(
        &self,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<LegacyToken>> {
        let behind = match after {
            Some(after) => doc! { "_id": { "$gt": to_binary(after.as_bytes()) } },
            None => Document::new(),
        };
        let found = self.list_page(&self.aliases, behind, doc! { "_id": 1 }, limit).await?;
        found.iter().map(|raw| alias(raw)).collect()
    }
}

#[derive(Deserialize)]
struct AliasDocument {
    #[serde(rename = "_id")]
    access: Binary,
    session: ObjectId,
    expires_at: DateTime,
}

fn alias(raw: &RawDocument) -> Result<LegacyToken> {
    let document: AliasDocument = read(raw, "alias")?;
    Ok(LegacyToken {
        access: Digest::from_bytes(bytes(document.access, "alias")?),
        session: SessionId::from_bytes(document.session.bytes()),
        expires_at: to_moment(document.expires_at),
    })
}
