//! Store traits for [`CachingStore`]. A write that ends a session or a token, or changes a user or
//! client, invalidates Redis before it returns.

use async_trait::async_trait;

use super::CachingStore;
use super::cache::client_key;
use crate::domain::{Client, ClientId, PasswordHash, Session, SessionId, Timestamp, User, UserId};
use crate::store::{
    CallerLookup, ClientStore, DeliveryError, Result, SessionFilter, SessionStore, StoreError,
    StoreTransfer, Update, UserStore, Want, Written,
};

impl CachingStore {
    /// Invalidates a client and all sessions that ended with it.
    async fn invalidate_client(&self, id: &ClientId) -> Result<(), DeliveryError> {
        let deleted = self.delete_cache_entry(&client_key(id)).await;
        self.deliver_outbox().await.and(deleted)
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
impl SessionStore for CachingStore {
    async fn insert(&self, session: &Session) -> Result<bool> {
        self.inner.sessions.insert(session).await
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>> {
        self.inner.sessions.find(id).await
    }

    async fn look_up(&self, id: SessionId, want: Want<'_>) -> Result<CallerLookup> {
        match want.access {
            Some(access) if self.caches => self.look_up_cached(id, access, want.caller).await,
            _ => self.inner.sessions.look_up(id, want).await,
        }
    }

    async fn replace(&self, session: &Session, revokes_access: bool) -> Result<Written<bool>> {
        let replaced = self.inner.sessions.replace(session, revokes_access).await?;
        let is_needed = replaced.value && revokes_access;
        Ok(invalidate(replaced, is_needed, self.invalidate_session(session.id)).await)
    }

    /// Confirms the version and delivers its pending invalidation.
    async fn confirm_durable(&self, id: SessionId, version: u64) -> Result<Written<bool>> {
        let confirmed = self.inner.sessions.confirm_durable(id, version).await?;
        let is_needed = confirmed.value;
        Ok(invalidate(confirmed, is_needed, self.invalidate_session(id)).await)
    }

    /// Invalidates Redis even if there is no such session: the call that ended it may have failed
    /// to reach Redis.
    async fn delete(&self, id: SessionId) -> Result<Written<bool>> {
        let deleted = self.inner.sessions.delete(id).await?;
        Ok(invalidate(deleted, true, self.invalidate_session(id)).await)
    }

    async fn delete_all(&self, filter: &SessionFilter) -> Result<Written<u64>> {
        let deleted = self.inner.sessions.delete_all(filter).await?;
        Ok(invalidate(deleted, true, self.deliver_outbox()).await)
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

    async fn find_by_name(&self, username: &str) -> Result<Option<User>> {
        self.inner.users.find_by_name(username).await
    }

    async fn update(&self, user: &User) -> Result<Written<Update>> {
        let update = self.inner.users.update(user).await?;
        let is_needed = update.value == Update::Done;
        Ok(invalidate(update, is_needed, self.deliver_outbox()).await)
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
        Ok(invalidate(deleted, is_needed, self.deliver_outbox()).await)
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
        let update = self.inner.clients.update(client).await?;
        let is_needed = update.value == Update::Done;
        Ok(invalidate(update, is_needed, self.invalidate_client(&client.id)).await)
    }

    async fn delete(&self, id: &ClientId, version: Option<u64>) -> Result<Written<bool>> {
        let deleted = self.inner.clients.delete(id, version).await?;
        let is_needed = deleted.value;
        Ok(invalidate(deleted, is_needed, self.invalidate_client(id)).await)
    }
}

#[async_trait]
impl StoreTransfer for CachingStore {
    async fn insert_users(&self, users: &[User]) -> Result<Vec<bool>> {
        self.inner.transfer.insert_users(users).await
    }

    async fn put_user_unchecked(&self, user: &User) -> Result<bool> {
        self.inner.transfer.put_user_unchecked(user).await
    }

    async fn put_client_unchecked(&self, client: &Client) -> Result<()> {
        self.inner.transfer.put_client_unchecked(client).await?;
        self.invalidate_client(&client.id).await.map_err(invalidation_failed)
    }

    async fn put_session_unchecked(&self, session: &Session) -> Result<()> {
        self.inner.transfer.put_session_unchecked(session).await?;
        self.invalidate_session(session.id).await.map_err(invalidation_failed)
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
