//! Everything of one store into another: users, clients, sessions as they are, and what was imported.
//!
//! A target belongs to the copy from the first run, which finds it empty and marks it, until it is taken
//! into use: until a server starts on it, or an operator changes something in it
//! ([`Stores::take_into_use`]). Up to then every run makes it equal to the source. So a run may be
//! interrupted anywhere and repeated, and what has ended in the source meanwhile ends in the target.
//! After that it is refused: nobody could tell what is newer. A server that was running on the empty target before the
//! first run says every few seconds that it is in use.
//!
//! Both stores are read in the order of their keys, side by side ([`merge`]), so that nothing has to be
//! held in memory, and what is equal is not written again.

mod kinds;
mod merge;

use std::time::Duration;

use serde::Serialize;

use super::{Page, Result, SessionFilter, StoreError, Stores};
use crate::domain::Clock;
use kinds::{Aliases, Clients, Notes, Sessions, Users};
use merge::{Pass, each};

/// Noted in a target that is not in use yet.
const MARK: &str = "copy/target";
/// Noted for a moment, to see whether source and target are one.
const PROBE: &str = "copy/probe/";
/// Of other users with a wanted name, so many are named.
const NAMED: usize = 10;

/// What is over so soon may be gone from one store and not from the other, by their own clocks.
const LEEWAY: Duration = Duration::from_secs(60);

/// A copy was refused, or is not what the source is.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Both are one store.
    #[error("source and target are the same store")]
    Same,
    /// The target is not empty, and not what an earlier run has left.
    #[error(
        "the target is in use: it holds users, clients or sessions that are of no unfinished copy, or a \
         server was started on it, or something was changed in it since; nothing was written{}",
        others(.0)
    )]
    InUse(Vec<String>),
    /// It was the copy's when this began.
    #[error(
        "the target has come into use while it was written to: a server runs on it, or something was changed in it; \
         everything is there, and what was made in the target meanwhile may be gone from it"
    )]
    TakenIntoUse,
    /// The source has changed while it was read.
    #[error(
        "{0} records differ from the source, which has changed meanwhile: stop its servers and run this again"
    )]
    Differs(u64),
    /// A store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn others(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; {}", names.join("; ")) }
}

/// What a copy did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Users.
    pub users: Counts,
    /// Clients.
    pub clients: Counts,
    /// Sessions with a live token.
    pub sessions: Counts,
    /// Imported access tokens that are alive.
    pub aliases: Counts,
    /// Notes of what was imported.
    pub imported: Counts,
}

/// What became of the records of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// In the source, and when the run is over in the target as well.
    pub read: u64,
    /// Written, since the target did not have them so.
    pub written: u64,
    /// Taken from the target, since the source no longer has them.
    pub removed: u64,
}

/// Makes `target` equal to `source`. Without a target, nothing is there yet; with `dry_run`, nothing is
/// written. `progress` is told how many records of which kind have been looked at.
///
/// # Errors
/// [`CopyError`]. What was written until then stays, and the next run goes on.
pub async fn copy(
    source: &Stores,
    target: Option<&Stores>,
    dry_run: bool,
    clock: &dyn Clock,
    progress: &dyn Fn(&'static str, u64),
) -> Result<Report, CopyError> {
    if let Some(target) = target {
        if !dry_run && are_one(source, target).await? {
            return Err(CopyError::Same);
        }
        if !target.imports.is_imported(MARK).await? {
            check_empty(source, target).await?;
            if !dry_run {
                target.imports.note_imported(MARK).await?;
            }
        }
    }
    if let Some(publisher) = source.publisher.as_ref().filter(|_| !dry_run) {
        // What Redis has not been told of yet is noted in the source alone.
        let told = publisher.catch_up().await.map_err(|error| match error {
            // It is the copy that was asked for, and it has not begun.
            StoreError::Untold(why) => StoreError::Unavailable(why),
            error => error,
        })?;
        if !told {
            return Err(StoreError::unavailable("Redis cannot be told of what has ended").into());
        }
    }
    let (now, writes) = (clock.now(), !dry_run);
    let pass = Pass { source, target, removes: true, puts: true, writes, now, progress };
    let mut report = Report { dry_run, ..Report::default() };
    // A name is free before it is given to another.
    let removed = each::<Users>(&Pass { puts: false, ..pass }).await?.removed;
    let users = each::<Users>(&Pass { removes: false, ..pass }).await?;
    report.users = Counts { removed, ..users };
    report.clients = each::<Clients>(&pass).await?;
    report.imported = each::<Notes>(&pass).await?;
    report.aliases = each::<Aliases>(&pass).await?;
    // Last, since a session goes with its user and its client.
    report.sessions = each::<Sessions>(&pass).await?;
    if !dry_run {
        check(&Pass { writes: false, now: clock.now().plus(LEEWAY), ..pass }).await?;
        if let Some(target) = target
            && !target.imports.is_imported(MARK).await?
        {
            return Err(CopyError::TakenIntoUse);
        }
    }
    Ok(report)
}

/// Reads all of it once more.
async fn check(pass: &Pass<'_>) -> Result<(), CopyError> {
    let mut differ = 0;
    for counts in [
        each::<Users>(pass).await?,
        each::<Clients>(pass).await?,
        each::<Notes>(pass).await?,
        each::<Aliases>(pass).await?,
        each::<Sessions>(pass).await?,
    ] {
        differ += counts.written + counts.removed;
    }
    if differ == 0 { Ok(()) } else { Err(CopyError::Differs(differ)) }
}

/// Whether what is noted in one is noted in the other. Names of servers and paths would not tell.
async fn are_one(source: &Stores, target: &Stores) -> Result<bool> {
    let probe = format!("{PROBE}{:016x}", rand::random::<u64>());
    target.imports.note_imported(&probe).await?;
    let seen = source.imports.is_imported(&probe).await;
    target.imports.forget_imported(&probe).await?;
    seen
}

async fn check_empty(source: &Stores, target: &Stores) -> Result<(), CopyError> {
    let users = target.users.list(&Page::first(1000)).await?;
    let none = users.is_empty()
        && target.clients.list(&Page::first(1)).await?.is_empty()
        && target.sessions.list(&SessionFilter::default(), &Page::first(1)).await?.is_empty();
    if none {
        return Ok(());
    }
    let mut others = Vec::new();
    for user in users {
        if let Some(same) = source.users.find_by_name(&user.username).await?
            && same.id != user.id
            && others.len() < NAMED
        {
            let (name, here, there) = (user.username, same.id, user.id);
            others.push(format!(
                "the user {name:?} is {here} in the source and {there} in the target"
            ));
        }
    }
    Err(CopyError::InUse(others))
}

impl Stores {
    /// To be called by whoever starts to work with a store: no copy is made into it any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_into_use(&self) -> Result<()> {
        if self.imports.is_imported(MARK).await? {
            self.imports.forget_imported(MARK).await?;
        }
        Ok(())
    }
}
