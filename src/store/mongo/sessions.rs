//! [`SessionStore`] for MongoDB: one document per session.
//!
//! A login is checked without a transaction. A change that disables a user first writes the user
//! and then deletes the user's sessions. A login first inserts its session and then reads the user.
//! So either the deletion finds the session, or the login sees that the user has changed. Its
//! tokens are returned to the client only after that read.

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ReadConcern;

use super::documents::{
    AccountStatus, account_status_fields, read as read_as, to_date, to_integer,
};
use super::session_document::{SessionDocument, key, session as read, tokens};
use super::{MongoStore, outbox, to_raw, users};
use crate::domain::{Session, SessionId, SessionUser, Timestamp};
use crate::store::{CallerLookup, Result, SessionFilter, SessionStore, Want, Written};

const RECORD_KIND: &str = "session";

#[async_trait]
impl SessionStore for MongoStore {
    async fn insert(&self, session: &Session) -> Result<bool> {
        let mut session = session.clone();
        let mut name_version = None;
        if let Some(user) = &mut session.user {
            let Some(now) = self.account_status_of_user(user, None).await? else {
                return Ok(false);
            };
            name_version = Some(now.version);
            user.username = now.username;
        }
        let document = to_raw(&SessionDocument::of(&session, name_version), RECORD_KIND)?;
        // Causal consistency: the reads below see at least the state at the time of the insert.
        let mut causal = self.causal_session().await?;
        let added = self.sessions.insert_one(&document).session(&mut causal);
        let allowed = match self.write(added).await {
            Ok(_) => self.confirm_login(&session, name_version, &mut causal).await,
            Err(error) => Err(error),
        };
        match allowed {
            Ok(true) => {}
            Ok(false) => drop(SessionStore::delete(self, session.id).await?),
            // The login fails, so its tokens are never returned to a client. The session is removed
            // in the background to keep the response from waiting for it.
            Err(_) => {
                let (store, id) = (self.clone(), session.id);
                tokio::spawn(async move { SessionStore::delete(&store, id).await });
            }
        }
        allowed
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>> {
        let found = self.call(self.sessions.find_one(doc! { "_id": key(id) })).await?;
        Ok(found.map(|raw| read(&raw)).transpose()?.flatten())
    }

    async fn look_up(&self, id: SessionId, want: Want<'_>) -> Result<CallerLookup> {
        self.check_load()?;
        let Some(caller) = want.caller else { return Ok(self.find(id).await?.into()) };
        // Both reads start after this call did, so neither the session nor the client can be older
        // than the call.
        let current = self
            .clients
            .find_one(doc! { "_id": caller.id.as_str() })
            .projection(doc! { "version": 1, "created_at": 1, "updated_at": 1, "deleting": 1 });
        let (session, current) = tokio::try_join!(self.find(id), self.call(current))?;
        let is_caller = current.is_some_and(|raw| {
            let is_at =
                |field, moment| raw.get_datetime(field).is_ok_and(|at| at == to_date(moment));
            raw.get_i64("version").is_ok_and(|version| version == to_integer(caller.version))
                && is_at("created_at", caller.created_at)
                && is_at("updated_at", caller.updated_at)
                && raw.get_bool("deleting").is_err()
        });
        Ok(if is_caller { session.into() } else { CallerLookup::CallerChanged })
    }

    async fn replace(&self, session: &Session, revokes_access: bool) -> Result<Written<bool>> {
        let mut change = tokens(session)?;
        if revokes_access && self.records_invalidations {
            change.insert("lost", outbox::revision()?);
        }
        let before = doc! { "_id": key(session.id), "version": to_integer(session.version) - 1 };
        let done = self.sessions.update_one(before, doc! { "$set": change });
        Ok((self.write(done).await?.matched_count == 1).into())
    }

    /// Returns whether the stored version of the session is `version`, by an update that changes
    /// nothing: MongoDB acknowledges the update only when a majority has all earlier writes.
    async fn confirm_durable(&self, id: SessionId, version: u64) -> Result<Written<bool>> {
        let version = to_integer(version);
        let same = doc! { "$set": { "version": version } };
        let write = self.sessions.update_one(doc! { "_id": key(id), "version": version }, same);
        Ok((self.write(write).await?.matched_count == 1).into())
    }

    async fn delete(&self, id: SessionId) -> Result<Written<bool>> {
        if self.records_invalidations {
            let alive = doc! { "_id": key(id), "ended": Bson::Null };
            let done = self.sessions.update_one(alive, outbox::ended()?);
            return Ok((self.write(done).await?.matched_count == 1).into());
        }
        let done = self.write(self.sessions.delete_one(doc! { "_id": key(id) })).await?;
        Ok((done.deleted_count == 1).into())
    }

    async fn delete_all(&self, filter: &SessionFilter) -> Result<Written<u64>> {
        Ok(self.end_sessions(condition(filter)).await?.into())
    }

    /// Deletes sessions whose last token has expired by this server's clock; MongoDB's TTL index
    /// deletes them too. First completes the cascades (ends of sessions after a change of their
    /// user or client) that other processes left unfinished, and adds the keys of user names that
    /// processes of an earlier version left out.
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.fill_username_keys().await?;
        self.finish_cascades().await?;
        let over = doc! { "expires_at": { "$lte": to_date(now) } };
        Ok(self.remove_batch(&over, Some(doc! { "expires_at": 1 }), limit).await?.ended)
    }
}

impl MongoStore {
    /// Returns whether the client and the user of a new session still are enabled and of the
    /// generations (counters that end older sessions) of the login. Reads from a majority after the
    /// insertion. If the user was renamed in between, updates the user name in the session.
    async fn confirm_login(
        &self,
        session: &Session,
        name_version: Option<i64>,
        causal: &mut ClientSession,
    ) -> Result<bool> {
        let id = session.client_id.as_str();
        let client = self
            .clients
            .find_one(doc! { "_id": id })
            .projection(account_status_fields())
            .read_concern(ReadConcern::majority())
            .session(&mut *causal);
        let client = self.call(client).await?;
        let client: Option<AccountStatus> =
            client.map(|raw| read_as(&raw, "client")).transpose()?;
        if !client.is_some_and(|now| fits(&now, session.client_generation)) {
            return Ok(false);
        }
        let Some(user) = &session.user else { return Ok(true) };
        let Some(now) = self.account_status_of_user(user, Some(causal)).await? else {
            return Ok(false);
        };
        if now.username != user.username {
            let before = doc! { "_id": key(session.id), "name_version": name_version };
            let change = doc! {
                "$set": { "username": now.username, "name_version": now.version },
                "$inc": { "version": 1_i64 },
            };
            self.call(self.sessions.update_one(before, change)).await?;
        }
        Ok(true)
    }

    /// Returns the current account status of the user, or `None` if the user is disabled, deleted
    /// or of another generation (counter that ends older sessions) than at the login.
    async fn account_status_of_user(
        &self,
        user: &SessionUser,
        causal: Option<&mut ClientSession>,
    ) -> Result<Option<AccountStatus>> {
        let mut find = self
            .users
            .find_one(doc! { "_id": users::key(user.id) })
            .projection(account_status_fields());
        if let Some(causal) = causal {
            find = find.read_concern(ReadConcern::majority()).session(causal);
        }
        let found = self.call(find).await?;
        let now: Option<AccountStatus> = found.map(|raw| read_as(&raw, "user")).transpose()?;
        Ok(now.filter(|now| fits(now, user.generation)))
    }
}

fn fits(now: &AccountStatus, generation: u64) -> bool {
    now.enabled && !now.deleting && now.generation == to_integer(generation)
}

pub(super) fn condition(filter: &SessionFilter) -> Document {
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
