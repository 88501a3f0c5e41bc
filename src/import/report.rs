//! Report of an import: the result for each record. It contains no token, hash or password.

use serde::Serialize;

/// Results of an import, or of a dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether this was a dry run, which writes nothing.
    pub dry_run: bool,
    /// Results for users.
    pub users: Counts,
    /// Results for clients.
    pub clients: Counts,
    /// Results for documents of tokens, each of which becomes a session.
    pub tokens: Counts,
}

/// Results for the records of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Number of records in the source.
    pub read: u64,
    /// Number of records imported by this run.
    pub imported: u64,
    /// Number of records imported by an earlier run, which are left unchanged.
    pub already: u64,
    /// Number of records not imported because all their tokens have expired or cannot be used.
    pub expired: u64,
    /// Records not imported, each with the reason.
    pub skipped: Vec<Skipped>,
    /// Records imported in part, each with a description of the part left out.
    pub remarks: Vec<Skipped>,
}

/// A record that was not imported, or not completely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The `_id` of the record in the source.
    pub id: String,
    /// Reason.
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
