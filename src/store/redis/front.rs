//! Store traits for [`RedisFront`]. A write that ends a session or a token, or changes a user or
//! client, invalidates Redis before it returns.

use async_trait::async_trait;

use super::RedisFront;
use super::cache::client_key;
use crate::domain::{
    Client, ClientId, Digest, PasswordHash, Session, SessionId, Timestamp, User, UserId,
};
use crate::store::{
    Alias, ClientStore, DeliveryError, Health, ImportStore, Page, Result, Seen, SessionFilter,
    SessionStore, StoreError, Update, UserStore, Written,
};

impl RedisFront {
    /// Invalidates a client and all sessions that ended with it.
    async fn tell_of_client(&self, id: &ClientId) -> Result<(), DeliveryError> {
        let forgotten = self.forget(&client_key(id)).await;
        self.tell_all().await.and(forgotten)
    }
}

/// Runs the invalidation after a write, if the write needs one.
async fn invalidate<T>(
    written: Written<T>,
    is_needed: bool,
    invalidation: impl Future<Output = Result<(), DeliveryError>> + Send,
) -> Written<T> {
    if !is_needed {
        return written;
    }
    Written { invalidation: invalidation.await.map_err(invalidation_failed), ..written }
}

fn invalidation_failed(error: DeliveryError) -> StoreError {
    StoreError::Invalidation(error.into())
}

#[async_trait]
impl SessionStore for RedisFront {
    async fn insert(&self, session: &Session) -> Result<bool> {
        self.behind.sessions.insert(session).await
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>> {
        self.behind.sessions.find(id).await
    }

    async fn find_access(&self, id: SessionId, access: &Digest) -> Result<Option<Session>> {
        if self.caches {
            return self.find_cached(id, access).await;
        }
        self.behind.sessions.find_access(id, access).await
    }

    async fn find_for(
        &self,
        id: SessionId,
        access: Option<&Digest>,
        caller: &Client,
    ) -> Result<Seen> {
        match access {
            Some(access) if self.caches => self.find_cached_for(id, access, caller).await,
            _ => self.behind.sessions.find_for(id, access, caller).await,
        }
    }

    async fn replace(&self, session: &Session) -> Result<bool> {
        self.behind.sessions.replace(session).await
    }

    async fn replace_losing(&self, session: &Session) -> Result<Written<bool>> {
        let replaced = self.behind.sessions.replace_losing(session).await?;
        let is_needed = replaced.value;
        Ok(invalidate(replaced, is_needed, self.tell_of_session(session.id)).await)
    }

    /// Confirms the version and delivers its pending invalidation.
    async fn settle(&self, id: SessionId, version: u64) -> Result<Written<bool>> {
        let lasts = self.behind.sessions.settle(id, version).await?;
        let is_needed = lasts.value;
        Ok(invalidate(lasts, is_needed, self.tell_of_session(id)).await)
    }

    /// Invalidates Redis even if there is no such session: the call that ended it may have failed
    /// to reach Redis.
    async fn end(&self, id: SessionId) -> Result<Written<bool>> {
        let ended = self.behind.sessions.end(id).await?;
        Ok(invalidate(ended, true, self.tell_of_session(id)).await)
    }

    async fn end_all(&self, filter: &SessionFilter) -> Result<Written<u64>> {
        let ended = self.behind.sessions.end_all(filter).await?;
        Ok(invalidate(ended, true, self.tell_all()).await)
    }

    async fn list(&self, filter: &SessionFilter, page: &Page) -> Result<Vec<Session>> {
        self.behind.sessions.list(filter, page).await
    }

    async fn list_sound(&self, page: &Page) -> Result<Vec<Session>> {
        self.behind.sessions.list_sound(page).await
    }

    async fn count(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.behind.sessions.count(now, limit).await
    }

    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.behind.sessions.purge(now, limit).await
    }

    async fn put(&self, session: &Session) -> Result<()> {
        self.behind.sessions.put(session).await?;
        self.tell_of_session(session.id).await.map_err(invalidation_failed)
    }
}

#[async_trait]
impl UserStore for RedisFront {
    async fn insert(&self, user: &User) -> Result<bool> {
        self.behind.users.insert(user).await
    }

    async fn insert_many(&self, users: &[User]) -> Result<Vec<bool>> {
        self.behind.users.insert_many(users).await
    }

    async fn find(&self, id: UserId) -> Result<Option<User>> {
        self.behind.users.find(id).await
    }

    async fn find_by_name(&self, username: &str) -> Result<Option<User>> {
        self.behind.users.find_by_name(username).await
    }

    async fn search(&self, prefix: &str, page: &Page) -> Result<Vec<User>> {
        self.behind.users.search(prefix, page).await
    }

    async fn count(&self, limit: u32) -> Result<u64> {
        self.behind.users.count(limit).await
    }

    async fn update(&self, user: &User) -> Result<Written<Update>> {
        let update = self.behind.users.update(user).await?;
        let is_needed = update.value == Update::Done;
        Ok(invalidate(update, is_needed, self.tell_all()).await)
    }

    async fn upgrade_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool> {
        self.behind.users.upgrade_password(id, old, new).await
    }

    async fn passwords_unlike(
        &self,
        beginnings: &[String],
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, PasswordHash)>> {
        self.behind.users.passwords_unlike(beginnings, after, limit).await
    }

    async fn delete(&self, id: UserId) -> Result<Written<bool>> {
        let deleted = self.behind.users.delete(id).await?;
        let is_needed = deleted.value;
        Ok(invalidate(deleted, is_needed, self.tell_all()).await)
    }

    async fn delete_version(&self, id: UserId, version: u64) -> Result<Written<bool>> {
        let deleted = self.behind.users.delete_version(id, version).await?;
        let is_needed = deleted.value;
        Ok(invalidate(deleted, is_needed, self.tell_all()).await)
    }

    async fn put(&self, user: &User) -> Result<bool> {
        self.behind.users.put(user).await
    }
}

#[async_trait]
impl ClientStore for RedisFront {
    async fn insert(&self, client: &Client) -> Result<bool> {
        self.behind.clients.insert(client).await
    }

    async fn find(&self, id: &ClientId) -> Result<Option<Client>> {
        self.behind.clients.find(id).await
    }

    async fn search(&self, prefix: &str, page: &Page) -> Result<Vec<Client>> {
        self.behind.clients.search(prefix, page).await
    }

    async fn count(&self, limit: u32) -> Result<u64> {
        self.behind.clients.count(limit).await
    }

    async fn update(&self, client: &Client) -> Result<Written<Update>> {
        let update = self.behind.clients.update(client).await?;
        let is_needed = update.value == Update::Done;
        Ok(invalidate(update, is_needed, self.tell_of_client(&client.id)).await)
    }

    async fn delete(&self, id: &ClientId) -> Result<Written<bool>> {
        let deleted = self.behind.clients.delete(id).await?;
        let is_needed = deleted.value;
        Ok(invalidate(deleted, is_needed, self.tell_of_client(id)).await)
    }

    async fn delete_version(&self, id: &ClientId, version: u64) -> Result<Written<bool>> {
        let deleted = self.behind.clients.delete_version(id, version).await?;
        let is_needed = deleted.value;
        Ok(invalidate(deleted, is_needed, self.tell_of_client(id)).await)
    }

    async fn put(&self, client: &Client) -> Result<()> {
        self.behind.clients.put(client).await?;
        self.tell_of_client(&client.id).await.map_err(invalidation_failed)
    }
}

#[async_trait]
impl Health for RedisFront {
    fn name(&self) -> &str {
        self.behind.health.name()
    }

    /// Checks the wrapped store only. Redis is optional: a server that cannot reach it is ready.
    async fn check(&self) -> Result<()> {
        self.behind.health.check().await
    }

    async fn check_front(&self) -> Option<Result<()>> {
        Some(self.links.ping().await.map_err(Into::into))
    }
}

#[async_trait]
impl ImportStore for RedisFront {
    async fn is_imported(&self, key: &str) -> Result<bool> {
        self.behind.imports.is_imported(key).await
    }

    async fn note_imported(&self, key: &str) -> Result<()> {
        self.behind.imports.note_imported(key).await
    }

    async fn forget_imported(&self, key: &str) -> Result<()> {
        self.behind.imports.forget_imported(key).await
    }

    async fn list_imported(&self, page: &Page) -> Result<Vec<String>> {
        self.behind.imports.list_imported(page).await
    }

    async fn add_alias(
        &self,
        access: &Digest,
        session: SessionId,
        expires_at: Timestamp,
    ) -> Result<()> {
        self.behind.imports.add_alias(access, session, expires_at).await
    }

    async fn find_alias(&self, access: &Digest) -> Result<Option<SessionId>> {
        self.behind.imports.find_alias(access).await
    }

    async fn list_aliases(&self, after: Option<&Digest>, limit: u32) -> Result<Vec<Alias>> {
        self.behind.imports.list_aliases(after, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failed_invalidation_keeps_result_of_write() {
        for error in [
            DeliveryError::Store(StoreError::Busy),
            DeliveryError::Unavailable("it does not answer".into()),
            DeliveryError::Refused("its key has another type".into()),
        ] {
            let written = invalidate(Written::from(7), true, async { Err(error) }).await;
            assert_eq!(written.value, 7);
            assert!(matches!(written.invalidation, Err(StoreError::Invalidation(_))));
        }
        let written = invalidate(Written::from(7), false, async { unreachable!() }).await;
        assert_eq!(written.into_result().unwrap(), 7);
    }
}
