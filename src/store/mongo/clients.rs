//! [`ClientStore`] for MongoDB: one document per client.

use async_trait::async_trait;
use mongodb::bson::{Bson, doc};

use super::documents::{
    ClientDocument, account_status_fields, client as read, read as read_as, to_binary, to_integer,
};
use super::{MongoStore, to_raw};
use crate::domain::{Client, ClientId, PasswordHash, StoredSecret};
use crate::store::{ClientStore, Result, Update, Written};

const RECORD_KIND: &str = "client";

#[async_trait]
impl ClientStore for MongoStore {
    async fn insert(&self, client: &Client) -> Result<bool> {
        let document = to_raw(&ClientDocument::of(client, None), RECORD_KIND)?;
        if self.insert_unless_duplicate(self.clients.insert_one(&document)).await?.is_some() {
            return Ok(true);
        }
        // The id may belong to a client whose deletion was interrupted.
        if !self.finish_deleting_client(client.id.as_str()).await? {
            return Ok(false);
        }
        Ok(self.insert_unless_duplicate(self.clients.insert_one(&document)).await?.is_some())
    }

    async fn find(&self, id: &ClientId) -> Result<Option<Client>> {
        self.check_load()?;
        let found = self.call(self.clients.find_one(doc! { "_id": id.as_str() })).await?;
        Ok(found.map(|raw| read(&raw)).transpose()?.flatten())
    }

    async fn update(&self, client: &Client) -> Result<Written<Update>> {
        let version = to_integer(client.version);
        let document = to_raw(&ClientDocument::of(client, Some(version)), RECORD_KIND)?;
        let before =
            doc! { "_id": client.id.as_str(), "version": version - 1, "deleting": Bson::Null };
        self.record_client_invalidation(&client.id).await?;
        let replace = self
            .clients
            .find_one_and_replace(before, &document)
            .projection(account_status_fields());
        let Some(raw) = self.call(replace).await? else { return Ok(Update::Stale.into()) };
        self.release_client_invalidation(&client.id).await?;
        self.end_sessions_of_client(client, &read_as(&raw, RECORD_KIND)?).await?;
        Ok(Update::Done.into())
    }

    async fn upgrade_secret(
        &self,
        id: &ClientId,
        old: &StoredSecret,
        new: &PasswordHash,
    ) -> Result<bool> {
        let mut before = doc! { "_id": id.as_str() };
        match old {
            StoredSecret::Digest(digest) => {
                before.insert("secret_digest", to_binary(digest.as_bytes()));
            }
            StoredSecret::Hash(hash) => {
                before.insert("secret_hash", hash.encoded());
            }
        }
        let change = doc! {
            "$set": { "secret_hash": new.encoded() },
            "$unset": { "secret_digest": "" },
        };
        let done = self.call(self.clients.update_one(before, change)).await?;
        Ok(done.matched_count == 1)
    }

    async fn delete(&self, id: &ClientId, version: Option<u64>) -> Result<Written<bool>> {
        let mut before = doc! { "_id": id.as_str(), "deleting": Bson::Null };
        before.extend(version.map(|version| ("version".to_owned(), to_integer(version).into())));
        let change = doc! {
            "$set": { "enabled": false, "deleting": true, "ending": 0_i64 },
            "$inc": { "version": 1_i64, "generation": 1_i64 },
        };
        self.record_client_invalidation(id).await?;
        let done = self.call(self.clients.update_one(before, change)).await?;
        self.release_client_invalidation(id).await?;
        self.finish_deleting_client(id.as_str()).await?;
        Ok((done.matched_count == 1).into())
    }
}
