//! Store traits for [`CachingStore`]. A write that ends a session or a token, or changes a user or
//! client, invalidates Redis before it returns.

use async_trait::async_trait;

use super::CachingStore;
use super::cache::client_key;
use crate::domain::{
    Client, ClientId, PasswordHash, Session, SessionId, StoredSecret, Timestamp, User, UserId,
};
use crate::store::{
    CallerLookup, ClientStore, DeliveryError, Result, SessionFilter, SessionStore, StoreError,
    StoreTransfer, Update, UserStore, Want, Written,
};

impl CachingStore {
    /// Returns whether the Redis cache is on and not stale because of a failed removal of entries.
    fn reads_cache(&self) -> bool {
        if self.caches && self.undelivered.is_any() {
            self.count_bypass();
            return false;
        }
        self.caches
    }

    /// Runs the Redis invalidation (removal of stale copies) after a write, if needed, and adds its
    /// result to the result of the write.
    async fn invalidate<T>(
        &self,
        written: Written<T>,
        is_needed: bool,
        invalidation: impl Future<Output = Result<(), DeliveryError>> + Send,
    ) -> Written<T> {
        if !is_needed {
            return written;
        }
        Written { invalidation: self.invalidated(invalidation.await), ..written }
    }

    /// Converts the result of a Redis invalidation (removal of stale copies). Records a failure, so
    /// that this process does not read the cache until a later delivery succeeds.
    fn invalidated(&self, result: Result<(), DeliveryError>) -> Result<()> {
        result.map_err(|error| {
            // If Redis refused to delete a cache entry, that failure is recorded already.
            if !matches!(error, DeliveryError::Refused(_)) {
                self.undelivered.record_failure();
            }
            StoreError::Invalidation(error.into())
        })
    }

    /// Removes a client from the cache if its change failed but may have taken place. The
    /// invalidation that the store has recorded is delivered only some time later.
    async fn attempted<T: Send>(&self, id: &ClientId, change: Result<T>) -> Result<T> {
        if change.as_ref().is_err_and(StoreError::may_be_done)
            && self.delete_cache_entry(&client_key(id)).await.is_err()
        {
            // The failure is counted, and the call fails anyway.
            tracing::debug!(client = %id, "a client was not removed from the cache");
        }
        change
    }

    /// Removes a client from the Redis cache, and delivers all pending Redis invalidations, such as
    /// those of the sessions that ended with the client.
    async fn invalidate_client(&self, id: &ClientId) -> Result<(), DeliveryError> {
        let deleted = self.delete_cache_entry(&client_key(id)).await;
        self.deliver_outbox().await.and(deleted)
    }
}

#[async_trait]
impl SessionStore for CachingStore {
    async fn insert(&self, session: &Session) -> Result<bool> {
        self.inner.sessions.insert(session).await
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>> {
        self.inner.sessions.find(id).await
    }

    async fn look_up(&self, id: SessionId, want: Want<'_>) -> Result<CallerLookup> {
        match want.access {
            Some(access) if self.reads_cache() => {
                self.look_up_cached(id, access, want.caller).await
            }
            _ => self.inner.sessions.look_up(id, want).await,
        }
    }

    async fn replace(&self, session: &Session, revokes_access: bool) -> Result<Written<bool>> {
        let replaced = self.inner.sessions.replace(session, revokes_access).await?;
        let is_needed = replaced.value && revokes_access;
        Ok(self.invalidate(replaced, is_needed, self.invalidate_session(session.id)).await)
    }

    /// Returns whether the session's version is current and durable, and if so removes stale copies
    /// of the session from Redis again.
    async fn confirm_durable(&self, id: SessionId, version: u64) -> Result<Written<bool>> {
        let confirmed = self.inner.sessions.confirm_durable(id, version).await?;
        let is_needed = confirmed.value;
        Ok(self.invalidate(confirmed, is_needed, self.invalidate_session(id)).await)
    }

    /// Ends the session and removes its copies from Redis, even if the store has no such session:
    /// the call that ended the session may have failed to reach Redis.
    async fn delete(&self, id: SessionId) -> Result<Written<bool>> {
        let deleted = self.inner.sessions.delete(id).await?;
        Ok(self.invalidate(deleted, true, self.invalidate_session(id)).await)
    }

    async fn delete_all(&self, filter: &SessionFilter) -> Result<Written<u64>> {
        let deleted = self.inner.sessions.delete_all(filter).await?;
        Ok(self.invalidate(deleted, true, self.deliver_outbox()).await)
    }

    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.inner.sessions.purge(now, limit).await
    }
}

#[async_trait]
impl UserStore for CachingStore {
    async fn insert(&self, user: &User) -> Result<bool> {
        self.inner.users.insert(user).await
    }

    async fn find(&self, id: UserId) -> Result<Option<User>> {
        self.inner.users.find(id).await
    }

    async fn find_all_by_name(&self, username: &str) -> Result<Vec<User>> {
        self.inner.users.find_all_by_name(username).await
    }

    async fn update(&self, user: &User) -> Result<Written<Update>> {
        let update = self.inner.users.update(user).await?;
        let is_needed = update.value == Update::Done;
        Ok(self.invalidate(update, is_needed, self.deliver_outbox()).await)
    }

    async fn upgrade_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool> {
        self.inner.users.upgrade_password(id, old, new).await
    }

    async fn delete(&self, id: UserId, version: Option<u64>) -> Result<Written<bool>> {
        let deleted = self.inner.users.delete(id, version).await?;
        let is_needed = deleted.value;
        Ok(self.invalidate(deleted, is_needed, self.deliver_outbox()).await)
    }
}

#[async_trait]
impl ClientStore for CachingStore {
    async fn insert(&self, client: &Client) -> Result<bool> {
        self.inner.clients.insert(client).await
    }

    async fn find(&self, id: &ClientId) -> Result<Option<Client>> {
        self.inner.clients.find(id).await
    }

    async fn update(&self, client: &Client) -> Result<Written<Update>> {
        let update = self.inner.clients.update(client).await;
        let update = self.attempted(&client.id, update).await?;
        let is_needed = update.value == Update::Done;
        Ok(self.invalidate(update, is_needed, self.invalidate_client(&client.id)).await)
    }

    async fn upgrade_secret(
        &self,
        id: &ClientId,
        old: &StoredSecret,
        new: &PasswordHash,
    ) -> Result<bool> {
        self.inner.clients.upgrade_secret(id, old, new).await
    }

    async fn delete(&self, id: &ClientId, version: Option<u64>) -> Result<Written<bool>> {
        let deleted = self.inner.clients.delete(id, version).await;
        let deleted = self.attempted(id, deleted).await?;
        let is_needed = deleted.value;
        Ok(self.invalidate(deleted, is_needed, self.invalidate_client(id)).await)
    }
}

#[async_trait]
impl StoreTransfer for CachingStore {
    async fn find_clients(&self, ids: &[ClientId]) -> Result<Vec<Client>> {
        self.inner.transfer.find_clients(ids).await
    }

    async fn insert_users(&self, users: &[User]) -> Result<Vec<bool>> {
        self.inner.transfer.insert_users(users).await
    }

    async fn put_user_unchecked(&self, user: &User) -> Result<bool> {
        self.inner.transfer.put_user_unchecked(user).await
    }

    async fn put_client_unchecked(&self, client: &Client) -> Result<()> {
        self.inner.transfer.put_client_unchecked(client).await?;
        self.invalidated(self.invalidate_client(&client.id).await)
    }

    async fn put_session_unchecked(&self, session: &Session) -> Result<()> {
        self.inner.transfer.put_session_unchecked(session).await?;
        self.invalidated(self.invalidate_session(session.id).await)
    }
}
