//! [`StoreListing`] for MongoDB. The read preference may direct these reads to a secondary.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

use super::documents::{client, password, to_date, user};
use super::session_document::{key, session};
use super::sessions::condition;
use super::{MongoStore, indexes, prefix_condition, users};
use crate::domain::{
    Client, PasswordHash, Session, SessionId, Timestamp, User, UserId, username_key,
    username_key_parts,
};
use crate::observe::error_chain;
use crate::store::{Page, Result, SessionFilter, StoreError, StoreListing};

#[async_trait]
impl StoreListing for MongoStore {
    async fn list_users(&self, prefix: &str, page: &Page) -> Result<Vec<User>> {
        let after = page.cursor.as_deref().unwrap_or("");
        let (filter, order) = if prefix.is_empty() {
            // Excludes users that are being deleted, which have no name.
            let named = doc! { "username": { "$gte": "", "$gt": after } };
            (named, doc! { "username": 1 })
        } else {
            let after_key = username_key(after);
            let mut any = Vec::new();
            for start in BTreeSet::from(username_key_parts(prefix)) {
                let mut range = prefix_condition(&start);
                if after_key >= start {
                    range.remove("$gte");
                    range.insert("$gt", &after_key);
                }
                any.push(doc! { "username_key": range });
                if after_key.starts_with(&start) {
                    any.push(doc! { "username_key": &after_key, "username": { "$gt": after } });
                }
            }
            (doc! { "$or": any }, doc! { "username_key": 1, "username": 1 })
        };
        let found = self.list_page(&self.users, filter, order, page.limit);
        found.await?.iter().filter_map(|raw| user(raw).transpose()).collect()
    }

    async fn search_users(&self, part: &str, page: &Page) -> Result<Vec<User>> {
        // MongoDB treats limit 0 as no limit.
        if page.limit == 0 {
            return Ok(Vec::new());
        }
        let after = page.cursor.as_deref().unwrap_or("");
        let key = username_key(after);
        let behind =
            vec![doc! { "username_key": { "$gt": &key } }, doc! { "username": { "$gt": after } }];
        let mut filter = containing(part);
        filter
            .insert("$and", vec![doc! { "username_key": { "$gte": key } }, doc! { "$or": behind }]);
        let find = self.users.find(filter).limit(page.limit.into());
        let find = find.sort(doc! { "username_key": 1, "username": 1 });
        let find = find.hint(indexes::username_key()).max_time(self.call_timeout);
        let find = find.selection_criteria(self.lists.clone());
        let found: Vec<RawDocumentBuf> =
            self.call(async { find.await?.try_collect().await }).await?;
        found.iter().filter_map(|raw| user(raw).transpose()).collect()
    }

    async fn list_spellings(&self, limit: u32) -> Result<Vec<User>> {
        let pipeline = [
            // Excludes users that are being deleted, which have no name.
            doc! { "$match": { "username_key": { "$gte": "" } } },
            doc! { "$group": { "_id": "$username_key", "users": { "$sum": 1_i64 } } },
            doc! { "$match": { "users": { "$gt": 1_i64 } } },
            doc! { "$sort": { "_id": 1 } },
            doc! { "$limit": i64::from(limit.max(1)) },
        ];
        let group = self.users.aggregate(pipeline).hint(indexes::username_key());
        let group = group.allow_disk_use(true).max_time(self.call_timeout);
        let group = group.selection_criteria(self.lists.clone());
        let groups: Vec<Document> = self.call(async { group.await?.try_collect().await }).await?;
        let keys: Vec<_> = groups.into_iter().filter_map(|mut group| group.remove("_id")).collect();
        let filter = doc! { "username_key": { "$in": keys } };
        let order = doc! { "username_key": 1, "username": 1 };
        let found = self.list_page(&self.users, filter, order, limit).await?;
        found.iter().filter_map(|raw| user(raw).transpose()).collect()
    }

    async fn count_users(&self, part: &str, limit: u32) -> Result<u64> {
        self.count_up_to(&self.users, containing(part), limit).await
    }

    async fn sample_password_hashes(
        &self,
        excluded_prefixes: &[String],
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, PasswordHash)>> {
        // MongoDB treats limit 0 as no limit and rejects an empty `$nor`. The first condition
        // excludes users that are being deleted, which have no password.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut conditions = vec![doc! { "password": { "$gte": "" } }];
        conditions.extend(excluded_prefixes.iter().map(|excluded| {
            doc! { "$nor": [{ "password": prefix_condition(excluded) }] }
        }));
        conditions.extend(after.map(|id| doc! { "_id": { "$gt": users::key(id) } }));
        let find = self.users.find(doc! { "$and": conditions }).limit(limit.into());
        let find = find.sort(doc! { "_id": 1 });
        let find = find.projection(doc! { "password": 1, "password_imported": 1 });
        let find = find.selection_criteria(self.lists.clone()).max_time(self.call_timeout);
        let found: Vec<RawDocumentBuf> =
            self.call(async { find.await?.try_collect().await }).await?;
        let id = |raw: &RawDocumentBuf| raw.get_object_id("_id").map(|id| id.bytes());
        let id = |raw| id(raw).map_err(|error| StoreError::corrupt("user", error));
        found.iter().map(|raw| Ok((UserId::from_bytes(id(raw)?), password(raw)?))).collect()
    }

    async fn list_clients(&self, part: &str, page: &Page) -> Result<Vec<Client>> {
        let after = page.cursor.as_deref().unwrap_or("");
        let filter = clients_containing(part, doc! { "$gt": after });
        let found = self.list_page(&self.clients, filter, doc! { "_id": 1 }, page.limit);
        found.await?.iter().filter_map(|raw| client(raw).transpose()).collect()
    }

    async fn count_clients(&self, part: &str, limit: u32) -> Result<u64> {
        let filter = clients_containing(part, doc! { "$gte": "" });
        self.count_up_to(&self.clients, filter, limit).await
    }

    async fn list_sessions(&self, filter: &SessionFilter, page: &Page) -> Result<Vec<Session>> {
        let found = self.session_page(filter, page).await?;
        found.iter().filter_map(|raw| session(raw).transpose()).collect()
    }

    async fn list_sessions_skipping_corrupt(&self, page: &Page) -> Result<Vec<Session>> {
        let (wanted, mut page, mut found) = (page.limit as usize, page.clone(), Vec::new());
        loop {
            let batch = self.session_page(&SessionFilter::default(), &page).await?;
            let is_last = batch.len() < page.limit as usize;
            let id = |raw: &RawDocumentBuf| raw.get_object_id("_id").map(|id| id.to_hex()).ok();
            page.cursor = batch.last().and_then(id);
            for raw in &batch {
                match session(raw) {
                    Ok(session) => found.extend(session),
                    Err(error) => {
                        tracing::error!(
                            session = id(raw),
                            "corrupt session skipped: {}",
                            error_chain(&error)
                        );
                    }
                }
            }
            if is_last || found.len() >= wanted || page.cursor.is_none() {
                return Ok(found);
            }
            page.limit = u32::try_from(wanted - found.len()).unwrap_or(page.limit);
        }
    }

    async fn count_sessions(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let alive = doc! { "expires_at": { "$gt": to_date(now) }, "ended": Bson::Null };
        self.count_up_to(&self.sessions, alive, limit).await
    }
}

/// Returns the condition for users whose names contain `part`.
fn containing(part: &str) -> Document {
    // Excludes users that are being deleted, which have no name.
    let mut filter = doc! { "username": { "$gte": "" } };
    if !part.is_empty() {
        let parts = BTreeSet::from(username_key_parts(part));
        let holds = |part: &String| doc! { "username_key": { "$regex": literal(part, false) } };
        filter.insert("$or", parts.iter().map(holds).collect::<Vec<_>>());
    }
    filter
}

/// Returns the condition for clients whose ids are in the range `ids`, and whose ids or names
/// contain `part`.
fn clients_containing(part: &str, ids: Document) -> Document {
    let mut filter = doc! { "_id": ids, "deleting": Bson::Null };
    if !part.is_empty() {
        let holds = doc! { "$regex": literal(part, true) };
        filter.insert("$or", vec![doc! { "_id": holds.clone() }, doc! { "name": holds }]);
    }
    filter
}

/// Returns a regular expression that matches a text that contains `part`. With `any_case`, letters
/// of ASCII match in either case.
fn literal(part: &str, any_case: bool) -> String {
    let mut pattern = String::with_capacity(part.len());
    for letter in part.chars() {
        match letter {
            // MongoDB refuses an expression that contains this character.
            '\0' => pattern.push_str("\\x00"),
            'a'..='z' | 'A'..='Z' if any_case => {
                let (small, capital) = (letter.to_ascii_lowercase(), letter.to_ascii_uppercase());
                pattern.extend(['[', small, capital, ']']);
            }
            _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => {
                pattern.extend(['\\', letter]);
            }
            _ => pattern.push(letter),
        }
    }
    pattern
}

impl MongoStore {
    async fn session_page(
        &self,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<Vec<RawDocumentBuf>> {
        let after: Option<SessionId> = page.cursor.as_deref().and_then(|id| id.parse().ok());
        let mut condition = condition(filter);
        condition.insert("ended", Bson::Null);
        if let Some(after) = after {
            condition.insert("_id", doc! { "$gt": key(after) });
        }
        self.list_page(&self.sessions, condition, doc! { "_id": 1 }, page.limit).await
    }
}
