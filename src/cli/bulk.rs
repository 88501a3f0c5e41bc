//! Code that the imports and exports of users and clients share: the export page by page, and the
//! report of an import.

use std::cell::Cell;
use std::path::Path;

use futures_util::{Stream, stream};
use serde::Serialize;
use serde_json::json;

use super::Global;
use super::failure::{Failure, first_failure};
use super::files::{Output, is_standard};
use super::interrupt::Interrupt;
use super::output::{self, plain};
use crate::admin::{AdminError, ImportResult, ListPage};
use crate::import::lines::{InvalidRow, RowName};
use crate::observe::audit::Outcome;
use crate::store::Page;

/// Number of users or clients that an export reads at a time.
const PAGE: u32 = 1000;

/// Writes all users or clients to `out` and finishes the file. Returns the number of records
/// written, and whether the export succeeded.
pub(super) async fn export<T>(
    mut out: Output,
    read: impl AsyncFn(&Page) -> Result<ListPage<T>, AdminError>,
    record: impl Fn(&T) -> Result<Vec<u8>, Failure>,
    report_progress: impl Fn(u64),
) -> (u64, Result<(), Failure>) {
    let mut written = 0;
    let done = async {
        let mut page = Page::first(PAGE);
        loop {
            let found = read(&page).await?;
            for entry in &found.items {
                if !out.write(&record(entry)?)? {
                    return Ok(());
                }
                written += 1;
            }
            report_progress(written);
            if found.next.is_none() {
                return Ok(());
            }
            page.cursor = found.next;
        }
    };
    let done = done.await.and_then(|()| out.finish());
    (written, done)
}

/// Returns an exported user or client as a line of JSON.
pub(super) fn json_line(entry: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec(entry).map_err(Failure::io)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Prints the number of exported users or clients (`kind`), unless standard output has them.
pub(super) fn report_export(
    global: &Global,
    file: &Path,
    kind: &str,
    written: u64,
) -> Result<(), Failure> {
    if is_standard(file) {
        return Ok(());
    }
    let file = file.display().to_string();
    if global.json {
        return output::json(&json!({ "file": file, kind: written }));
    }
    output::line(format!("exported {written} {kind} to {}", plain(&file)))
}

/// Reads the rows of a file, until one cannot be read, the import stops, or a signal arrives. Rows
/// that were read before are still imported.
pub(super) struct Reading<'a> {
    interrupt: &'a Interrupt,
    stopped: Cell<bool>,
    /// Whether a signal arrived before the end of the file.
    interrupted: Cell<bool>,
    failure: Cell<Option<Failure>>,
}

impl<'a> Reading<'a> {
    pub(super) const fn new(interrupt: &'a Interrupt) -> Self {
        let (stopped, interrupted) = (Cell::new(false), Cell::new(false));
        Self { interrupt, stopped, interrupted, failure: Cell::new(None) }
    }

    pub(super) fn rows<T, E: Into<Failure>>(
        &self,
        mut next: impl FnMut() -> Result<Option<T>, E>,
    ) -> impl Stream<Item = T> {
        stream::iter(std::iter::from_fn(move || {
            if self.stopped.get() || self.interrupted.get() {
                return None;
            }
            let row = if self.interrupt.is_set() { Ok(None) } else { next() };
            if self.interrupt.is_set() && !matches!(row, Ok(Some(_))) {
                self.interrupted.set(true);
                return None;
            }
            row.unwrap_or_else(|error| {
                self.failure.set(Some(error.into()));
                None
            })
        }))
    }

    /// Stops reading rows of the file.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
    }

    pub(super) const fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Returns how the import ended: with the failure `done`, if any, or else with that of reading
    /// the file, or with an interruption.
    pub(super) fn end(self, done: Result<(), Failure>) -> ImportEnd {
        match self.failure.into_inner() {
            Some(failure) => ImportEnd::of(first_failure(done, failure)),
            None if done.is_ok() && self.interrupted.get() => ImportEnd::Interrupted,
            None => ImportEnd::of(done),
        }
    }
}

/// End of an import of users or clients.
pub(super) enum ImportEnd {
    /// All rows were read, and those that are valid are imported.
    Complete,
    /// A signal ended the import. The rows that were read before are imported.
    Interrupted,
    /// The store or the file failed.
    Failed(Failure),
}

impl ImportEnd {
    fn of(done: Result<(), Failure>) -> Self {
        done.map_or_else(Self::Failed, |()| Self::Complete)
    }

    /// Returns the outcome for the audit log.
    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::Complete => Outcome::Ok,
            Self::Interrupted => Outcome::Failed,
            Self::Failed(failure) => failure.outcome(),
        }
    }

    /// Returns whether a signal ended the import.
    ///
    /// # Errors
    /// The failure of the import, whose counts are in the audit log only.
    pub(super) fn was_interrupted(self) -> Result<bool, Failure> {
        match self {
            Self::Complete => Ok(false),
            Self::Interrupted => Ok(true),
            Self::Failed(failure) => Err(failure),
        }
    }
}

/// Result of an import of users or clients: counts of rows, and the invalid rows.
#[derive(Debug, Serialize)]
pub(super) struct BulkReport {
    dry_run: bool,
    read: u64,
    pub(super) added: u64,
    /// Number of records in the file that existed before the import and are left unchanged.
    already: u64,
    bad: Vec<InvalidRow>,
    /// Lines and names of the users who were added although another user has the same name in
    /// another spelling.
    #[serde(skip)]
    pub(super) spellings: Vec<(u64, String)>,
}

impl BulkReport {
    pub(super) const fn new(dry_run: bool) -> Self {
        Self { dry_run, read: 0, added: 0, already: 0, bad: Vec::new(), spellings: Vec::new() }
    }

    /// Returns the number of rows read so far.
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    pub(super) fn count(&mut self, outcome: Result<ImportResult, InvalidRow>) {
        self.read += 1;
        match outcome {
            Ok(ImportResult::Added | ImportResult::AddedSpelling) => self.added += 1,
            Ok(ImportResult::Exists) => self.already += 1,
            Err(bad) => self.bad.push(bad),
        }
    }

    /// Prints the report of the import, then `remark`, if any. Fails if the import was interrupted,
    /// or if rows could not be imported.
    pub(super) fn print(
        mut self,
        json: bool,
        remark: Option<String>,
        was_interrupted: bool,
    ) -> Result<(), Failure> {
        self.bad.sort_by_key(|bad| bad.line);
        let printed = if json { output::json(&self) } else { self.print_table() };
        if self.dry_run { printed } else { output::of_change(printed) }?;
        if let Some(remark) = remark {
            output::message(remark);
        }
        self.spellings.sort_unstable();
        for (line, username) in &self.spellings {
            output::message(format!(
                "line {line}: {}: another user has this name in another spelling; both log in with \
                 the exact spelling only",
                plain(username)
            ));
        }
        if was_interrupted {
            return Err(Interrupt::failure());
        }
        if self.bad.is_empty() {
            return Ok(());
        }
        Err(Failure::refused(format!(
            "{} of {} rows cannot be imported",
            self.bad.len(),
            self.read
        )))
    }

    fn print_table(&self) -> Result<(), Failure> {
        let numbers = [self.read, self.added, self.already, self.bad.len() as u64];
        let added = if self.dry_run { "TO ADD" } else { "ADDED" };
        let heading = ["READ", added, "ALREADY", "BAD"];
        output::table(heading, [numbers.map(|number| number.to_string())])?;
        for InvalidRow { line, name, reason } in &self.bad {
            let name = match name {
                Some(RowName::Username(name) | RowName::ClientId(name)) => plain(name) + ": ",
                None => String::new(),
            };
            output::line(format!("line {line}: {name}{reason}"))?;
        }
        Ok(())
    }
}
