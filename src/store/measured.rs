//! Decorator that counts and times store operations and records them as steps in the trace of a
//! request. It is in use only if metrics are enabled. It does not wrap [`super::StoreTransfer`],
//! and forwards the methods that are marked `UNMEASURED`.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use super::{
    CallerLookup, ClientStore, Health, ImportStore, LastWrite, LegacyToken, Page, Result,
    SessionFilter, SessionStore, StoreListing, Stores, Update, UserStore, Want, Written,
};
use crate::domain::{
    Client, ClientId, Digest, PasswordHash, Session, SessionId, StoredSecret, Timestamp, User,
    UserId,
};
use crate::observe::metrics::{self, Operation};
use crate::observe::request::record_step;

const UNMEASURED: Option<Operation> = None;

/// Wraps the stores in a decorator that counts and times their operations in `metrics`.
pub(super) fn measured(inner: Stores, metrics: &Arc<metrics::StoreMetrics>) -> Stores {
    let store = MeasuredStore { inner: inner.clone(), metrics: Arc::clone(metrics) };
    let store = Arc::new(store);
    Stores {
        users: Arc::<MeasuredStore>::clone(&store),
        clients: Arc::<MeasuredStore>::clone(&store),
        sessions: Arc::<MeasuredStore>::clone(&store),
        imports: Arc::<MeasuredStore>::clone(&store),
        listing: Arc::<MeasuredStore>::clone(&store),
        health: store,
        ..inner
    }
}

struct MeasuredStore {
    inner: Stores,
    metrics: Arc<metrics::StoreMetrics>,
}

impl MeasuredStore {
    async fn time<T>(
        &self,
        operation: impl Into<Option<Operation>>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let Some(operation) = operation.into() else { return call.await };
        let started = Instant::now();
        let result = call.await;
        let took = started.elapsed();
        self.metrics.done(operation, took, result.is_err());
        record_step(operation.full_name(), started, took);
        result
    }
}

/// Implements a store trait for `MeasuredStore`, which counts and times the calls. Each line of the
/// input is a method, followed by the operation as which the metrics count its calls.
macro_rules! measure {
    ($trait:ident, $inner:ident;
     $($method:ident($($argument:ident: $type:ty),*) -> $output:ty = $operation:expr;)*) => {
        #[async_trait]
        impl $trait for MeasuredStore {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$output> {
                let operation = $operation;
                self.time(operation, self.inner.$inner.$method($($argument),*)).await
            })*
        }
    };
}

measure! { UserStore, users;
    insert(user: &User) -> bool = Operation::UsersInsert;
    find(id: UserId) -> Option<User> = Operation::UsersFind;
    find_all_by_name(username: &str) -> Vec<User> = Operation::UsersFindByName;
    update(user: &User) -> Written<Update> = Operation::UsersUpdate;
    upgrade_password(id: UserId, old: &PasswordHash, new: &PasswordHash) -> bool =
        Operation::UsersUpgradePassword;
    delete(id: UserId, version: Option<u64>) -> Written<bool> = match version {
        None => Operation::UsersDelete,
        Some(_) => Operation::UsersDeleteVersion,
    };
}

measure! { ClientStore, clients;
    insert(client: &Client) -> bool = Operation::ClientsInsert;
    find(id: &ClientId) -> Option<Client> = Operation::ClientsFind;
    update(client: &Client) -> Written<Update> = Operation::ClientsUpdate;
    upgrade_secret(id: &ClientId, old: &StoredSecret, new: &PasswordHash) -> bool = UNMEASURED;
    delete(id: &ClientId, version: Option<u64>) -> Written<bool> = match version {
        None => Operation::ClientsDelete,
        Some(_) => Operation::ClientsDeleteVersion,
    };
}

measure! { SessionStore, sessions;
    insert(session: &Session) -> bool = Operation::SessionsInsert;
    find(id: SessionId) -> Option<Session> = Operation::SessionsFind;
    look_up(id: SessionId, want: Want<'_>) -> CallerLookup = match want {
        Want { caller: Some(_), .. } => Operation::SessionsFindFor,
        Want { access: Some(_), .. } => Operation::SessionsFindAccess,
        Want { .. } => Operation::SessionsFind,
    };
    replace(session: &Session, revokes_access: bool) -> Written<bool> = if revokes_access {
        Operation::SessionsReplaceLosing
    } else {
        Operation::SessionsReplace
    };
    confirm_durable(id: SessionId, version: u64) -> Written<bool> = Operation::SessionsSettle;
    delete(id: SessionId) -> Written<bool> = Operation::SessionsEnd;
    delete_all(filter: &SessionFilter) -> Written<u64> = Operation::SessionsEndAll;
    purge(now: Timestamp, limit: u32) -> u64 = Operation::SessionsPurge;
}

measure! { ImportStore, imports;
    is_imported(key: &str) -> bool = Operation::ImportsIsImported;
    filter_imported(keys: &[String]) -> HashSet<String> = UNMEASURED;
    record_imports(keys: &[String]) -> () = UNMEASURED;
    record_import(key: &str) -> () = Operation::ImportsNoteImported;
    delete_import_record(key: &str) -> () = UNMEASURED;
    list_import_records(page: &Page) -> Vec<String> = UNMEASURED;
    add_legacy_token(access: &Digest, session: SessionId, expires_at: Timestamp) -> () =
        Operation::ImportsAddAlias;
    find_legacy_token(access: &Digest) -> Option<SessionId> = Operation::ImportsFindAlias;
    list_legacy_tokens(after: Option<&Digest>, limit: u32) -> Vec<LegacyToken> = UNMEASURED;
}

measure! { StoreListing, listing;
    list_users(prefix: &str, page: &Page) -> Vec<User> = if prefix.is_empty() {
        Operation::UsersList
    } else {
        Operation::UsersSearch
    };
    search_users(part: &str, page: &Page) -> Vec<User> = if part.is_empty() {
        Operation::UsersList
    } else {
        Operation::UsersSearch
    };
    list_spellings(limit: u32) -> Vec<User> = UNMEASURED;
    count_users(part: &str, limit: u32) -> u64 = Operation::UsersCount;
    sample_password_hashes(excluded_prefixes: &[String], after: Option<UserId>, limit: u32)
        -> Vec<(UserId, PasswordHash)> = UNMEASURED;
    list_clients(part: &str, page: &Page) -> Vec<Client> = if part.is_empty() {
        Operation::ClientsList
    } else {
        Operation::ClientsSearch
    };
    count_clients(part: &str, limit: u32) -> u64 = Operation::ClientsCount;
    list_sessions(filter: &SessionFilter, page: &Page) -> Vec<Session> = Operation::SessionsList;
    list_sessions_skipping_corrupt(page: &Page) -> Vec<Session> = Operation::SessionsListSound;
    count_sessions(now: Timestamp, limit: u32) -> u64 = Operation::SessionsCount;
}

#[async_trait]
impl Health for MeasuredStore {
    fn name(&self) -> &str {
        self.inner.health.name()
    }

    async fn probe(&self) -> Result<()> {
        self.time(Operation::HealthCheck, self.inner.health.probe()).await
    }

    fn last_write(&self) -> &LastWrite {
        self.inner.health.last_write()
    }

    async fn close(&self) {
        self.inner.health.close().await;
    }
}
