//! [`SessionStore`] for MongoDB: one document per session.
//!
//! A login is checked without a transaction. A change that disables a user first writes the user
//! and then deletes the user's sessions. A login first inserts its session and then reads the user.
//! So either the deletion finds the session, or the login sees that the user has changed. Its
//! tokens are returned to the client only after that read.

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};
use mongodb::options::ReadConcern;

use super::documents::{Standing, read as read_as, to_date, to_integer};
use super::session_document::{SessionDocument, session as read, tokens};
use super::{MongoStore, losses, to_raw, users};
use crate::domain::{Client, Digest, Session, SessionId, SessionUser, Timestamp};
use crate::observe::chain;
use crate::store::{Page, Result, Seen, SessionFilter, SessionStore, Written};

const WHAT: &str = "session";

pub(super) fn key(id: SessionId) -> ObjectId {
    ObjectId::from_bytes(*id.as_bytes())
}

#[async_trait]
impl SessionStore for MongoStore {
    async fn insert(&self, session: &Session) -> Result<bool> {
        let mut session = session.clone();
        let mut name_version = None;
        if let Some(user) = &mut session.user {
            let Some(now) = self.standing_of_user(user, None).await? else { return Ok(false) };
            name_version = Some(now.version);
            user.username = now.username;
        }
        let document = to_raw(&SessionDocument::of(&session, name_version), WHAT)?;
        // Causal consistency: the reads below see at least the state at the time of the insert.
        let mut causal = self.causal_session().await?;
        let added = self.sessions.insert_one(&document).session(&mut causal);
        let allowed = match self.bounded(added).await {
            Ok(_) => self.is_still_allowed(&session, name_version, &mut causal).await,
            Err(error) => Err(error),
        };
        match allowed {
            Ok(true) => {}
            Ok(false) => drop(self.end(session.id).await?),
            // The login fails, so its tokens are never returned to a client. The session is removed
            // in the background to keep the response from waiting for it.
            Err(_) => {
                let (store, id) = (self.clone(), session.id);
                tokio::spawn(async move { store.end(id).await });
            }
        }
        allowed
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>> {
        let found = self.bounded(self.sessions.find_one(doc! { "_id": key(id) })).await?;
        Ok(found.map(|raw| read(&raw)).transpose()?.flatten())
    }

    async fn find_access(&self, id: SessionId, _access: &Digest) -> Result<Option<Session>> {
        self.has_room()?;
        self.find(id).await
    }

    async fn find_for(
        &self,
        id: SessionId,
        _access: Option<&Digest>,
        caller: &Client,
    ) -> Result<Seen> {
        self.has_room()?;
        // Both reads start after this call did, so neither the session nor the client can be older
        // than the call.
        let current = self
            .clients
            .find_one(doc! { "_id": caller.id.as_str() })
            .projection(doc! { "version": 1, "created_at": 1, "updated_at": 1, "deleting": 1 });
        let (session, current) = tokio::try_join!(self.find(id), self.bounded(current))?;
        let is_caller = current.is_some_and(|raw| {
            let is_at =
                |field, moment| raw.get_datetime(field).is_ok_and(|at| at == to_date(moment));
            raw.get_i64("version").is_ok_and(|version| version == to_integer(caller.version))
                && is_at("created_at", caller.created_at)
                && is_at("updated_at", caller.updated_at)
                && raw.get_bool("deleting").is_err()
        });
        Ok(if is_caller { Seen::Session(session.map(Box::new)) } else { Seen::OtherCaller })
    }

    async fn replace(&self, session: &Session) -> Result<bool> {
        self.replace_with(session, tokens(session)?).await
    }

    async fn replace_losing(&self, session: &Session) -> Result<Written<bool>> {
        let mut change = tokens(session)?;
        if self.notes_losses {
            change.insert("lost", losses::mark());
        }
        Ok(self.replace_with(session, change).await?.into())
    }

    /// Confirms the version by an update that changes nothing: MongoDB acknowledges it only when a
    /// majority has all earlier writes.
    async fn settle(&self, id: SessionId, version: u64) -> Result<Written<bool>> {
        let version = to_integer(version);
        let same = doc! { "$set": { "version": version } };
        let write = self.sessions.update_one(doc! { "_id": key(id), "version": version }, same);
        Ok((self.bounded(write).await?.matched_count == 1).into())
    }

    async fn end(&self, id: SessionId) -> Result<Written<bool>> {
        if self.notes_losses {
            let alive = doc! { "_id": key(id), "ended": Bson::Null };
            let done = self.sessions.update_one(alive, losses::ended());
            return Ok((self.bounded(done).await?.matched_count == 1).into());
        }
        let done = self.bounded(self.sessions.delete_one(doc! { "_id": key(id) })).await?;
        Ok((done.deleted_count == 1).into())
    }

    async fn end_all(&self, filter: &SessionFilter) -> Result<Written<u64>> {
        Ok(self.end_sessions(condition(filter)).await?.into())
    }

    async fn list(&self, filter: &SessionFilter, page: &Page) -> Result<Vec<Session>> {
        let found = self.page_of_sessions(filter, page).await?;
        found.iter().filter_map(|raw| read(raw).transpose()).collect()
    }

    async fn list_sound(&self, page: &Page) -> Result<Vec<Session>> {
        let (wanted, mut page, mut found) = (page.limit as usize, page.clone(), Vec::new());
        loop {
            let batch = self.page_of_sessions(&SessionFilter::default(), &page).await?;
            let is_last = batch.len() < page.limit as usize;
            let id = |raw: &RawDocumentBuf| raw.get_object_id("_id").map(|id| id.to_hex()).ok();
            page.after = batch.last().and_then(id);
            for raw in &batch {
                match read(raw) {
                    Ok(session) => found.extend(session),
                    Err(error) => {
                        tracing::error!(session = id(raw), "passed over: {}", chain(&error));
                    }
                }
            }
            if is_last || found.len() >= wanted || page.after.is_none() {
                return Ok(found);
            }
            page.limit = u32::try_from(wanted - found.len()).unwrap_or(page.limit);
        }
    }

    async fn count(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let alive = doc! { "expires_at": { "$gt": to_date(now) }, "ended": Bson::Null };
        self.count_up_to(&self.sessions, alive, limit).await
    }

    async fn put(&self, session: &Session) -> Result<()> {
        // Version 0 precedes every later version of the user, so any later name replaces this one.
        let name_version = session.user.as_ref().map(|_| 0);
        let document = to_raw(&SessionDocument::of(session, name_version), WHAT)?;
        let this = doc! { "_id": key(session.id) };
        self.bounded(self.sessions.replace_one(this, &document).upsert(true)).await.map(drop)
    }

    /// Deletes sessions whose last token has expired by this server's clock; the TTL index deletes
    /// them too. First completes the cascades that other processes left unfinished.
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.finish_endings().await?;
        let over = doc! { "expires_at": { "$lte": to_date(now) } };
        Ok(self.remove_batch(&over, Some(doc! { "expires_at": 1 }), limit).await?.ended)
    }
}

impl MongoStore {
    async fn page_of_sessions(
        &self,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<Vec<RawDocumentBuf>> {
        let after: Option<SessionId> = page.after.as_deref().and_then(|id| id.parse().ok());
        let mut condition = condition(filter);
        condition.insert("ended", Bson::Null);
        if let Some(after) = after {
            condition.insert("_id", doc! { "$gt": key(after) });
        }
        self.list_page(&self.sessions, condition, doc! { "_id": 1 }, page.limit).await
    }

    async fn replace_with(&self, session: &Session, change: Document) -> Result<bool> {
        let version = to_integer(session.version);
        let before = doc! { "_id": key(session.id), "version": version - 1 };
        let done = self.sessions.update_one(before, doc! { "$set": change });
        Ok(self.bounded(done).await?.matched_count == 1)
    }

    /// Returns whether client and user still are enabled and of the generation of the login, as
    /// read from a majority after the insert. If the user was renamed in between, updates the name
    /// in the session.
    async fn is_still_allowed(
        &self,
        session: &Session,
        name_version: Option<i64>,
        causal: &mut ClientSession,
    ) -> Result<bool> {
        let id = session.client_id.as_str();
        let client = self
            .clients
            .find_one(doc! { "_id": id })
            .projection(standing())
            .read_concern(ReadConcern::majority())
            .session(&mut *causal);
        let client = self.bounded(client).await?;
        let client: Option<Standing> = client.map(|raw| read_as(&raw, "client")).transpose()?;
        if !client.is_some_and(|now| fits(&now, session.client_generation)) {
            return Ok(false);
        }
        let Some(user) = &session.user else { return Ok(true) };
        let Some(now) = self.standing_of_user(user, Some(causal)).await? else {
            return Ok(false);
        };
        if now.username != user.username {
            let before = doc! { "_id": key(session.id), "name_version": name_version };
            let change = doc! {
                "$set": { "username": now.username, "name_version": now.version },
                "$inc": { "version": 1_i64 },
            };
            self.bounded(self.sessions.update_one(before, change)).await?;
        }
        Ok(true)
    }

    /// Returns the current state of the user, or `None` if it is disabled, being deleted or of
    /// another generation than at the login.
    async fn standing_of_user(
        &self,
        user: &SessionUser,
        causal: Option<&mut ClientSession>,
    ) -> Result<Option<Standing>> {
        let mut find =
            self.users.find_one(doc! { "_id": users::key(user.id) }).projection(standing());
        if let Some(causal) = causal {
            find = find.read_concern(ReadConcern::majority()).session(causal);
        }
        let found = self.bounded(find).await?;
        let now: Option<Standing> = found.map(|raw| read_as(&raw, "user")).transpose()?;
        Ok(now.filter(|now| fits(now, user.generation)))
    }
}

/// Returns the projection of the fields that [`Standing`] reads.
pub(super) fn standing() -> Document {
    let fields = ["enabled", "deleting", "generation", "version", "username", "ending"];
    fields.into_iter().map(|field| (field.to_owned(), Bson::Int32(1))).collect()
}

fn fits(now: &Standing, generation: u64) -> bool {
    now.enabled && !now.deleting && now.generation == to_integer(generation)
}

fn condition(filter: &SessionFilter) -> Document {
    let mut condition = Document::new();
    if let Some(user) = filter.user {
        condition.insert("user_id", users::key(user));
    }
    if let Some(client) = &filter.client {
        condition.insert("client_id", client.as_str());
    }
    if let Some(now) = filter.alive_at {
        condition.insert("expires_at", doc! { "$gt": to_date(now) });
    }
    condition
}
