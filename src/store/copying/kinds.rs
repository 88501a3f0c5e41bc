//! Kinds of records that a copy transfers.

use super::super::{LegacyToken, Page, Result, SessionFilter, Stores};
use super::{PROBE_KEY_PREFIX, TARGET_MARK_KEY};
use crate::domain::{Client, ClientId, Session, SessionId, Timestamp, User};

/// Maximum number of records that a copy reads at a time.
pub(super) const PAGE: u32 = 1000;

/// Kind of stored records, such as users, that a copy from one store to another reads in the order
/// of their keys. This order is the same in all stores.
pub(super) trait RecordKind {
    const NAME: &'static str;
    /// Whether records that the source store does not have are deleted from the target store.
    const REMOVED_WITH_SOURCE: bool = true;
    type Key: Ord;
    type Record: Clone + PartialEq;

    fn key(record: &Self::Record) -> Self::Key;

    /// Returns up to [`PAGE`] records of the store that follow the record `after`, or the first
    /// records if `after` is `None`.
    async fn page(stores: &Stores, after: Option<&Self::Record>) -> Result<Vec<Self::Record>>;

    /// Returns whether the copy compares and writes the record. The copy skips a record that has
    /// expired at `now`, since a store may have deleted it.
    fn is_compared(_record: &Self::Record, _now: Timestamp) -> bool {
        true
    }

    /// Returns whether two records with the same key are versions of the same record, so that one
    /// may overwrite the other.
    fn is_same_record(_a: &Self::Record, _b: &Self::Record) -> bool {
        true
    }

    /// Writes a record to the target store of a copy. Returns no error if the target refuses the
    /// record: the final check of the copy reports the difference.
    async fn put(target: &Stores, record: &Self::Record) -> Result<()>;

    async fn remove(target: &Stores, record: &Self::Record) -> Result<()>;
}

fn page_after(after: Option<String>) -> Page {
    Page { cursor: after, limit: PAGE }
}

pub(super) struct UserRecords;

impl RecordKind for UserRecords {
    const NAME: &'static str = "users";
    type Key = String;
    type Record = User;

    fn key(user: &User) -> String {
        user.username.clone()
    }

    async fn page(stores: &Stores, after: Option<&User>) -> Result<Vec<User>> {
        stores.listing.list_users("", &page_after(after.map(|user| user.username.clone()))).await
    }

    fn is_same_record(a: &User, b: &User) -> bool {
        a.id == b.id
    }

    async fn put(target: &Stores, user: &User) -> Result<()> {
        target.transfer.put_user_unchecked(user).await.map(drop)
    }

    async fn remove(target: &Stores, user: &User) -> Result<()> {
        target.users.delete(user.id, None).await?.into_result().map(drop)
    }
}

pub(super) struct ClientRecords;

impl RecordKind for ClientRecords {
    const NAME: &'static str = "clients";
    type Key = ClientId;
    type Record = Client;

    fn key(client: &Client) -> ClientId {
        client.id.clone()
    }

    async fn page(stores: &Stores, after: Option<&Client>) -> Result<Vec<Client>> {
        stores
            .listing
            .list_clients("", &page_after(after.map(|client| client.id.to_string())))
            .await
    }

    async fn put(target: &Stores, client: &Client) -> Result<()> {
        target.transfer.put_client_unchecked(client).await
    }

    async fn remove(target: &Stores, client: &Client) -> Result<()> {
        target.clients.delete(&client.id, None).await?.into_result().map(drop)
    }
}

pub(super) struct SessionRecords;

impl RecordKind for SessionRecords {
    const NAME: &'static str = "sessions";
    type Key = SessionId;
    type Record = Session;

    fn key(session: &Session) -> SessionId {
        session.id
    }

    async fn page(stores: &Stores, after: Option<&Session>) -> Result<Vec<Session>> {
        let page = page_after(after.map(|session| session.id.to_string()));
        stores.listing.list_sessions(&SessionFilter::default(), &page).await
    }

    fn is_compared(session: &Session, now: Timestamp) -> bool {
        session.expires_at() > now
    }

    async fn put(target: &Stores, session: &Session) -> Result<()> {
        target.transfer.put_session_unchecked(session).await
    }

    async fn remove(target: &Stores, session: &Session) -> Result<()> {
        target.sessions.delete(session.id).await?.into_result().map(drop)
    }
}

pub(super) struct LegacyTokenRecords;

impl RecordKind for LegacyTokenRecords {
    const NAME: &'static str = "imported tokens";
    /// `false`, so that a copy deletes no imported token: one that is missing in the source store
    /// has expired there, and has no effect in the target store.
    const REMOVED_WITH_SOURCE: bool = false;
    type Key = [u8; 32];
    type Record = LegacyToken;

    fn key(alias: &LegacyToken) -> [u8; 32] {
        *alias.access.as_bytes()
    }

    async fn page(stores: &Stores, after: Option<&LegacyToken>) -> Result<Vec<LegacyToken>> {
        stores.imports.list_legacy_tokens(after.map(|alias| &alias.access), PAGE).await
    }

    fn is_compared(alias: &LegacyToken, now: Timestamp) -> bool {
        alias.expires_at > now
    }

    async fn put(target: &Stores, alias: &LegacyToken) -> Result<()> {
        target.imports.add_legacy_token(&alias.access, alias.session, alias.expires_at).await
    }

    async fn remove(_: &Stores, _: &LegacyToken) -> Result<()> {
        Ok(())
    }
}

pub(super) struct ImportRecords;

impl RecordKind for ImportRecords {
    const NAME: &'static str = "notes";
    type Key = String;
    type Record = String;

    fn key(note: &String) -> String {
        note.clone()
    }

    async fn page(stores: &Stores, after: Option<&String>) -> Result<Vec<String>> {
        stores.imports.list_import_records(&page_after(after.cloned())).await
    }

    /// Returns whether a copy copies this import record: all but those that the copy itself writes.
    fn is_compared(note: &String, _: Timestamp) -> bool {
        note != TARGET_MARK_KEY && !note.starts_with(PROBE_KEY_PREFIX)
    }

    async fn put(target: &Stores, note: &String) -> Result<()> {
        target.imports.record_import(note).await
    }

    async fn remove(target: &Stores, note: &String) -> Result<()> {
        target.imports.delete_import_record(note).await
    }
}
