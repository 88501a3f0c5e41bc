//! Copies one store to another: users, clients, sessions, import records and imported access
//! tokens.
//!
//! The first run needs an empty target, and marks it. As long as the mark exists, each run makes
//! the target equal to the source. So a run may be interrupted at any point and repeated, and a
//! session that has ended in the source ends in the target. The mark is removed when the target
//! comes into use: when a server starts on it, or an operator changes something in it
//! ([`Stores::mark_in_use`]). After that, a run is rejected, since neither store is known to be
//! the newer one. A running server removes the mark every few seconds, in case it was started on
//! the empty target before the first run.
//!
//! Both stores are read in key order, side by side ([`merge`]). So neither has to fit in memory,
//! and equal records are not written again.

mod kinds;
mod merge;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::{DeliveryError, LegacyToken, Page, Result, SessionFilter, StoreError, Stores};
use crate::domain::{Client, Clock, Session, User, random_bytes};
use merge::{SyncPass, sync_kind};

/// Key of the import record that marks the target store of a copy as not in use yet.
const TARGET_MARK_KEY: &str = "copy/target";
/// Key prefix of a temporary import record, which shows whether the source and the target of a copy
/// are the same store.
const PROBE_KEY_PREFIX: &str = "copy/probe/";
/// Maximum number of conflicting user names that [`CopyError::InUse`] contains.
const MAX_NAMED_CONFLICTS: usize = 10;

/// Minimum remaining lifetime of the records that the final check of a copy compares. A record that
/// expires sooner may be gone from one of the two stores, since each store uses its own clock.
const LEEWAY: Duration = Duration::from_secs(60);

/// Error of a copy of one store to another.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Source and target of the copy are the same store.
    #[error("source and target are the same store")]
    Same,
    /// The target store is neither empty nor left by an unfinished copy. Contains a description of
    /// each user name that different users have in the two stores, at most ten.
    #[error(
        "the target is in use: it contains users, clients or sessions that no unfinished copy wrote, or \
         a server was started on it, or it was changed since the copy; nothing was written{}",
        list_conflicts(.0)
    )]
    InUse(Vec<String>),
    /// The target store came into use during the copy.
    #[error(
        "the target has come into use during the copy: a server runs on it, or it was changed; the copy \
         is complete, but changes that were made in the target meanwhile may be lost"
    )]
    BecameInUse,
    /// The source store has changed during the copy. Contains the number of records that differ.
    #[error(
        "{0} records still differ, because the source has changed during the copy: stop its servers and \
         run the copy again"
    )]
    Differs(u64),
    /// The source store or the target store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list_conflicts(conflicts: &[String]) -> String {
    if conflicts.is_empty() { String::new() } else { format!("; {}", conflicts.join("; ")) }
}

/// Result of a copy of one store to another, or of a dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopyReport {
    /// Whether this was a dry run, which writes nothing.
    pub dry_run: bool,
    /// Numbers of users that the copy read, wrote and removed.
    pub users: CopyCounts,
    /// Numbers of clients that the copy read, wrote and removed.
    pub clients: CopyCounts,
    /// Numbers of sessions with a live token that the copy read, wrote and removed.
    pub sessions: CopyCounts,
    /// Numbers of live imported access tokens that the copy read, wrote and removed.
    pub aliases: CopyCounts,
    /// Numbers of import records (keys of imported records) that the copy read, wrote and removed.
    pub imported: CopyCounts,
    /// Whether the copy was stopped before the end. Running it again copies the rest.
    #[serde(skip)]
    pub stopped: bool,
}

/// Numbers of the records of one kind that a copy read, wrote and removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopyCounts {
    /// Number of records in the source store, without expired ones. After the copy, the target
    /// contains these records too.
    pub read: u64,
    /// Number of records written to the target store, which lacked them or had them with another
    /// content.
    pub written: u64,
    /// Number of records deleted from the target store, since the source does not have them.
    pub removed: u64,
}

/// Makes the store `target` equal to the store `source`. `target` is `None` if the target store
/// does not exist yet. A dry run writes nothing. Calls `progress` with the name of a kind of
/// records and the number of these records read so far. Once `stop` is set, the copy finishes the
/// writes in progress and ends.
///
/// # Errors
/// [`CopyError`] if the copy is rejected or incomplete. Records that were written stay in the
/// target, and the next run continues.
pub async fn copy(
    source: &Stores,
    target: Option<&Stores>,
    dry_run: bool,
    clock: &dyn Clock,
    progress: &dyn Fn(&'static str, u64),
    stop: &AtomicBool,
) -> Result<CopyReport, CopyError> {
    if let Some(target) = target {
        if !dry_run && is_same_store(source, target).await? {
            return Err(CopyError::Same);
        }
        if !target.imports.is_imported(TARGET_MARK_KEY).await? {
            check_empty(source, target).await?;
            if !dry_run {
                target.imports.record_import(TARGET_MARK_KEY).await?;
            }
        }
    }
    if let Some(publisher) = source.publisher.as_ref().filter(|_| !dry_run) {
        // Pending invalidations are stored in the source only, so they are delivered first.
        let delivered = publisher.deliver_pending().await.map_err(|error| match error {
            DeliveryError::Store(error) => error,
            error => StoreError::unavailable(error),
        })?;
        if !delivered {
            return Err(StoreError::unavailable("Redis is unavailable").into());
        }
    }
    let (now, writes) = (clock.now(), !dry_run);
    let pass =
        SyncPass { source, target, deletes: true, upserts: true, writes, now, progress, stop };
    let mut report = CopyReport { dry_run, ..CopyReport::default() };
    // Deletes first, so that a user name is free before another user gets it.
    let removed = sync_kind::<User>(&SyncPass { upserts: false, ..pass }).await?.removed;
    let users = sync_kind::<User>(&SyncPass { deletes: false, ..pass }).await?;
    report.users = CopyCounts { removed, ..users };
    report.clients = sync_kind::<Client>(&pass).await?;
    report.imported = sync_kind::<String>(&pass).await?;
    report.aliases = sync_kind::<LegacyToken>(&pass).await?;
    // Sessions come last, since deleting a user or client deletes its sessions.
    report.sessions = sync_kind::<Session>(&pass).await?;
    if !dry_run && !stop.load(Ordering::Relaxed) {
        check(&SyncPass { writes: false, now: clock.now().plus(LEEWAY), ..pass }).await?;
        if let Some(target) = target
            && !target.imports.is_imported(TARGET_MARK_KEY).await?
        {
            return Err(CopyError::BecameInUse);
        }
    }
    report.stopped = stop.load(Ordering::Relaxed);
    Ok(report)
}

/// Compares source and target again after a copy. Returns [`CopyError::Differs`] if they differ.
async fn check(pass: &SyncPass<'_>) -> Result<(), CopyError> {
    let mut differ = 0;
    for counts in [
        sync_kind::<User>(pass).await?,
        sync_kind::<Client>(pass).await?,
        sync_kind::<String>(pass).await?,
        sync_kind::<LegacyToken>(pass).await?,
        sync_kind::<Session>(pass).await?,
    ] {
        differ += counts.written + counts.removed;
    }
    // A stopped comparison is incomplete, and the report says so.
    if differ == 0 || pass.stop.load(Ordering::Relaxed) {
        Ok(())
    } else {
        Err(CopyError::Differs(differ))
    }
}

/// Returns whether both arguments are the same store: a record that is written to `target` appears
/// in `source`. Server names and paths cannot show this.
async fn is_same_store(source: &Stores, target: &Stores) -> Result<bool> {
    let random = random_bytes().map_err(StoreError::unavailable)?;
    let probe = format!("{PROBE_KEY_PREFIX}{:016x}", u64::from_le_bytes(random));
    target.imports.record_import(&probe).await?;
    let seen = source.imports.is_imported(&probe).await;
    target.imports.delete_import_record(&probe).await?;
    seen
}

async fn check_empty(source: &Stores, target: &Stores) -> Result<(), CopyError> {
    let users = target.listing.list_users("", &Page::first(1000)).await?;
    let none = users.is_empty()
        && target.listing.list_clients("", &Page::first(1)).await?.is_empty()
        && target
            .listing
            .list_sessions(&SessionFilter::default(), &Page::first(1))
            .await?
            .is_empty();
    if none {
        return Ok(());
    }
    let mut conflicts = Vec::new();
    for user in users {
        if let Some(same) = source.users.find_by_name(&user.username).await?
            && same.id != user.id
            && conflicts.len() < MAX_NAMED_CONFLICTS
        {
            let (name, source_id, target_id) = (user.username, same.id, user.id);
            conflicts.push(format!(
                "the user {name:?} is {source_id} in the source and {target_id} in the target"
            ));
        }
    }
    Err(CopyError::InUse(conflicts))
}

impl Stores {
    /// Removes the mark of a copy (import record that a first copy to a store sets), so that no
    /// further copy is made to this store. Servers and operator commands call this before they work
    /// with a store.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn mark_in_use(&self) -> Result<()> {
        if self.imports.is_imported(TARGET_MARK_KEY).await? {
            self.imports.delete_import_record(TARGET_MARK_KEY).await?;
        }
        Ok(())
    }
}
