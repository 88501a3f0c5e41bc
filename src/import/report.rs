//! What became of each record. No token, no hash, no password is in it.

use serde::Serialize;

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Users.
    pub users: Counts,
    /// Clients.
    pub clients: Counts,
    /// Documents of tokens, each of which becomes a session.
    pub tokens: Counts,
}

/// What became of the records of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// In the source.
    pub read: u64,
    /// Taken over now.
    pub imported: u64,
    /// Taken over by an earlier run; they are left as they are.
    pub already: u64,
    /// Not taken over, because they are over: nobody can use them.
    pub expired: u64,
    /// Not taken over, or not all of it, and why.
    pub skipped: Vec<Skipped>,
    /// Taken over with something left out, and what.
    pub remarks: Vec<Skipped>,
}

/// A record that cannot be taken over as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its `_id` in the source.
    pub id: String,
    /// Why.
    pub reason: String,
}

impl Counts {
    pub(super) fn skip(&mut self, id: &str, reason: impl Into<String>) {
        self.skipped.push(Skipped { id: id.to_owned(), reason: reason.into() });
    }

    pub(super) fn remark(&mut self, id: &str, reason: impl Into<String>) {
        self.remarks.push(Skipped { id: id.to_owned(), reason: reason.into() });
    }
}
