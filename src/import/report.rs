//! Report of an import: the result for each record. It contains no token, hash or password.

use serde::Serialize;

/// Results of an import from another server, or of a dry run of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Whether the import was a dry run, which writes nothing.
    pub dry_run: bool,
    /// Results for the users in the source database.
    pub users: ImportCounts,
    /// Results for the clients in the source database.
    pub clients: ImportCounts,
    /// Results for documents of tokens, each of which becomes a session.
    pub tokens: ImportCounts,
    /// Number of keys in Redis in the form of flask-sentinel's access tokens that belong to no
    /// imported session. Resource servers that look tokens up in Redis accept them until they
    /// expire. 0 in a dry run and without Redis.
    pub unknown_tokens: u64,
}

/// Results for all records of one kind (users, clients or tokens) in an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportCounts {
    /// Number of records read from the source database.
    pub read: u64,
    /// Number of records imported by this run.
    pub imported: u64,
    /// Number of records imported by an earlier run, which are left unchanged.
    #[serde(rename = "already")]
    pub already_imported: u64,
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
    /// The `_id` of the record in the source database.
    pub id: String,
    /// Reason why the record, or a part of it, was not imported.
    pub reason: String,
}

/// Outcome of importing a record of the source database.
pub(super) enum RecordOutcome {
    /// The record is imported. Each remark describes a part of the record that is left out.
    Imported { remarks: Vec<String> },
    /// An earlier run of the import has imported the record.
    AlreadyImported,
    /// All tokens of the record have expired or cannot be used.
    Expired,
    /// The record cannot be imported, for this reason.
    Skipped(String),
}

impl RecordOutcome {
    pub(super) fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped(reason.into())
    }
}

impl ImportCounts {
    pub(super) fn add(&mut self, id: String, outcome: RecordOutcome) {
        match outcome {
            RecordOutcome::Imported { remarks } => {
                self.imported += 1;
                let remarks = remarks.into_iter().map(|reason| Skipped { id: id.clone(), reason });
                self.remarks.extend(remarks);
            }
            RecordOutcome::AlreadyImported => self.already_imported += 1,
            RecordOutcome::Expired => self.expired += 1,
            RecordOutcome::Skipped(reason) => self.skipped.push(Skipped { id, reason }),
        }
    }
}
