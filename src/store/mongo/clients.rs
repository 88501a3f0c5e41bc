//! [`ClientStore`] for MongoDB: one document per client.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};

use super::documents::{ClientDocument, client as read, read as read_as, to_integer};
use super::sessions::standing;
use super::{MongoStore, beginning_with, to_raw};
use crate::domain::{Client, ClientId};
use crate::store::{ClientStore, Page, Result, Update, Written};

const WHAT: &str = "client";

#[async_trait]
impl ClientStore for MongoStore {
    async fn insert(&self, client: &Client) -> Result<bool> {
        let document = to_raw(&ClientDocument::of(client, None), WHAT)?;
        if self.unless_taken(self.clients.insert_one(&document)).await?.is_some() {
            return Ok(true);
        }
        // The id may belong to a client whose deletion was interrupted.
        if !self.finish_deleting_client(client.id.as_str()).await? {
            return Ok(false);
        }
        Ok(self.unless_taken(self.clients.insert_one(&document)).await?.is_some())
    }

    async fn find(&self, id: &ClientId) -> Result<Option<Client>> {
        self.has_room()?;
        let found = self.bounded(self.clients.find_one(doc! { "_id": id.as_str() })).await?;
        Ok(found.map(|raw| read(&raw)).transpose()?.flatten())
    }

    async fn search(&self, prefix: &str, page: &Page) -> Result<Vec<Client>> {
        let after = page.after.as_deref().unwrap_or("");
        let mut filter = doc! { "_id": { "$gt": after }, "deleting": Bson::Null };
        if !prefix.is_empty() {
            let begins = beginning_with(prefix);
            filter.insert("$or", vec![doc! { "_id": begins.clone() }, doc! { "name": begins }]);
        }
        let found = self.list_page(&self.clients, filter, doc! { "_id": 1 }, page.limit);
        found.await?.iter().filter_map(|raw| read(raw).transpose()).collect()
    }

    async fn count(&self, limit: u32) -> Result<u64> {
        let filter = doc! { "_id": { "$gte": "" }, "deleting": Bson::Null };
        self.count_up_to(&self.clients, filter, limit).await
    }

    async fn update(&self, client: &Client) -> Result<Written<Update>> {
        let version = to_integer(client.version);
        let document = to_raw(&ClientDocument::of(client, Some(version)), WHAT)?;
        let before =
            doc! { "_id": client.id.as_str(), "version": version - 1, "deleting": Bson::Null };
        self.note_client(&client.id).await?;
        let replace = self.clients.find_one_and_replace(before, &document).projection(standing());
        let Some(raw) = self.bounded(replace).await? else { return Ok(Update::Stale.into()) };
        self.end_sessions_of_client(client, &read_as(&raw, WHAT)?).await?;
        Ok(Update::Done.into())
    }

    async fn put(&self, client: &Client) -> Result<()> {
        let document = to_raw(&ClientDocument::of(client, None), WHAT)?;
        let this = doc! { "_id": client.id.as_str() };
        self.note_client(&client.id).await?;
        self.bounded(self.clients.replace_one(this, &document).upsert(true)).await.map(drop)
    }

    async fn delete(&self, id: &ClientId) -> Result<Written<bool>> {
        self.delete_client(doc! { "_id": id.as_str() }, id).await
    }

    async fn delete_version(&self, id: &ClientId, version: u64) -> Result<Written<bool>> {
        let before = doc! { "_id": id.as_str(), "version": to_integer(version) };
        self.delete_client(before, id).await
    }
}

impl MongoStore {
    async fn delete_client(&self, mut before: Document, id: &ClientId) -> Result<Written<bool>> {
        let change = doc! {
            "$set": { "enabled": false, "deleting": true, "ending": 0_i64 },
            "$inc": { "version": 1_i64, "generation": 1_i64 },
        };
        before.insert("deleting", Bson::Null);
        self.note_client(id).await?;
        let done = self.bounded(self.clients.update_one(before, change)).await?;
        self.finish_deleting_client(id.as_str()).await?;
        Ok((done.matched_count == 1).into())
    }
}
