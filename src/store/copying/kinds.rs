//! Kinds of records that a copy transfers.

use super::super::{LegacyToken, Page, Result, SessionFilter, Stores};
use super::{PROBE_KEY_PREFIX, TARGET_MARK_KEY};
use crate::domain::{Client, Session, Timestamp, User};

/// Maximum number of records that a copy reads at a time.
pub(super) const PAGE: u32 = 1000;

/// Stored record of one kind, which a copy reads in the order of the keys. All stores have the same
/// order.
pub(super) trait Record: Clone + PartialEq {
    /// Name of the kind of records, for reports of progress.
    const NAME: &'static str;
    /// Whether records that the source store does not have are deleted from the target store.
    const REMOVED_WITH_SOURCE: bool = true;

    fn key(&self) -> String;

    /// Returns the page of records after the record `after`, or the first page if `after` is
    /// `None`.
    async fn page(stores: &Stores, after: Option<&Self>) -> Result<Vec<Self>>;

    /// Returns whether the copy compares and writes the record. The copy skips a record that has
    /// expired at `now`, since a store may have deleted it.
    fn is_compared(&self, _now: Timestamp) -> bool {
        true
    }

    /// Returns whether two records with the same key are versions of the same record, so that one
    /// may overwrite the other.
    fn is_same_record(&self, _other: &Self) -> bool {
        true
    }

    /// Writes the record to the target store. If the target refuses the record now, the final check
    /// of the copy reports it.
    async fn put(&self, target: &Stores) -> Result<()>;

    async fn remove(&self, target: &Stores) -> Result<()>;
}

fn page_after(after: Option<&impl Record>) -> Page {
    Page { cursor: after.map(Record::key), limit: PAGE }
}

impl Record for User {
    const NAME: &'static str = "users";

    fn key(&self) -> String {
        self.username.clone()
    }

    async fn page(stores: &Stores, after: Option<&Self>) -> Result<Vec<Self>> {
        stores.listing.list_users("", &page_after(after)).await
    }

    fn is_same_record(&self, other: &Self) -> bool {
        self.id == other.id
    }

    async fn put(&self, target: &Stores) -> Result<()> {
        target.transfer.put_user_unchecked(self).await.map(drop)
    }

    async fn remove(&self, target: &Stores) -> Result<()> {
        target.users.delete(self.id, None).await?.into_result().map(drop)
    }
}

impl Record for Client {
    const NAME: &'static str = "clients";

    fn key(&self) -> String {
        self.id.to_string()
    }

    async fn page(stores: &Stores, after: Option<&Self>) -> Result<Vec<Self>> {
        stores.listing.list_clients("", &page_after(after)).await
    }

    async fn put(&self, target: &Stores) -> Result<()> {
        target.transfer.put_client_unchecked(self).await
    }

    async fn remove(&self, target: &Stores) -> Result<()> {
        target.clients.delete(&self.id, None).await?.into_result().map(drop)
    }
}

impl Record for Session {
    const NAME: &'static str = "sessions";

    /// Returns hexadecimal digits, which have the order of the ids.
    fn key(&self) -> String {
        self.id.to_string()
    }

    async fn page(stores: &Stores, after: Option<&Self>) -> Result<Vec<Self>> {
        stores.listing.list_sessions(&SessionFilter::default(), &page_after(after)).await
    }

    fn is_compared(&self, now: Timestamp) -> bool {
        self.expires_at() > now
    }

    async fn put(&self, target: &Stores) -> Result<()> {
        target.transfer.put_session_unchecked(self).await
    }

    async fn remove(&self, target: &Stores) -> Result<()> {
        target.sessions.delete(self.id).await?.into_result().map(drop)
    }
}

impl Record for LegacyToken {
    const NAME: &'static str = "imported tokens";
    /// `false`, so that a copy deletes no imported token: one that is missing in the source store
    /// has expired there, and has no effect in the target store.
    const REMOVED_WITH_SOURCE: bool = false;

    fn key(&self) -> String {
        hex::encode(self.access.as_bytes())
    }

    async fn page(stores: &Stores, after: Option<&Self>) -> Result<Vec<Self>> {
        stores.imports.list_legacy_tokens(after.map(|alias| &alias.access), PAGE).await
    }

    fn is_compared(&self, now: Timestamp) -> bool {
        self.expires_at > now
    }

    async fn put(&self, target: &Stores) -> Result<()> {
        target.imports.add_legacy_token(&self.access, self.session, self.expires_at).await
    }

    async fn remove(&self, _: &Stores) -> Result<()> {
        Ok(())
    }
}

/// Key of an import record, which has no other content.
impl Record for String {
    const NAME: &'static str = "notes";

    fn key(&self) -> String {
        self.clone()
    }

    async fn page(stores: &Stores, after: Option<&Self>) -> Result<Vec<Self>> {
        stores.imports.list_import_records(&page_after(after)).await
    }

    /// Returns `false` for the import records that the copy itself writes, which are not copied.
    fn is_compared(&self, _: Timestamp) -> bool {
        self != TARGET_MARK_KEY && !self.starts_with(PROBE_KEY_PREFIX)
    }

    async fn put(&self, target: &Stores) -> Result<()> {
        target.imports.record_import(self).await
    }

    async fn remove(&self, target: &Stores) -> Result<()> {
        target.imports.delete_import_record(self).await
    }
}
