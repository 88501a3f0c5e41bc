//! Decorator that counts and times store operations and records them as steps in the trace of a
//! request. It is in use only if metrics are enabled. Methods without an [`Operation`], such
//! as those for bulk imports and store copies, are forwarded unmeasured.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use super::{
    Alias, ClientStore, Health, ImportStore, Page, Result, Seen, SessionFilter, SessionStore,
    Stores, Update, UserStore, Written,
};
use crate::domain::{
    Client, ClientId, Digest, PasswordHash, Session, SessionId, Timestamp, User, UserId,
};
use crate::observe::metrics::{self, Operation};
use crate::observe::request::note_step;

/// Wraps the stores in the decorator. Publisher and attempt counters stay as they are.
pub(super) fn measured(behind: Stores, metrics: &Arc<metrics::Store>) -> Stores {
    let store = Measured { behind: behind.clone(), metrics: Arc::clone(metrics) };
    let store = Arc::new(store);
    Stores {
        users: Arc::<Measured>::clone(&store),
        clients: Arc::<Measured>::clone(&store),
        sessions: Arc::<Measured>::clone(&store),
        imports: Arc::<Measured>::clone(&store),
        health: store,
        ..behind
    }
}

struct Measured {
    behind: Stores,
    metrics: Arc<metrics::Store>,
}

impl Measured {
    async fn time<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let started = Instant::now();
        let result = work.await;
        let took = started.elapsed();
        self.metrics.done(operation, took, result.is_err());
        note_step(operation.full_name(), started, took);
        result
    }
}

#[async_trait]
impl UserStore for Measured {
    async fn insert(&self, user: &User) -> Result<bool> {
        self.time(Operation::UsersInsert, self.behind.users.insert(user)).await
    }

    async fn insert_many(&self, users: &[User]) -> Result<Vec<bool>> {
        self.behind.users.insert_many(users).await
    }

    async fn find(&self, id: UserId) -> Result<Option<User>> {
        self.time(Operation::UsersFind, self.behind.users.find(id)).await
    }

    async fn find_by_name(&self, username: &str) -> Result<Option<User>> {
        self.time(Operation::UsersFindByName, self.behind.users.find_by_name(username)).await
    }

    async fn list(&self, page: &Page) -> Result<Vec<User>> {
        self.time(Operation::UsersList, self.behind.users.list(page)).await
    }

    async fn search(&self, prefix: &str, page: &Page) -> Result<Vec<User>> {
        self.time(Operation::UsersSearch, self.behind.users.search(prefix, page)).await
    }

    async fn count(&self, limit: u32) -> Result<u64> {
        self.time(Operation::UsersCount, self.behind.users.count(limit)).await
    }

    async fn update(&self, user: &User) -> Result<Written<Update>> {
        self.time(Operation::UsersUpdate, self.behind.users.update(user)).await
    }

    async fn upgrade_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool> {
        self.time(Operation::UsersUpgradePassword, self.behind.users.upgrade_password(id, old, new))
            .await
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
        self.time(Operation::UsersDelete, self.behind.users.delete(id)).await
    }

    async fn delete_version(&self, id: UserId, version: u64) -> Result<Written<bool>> {
        self.time(Operation::UsersDeleteVersion, self.behind.users.delete_version(id, version))
            .await
    }

    async fn put(&self, user: &User) -> Result<bool> {
        self.behind.users.put(user).await
    }
}

#[async_trait]
impl ClientStore for Measured {
    async fn insert(&self, client: &Client) -> Result<bool> {
        self.time(Operation::ClientsInsert, self.behind.clients.insert(client)).await
    }

    async fn find(&self, id: &ClientId) -> Result<Option<Client>> {
        self.time(Operation::ClientsFind, self.behind.clients.find(id)).await
    }

    async fn list(&self, page: &Page) -> Result<Vec<Client>> {
        self.time(Operation::ClientsList, self.behind.clients.list(page)).await
    }

    async fn search(&self, prefix: &str, page: &Page) -> Result<Vec<Client>> {
        self.time(Operation::ClientsSearch, self.behind.clients.search(prefix, page)).await
    }

    async fn count(&self, limit: u32) -> Result<u64> {
        self.time(Operation::ClientsCount, self.behind.clients.count(limit)).await
    }

    async fn update(&self, client: &Client) -> Result<Written<Update>> {
        self.time(Operation::ClientsUpdate, self.behind.clients.update(client)).await
    }

    async fn delete(&self, id: &ClientId) -> Result<Written<bool>> {
        self.time(Operation::ClientsDelete, self.behind.clients.delete(id)).await
    }

    async fn delete_version(&self, id: &ClientId, version: u64) -> Result<Written<bool>> {
        let work = self.behind.clients.delete_version(id, version);
        self.time(Operation::ClientsDeleteVersion, work).await
    }

    async fn put(&self, client: &Client) -> Result<()> {
        self.behind.clients.put(client).await
    }
}

#[async_trait]
impl SessionStore for Measured {
    async fn insert(&self, session: &Session) -> Result<bool> {
        self.time(Operation::SessionsInsert, self.behind.sessions.insert(session)).await
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>> {
        self.time(Operation::SessionsFind, self.behind.sessions.find(id)).await
    }

    async fn find_access(&self, id: SessionId, access: &Digest) -> Result<Option<Session>> {
        self.time(Operation::SessionsFindAccess, self.behind.sessions.find_access(id, access)).await
    }

    async fn find_for(
        &self,
        id: SessionId,
        access: Option<&Digest>,
        caller: &Client,
    ) -> Result<Seen> {
        self.time(Operation::SessionsFindFor, self.behind.sessions.find_for(id, access, caller))
            .await
    }

    async fn replace(&self, session: &Session) -> Result<bool> {
        self.time(Operation::SessionsReplace, self.behind.sessions.replace(session)).await
    }

    async fn settle(&self, id: SessionId, version: u64) -> Result<Written<bool>> {
        self.time(Operation::SessionsSettle, self.behind.sessions.settle(id, version)).await
    }

    async fn replace_losing(&self, session: &Session) -> Result<Written<bool>> {
        self.time(Operation::SessionsReplaceLosing, self.behind.sessions.replace_losing(session))
            .await
    }

    async fn end(&self, id: SessionId) -> Result<Written<bool>> {
        self.time(Operation::SessionsEnd, self.behind.sessions.end(id)).await
    }

    async fn end_all(&self, filter: &SessionFilter) -> Result<Written<u64>> {
        self.time(Operation::SessionsEndAll, self.behind.sessions.end_all(filter)).await
    }

    async fn list(&self, filter: &SessionFilter, page: &Page) -> Result<Vec<Session>> {
        self.time(Operation::SessionsList, self.behind.sessions.list(filter, page)).await
    }

    async fn list_sound(&self, page: &Page) -> Result<Vec<Session>> {
        self.time(Operation::SessionsListSound, self.behind.sessions.list_sound(page)).await
    }

    async fn count(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.time(Operation::SessionsCount, self.behind.sessions.count(now, limit)).await
    }

    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.time(Operation::SessionsPurge, self.behind.sessions.purge(now, limit)).await
    }

    async fn put(&self, session: &Session) -> Result<()> {
        self.behind.sessions.put(session).await
    }
}

#[async_trait]
impl ImportStore for Measured {
    async fn is_imported(&self, key: &str) -> Result<bool> {
        self.time(Operation::ImportsIsImported, self.behind.imports.is_imported(key)).await
    }

    async fn note_imported(&self, key: &str) -> Result<()> {
        self.time(Operation::ImportsNoteImported, self.behind.imports.note_imported(key)).await
    }

    async fn add_alias(
        &self,
        access: &Digest,
        session: SessionId,
        expires_at: Timestamp,
    ) -> Result<()> {
        self.time(
            Operation::ImportsAddAlias,
            self.behind.imports.add_alias(access, session, expires_at),
        )
        .await
    }

    async fn find_alias(&self, access: &Digest) -> Result<Option<SessionId>> {
        self.time(Operation::ImportsFindAlias, self.behind.imports.find_alias(access)).await
    }

    async fn forget_imported(&self, key: &str) -> Result<()> {
        self.behind.imports.forget_imported(key).await
    }

    async fn list_imported(&self, page: &Page) -> Result<Vec<String>> {
        self.behind.imports.list_imported(page).await
    }

    async fn list_aliases(&self, after: Option<&Digest>, limit: u32) -> Result<Vec<Alias>> {
        self.behind.imports.list_aliases(after, limit).await
    }
}

#[async_trait]
impl Health for Measured {
    fn name(&self) -> &str {
        self.behind.health.name()
    }

    async fn check(&self) -> Result<()> {
        self.time(Operation::HealthCheck, self.behind.health.check()).await
    }

    async fn check_front(&self) -> Option<Result<()>> {
        self.behind.health.check_front().await
    }
}
