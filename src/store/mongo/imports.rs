//! [`ImportStore`] for MongoDB: import records and imported access tokens.

use std::collections::HashSet;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, DateTime, Document, RawDocument, RawDocumentBuf, doc};
use serde::Deserialize;

use super::documents::{bytes, read, to_binary, to_date, to_timestamp};
use super::session_document::key as session_key;
use super::{MongoStore, duplicate_positions, failed, to_raw};
use crate::domain::{Digest, SessionId, Timestamp};
use crate::store::{ImportStore, LegacyToken, Page, Result, StoreError};

#[async_trait]
impl ImportStore for MongoStore {
    async fn is_imported(&self, key: &str) -> Result<bool> {
        let found = self.call(self.imported.find_one(doc! { "_id": key })).await?;
        Ok(found.is_some())
    }

    async fn filter_imported(&self, keys: &[String]) -> Result<HashSet<String>> {
        let find = self.imported.find(doc! { "_id": { "$in": keys } });
        let found: Vec<RawDocumentBuf> =
            self.call(async { find.await?.try_collect().await }).await?;
        found.iter().map(|raw| import_key(raw)).collect()
    }

    async fn record_imports(&self, keys: &[String]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let records = keys.iter().map(|key| to_raw(&doc! { "_id": key }, "import record"));
        let records: Vec<_> = records.collect::<Result<_>>()?;
        // Unordered, so that a record that exists does not prevent those after it.
        let insert = self.imported.insert_many(&records).ordered(false);
        match self.with_timeout(insert).await? {
            Err(error) if duplicate_positions(&error).is_none() => Err(failed(&error)),
            _ => Ok(()),
        }
    }

    async fn record_import(&self, key: &str) -> Result<()> {
        let (this, note) = (doc! { "_id": key }, doc! { "$setOnInsert": { "_id": key } });
        let write = self.imported.update_one(this, note).upsert(true);
        self.call(write).await.map(drop)
    }

    async fn delete_import_record(&self, key: &str) -> Result<()> {
        self.call(self.imported.delete_one(doc! { "_id": key })).await.map(drop)
    }

    async fn list_import_records(&self, page: &Page) -> Result<Vec<String>> {
        let behind = doc! { "_id": { "$gt": page.cursor.as_deref().unwrap_or("") } };
        let found = self.list_page(&self.imported, behind, doc! { "_id": 1 }, page.limit).await?;
        found.iter().map(|raw| import_key(raw)).collect()
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
        self.call(write).await.map(drop)
    }

    async fn find_legacy_token(&self, access: &Digest) -> Result<Option<SessionId>> {
        let this = doc! { "_id": to_binary(access.as_bytes()) };
        let Some(raw) = self.call(self.aliases.find_one(this)).await? else { return Ok(None) };
        let id =
            raw.get_object_id("session").map_err(|e| StoreError::corrupt("imported token", e))?;
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
        found.iter().map(|raw| legacy_token(raw)).collect()
    }
}

fn import_key(raw: &RawDocument) -> Result<String> {
    let key = raw.get_str("_id").map_err(|error| StoreError::corrupt("import record", error))?;
    Ok(key.to_owned())
}

#[derive(Deserialize)]
struct LegacyTokenDocument {
    #[serde(rename = "_id")]
    access: Binary,
    session: ObjectId,
    expires_at: DateTime,
}

fn legacy_token(raw: &RawDocument) -> Result<LegacyToken> {
    let document: LegacyTokenDocument = read(raw, "imported token")?;
    Ok(LegacyToken {
        access: Digest::from_bytes(bytes(document.access, "imported token")?),
        session: SessionId::from_bytes(document.session.bytes()),
        expires_at: to_timestamp(document.expires_at),
    })
}
