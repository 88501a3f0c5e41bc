//! What the imports and exports of users and of clients have in common: pages that are written one after the other, and
//! what is said of many rows at once.

use std::cell::Cell;

use futures_util::{Stream, stream};
use serde::Serialize;

use super::failure::{Failure, failed};
use super::files::Output;
use super::output::{self, plain};
use crate::admin::{AdminError, Imported};
use crate::store::Page;

/// Entries read at a time.
const PAGE: u32 = 1000;

/// Writes all entries and finishes the file; how many were written, and whether those are all.
pub(super) async fn export<T>(
    mut out: Output,
    read: impl AsyncFn(&Page) -> Result<Vec<T>, AdminError>,
    key: impl Fn(&T) -> String,
    record: impl Fn(&T) -> Result<Vec<u8>, Failure>,
    tell: impl Fn(u64),
) -> (u64, Result<(), Failure>) {
    let mut written = 0;
    let done = async {
        let mut page = Page::first(PAGE);
        loop {
            let entries = read(&page).await?;
            for entry in &entries {
                if !out.write(&record(entry)?)? {
                    return Ok(());
                }
                written += 1;
            }
            tell(written);
            if entries.len() < PAGE as usize {
                return Ok(());
            }
            page.after = entries.last().map(&key);
        }
    };
    let done = done.await.and_then(|()| out.finish());
    (written, done)
}

/// Reads the rows of a file, up to where it cannot be read on or an import has to stop. What was read before is taken over:
/// its lines say which.
#[derive(Default)]
pub(super) struct Reading {
    stopped: Cell<bool>,
    failure: Cell<Option<Failure>>,
}

impl Reading {
    pub(super) fn rows<T, E: Into<Failure>>(
        &self,
        mut next: impl FnMut() -> Result<Option<T>, E>,
    ) -> impl Stream<Item = T> {
        stream::iter(std::iter::from_fn(move || {
            if self.stopped.get() {
                return None;
            }
            next().unwrap_or_else(|error| {
                self.failure.set(Some(error.into()));
                None
            })
        }))
    }

    /// Reads no more.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
    }

    pub(super) const fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// What has failed, if not the import then the reading.
    pub(super) fn end(self, done: Result<(), Failure>) -> Result<(), Failure> {
        match self.failure.into_inner() {
            Some(failure) => failed(done, failure),
            None => done,
        }
    }
}

/// A row that cannot be taken over.
pub(super) trait BadRow: Serialize {
    /// Where it is, whose it is, if that is known, and why not.
    fn parts(&self) -> (u64, Option<&str>, &str);
}

/// What became of the rows of an import.
#[derive(Debug, Serialize)]
pub(super) struct Report<B> {
    /// Nothing for imports that have no trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
    read: u64,
    pub(super) added: u64,
    /// In the store before; they are left as they are.
    already: u64,
    bad: Vec<B>,
}

impl<B: BadRow> Report<B> {
    pub(super) const fn new(dry_run: Option<bool>) -> Self {
        Self { dry_run, read: 0, added: 0, already: 0, bad: Vec::new() }
    }

    /// How many rows there were so far.
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    pub(super) fn count(&mut self, outcome: Result<Imported, B>) {
        self.read += 1;
        match outcome {
            Ok(Imported::Added) => self.added += 1,
            Ok(Imported::Already) => self.already += 1,
            Err(bad) => self.bad.push(bad),
        }
    }

    /// Prints it; then `remark`, if there is one. It is a failure if rows are bad.
    pub(super) fn print(mut self, json: bool, remark: Option<String>) -> Result<(), Failure> {
        self.bad.sort_by_key(|bad| bad.parts().0);
        if json {
            output::json(&self)?;
        } else {
            self.print_table()?;
        }
        if let Some(remark) = remark {
            output::remark(remark);
        }
        if self.bad.is_empty() {
            return Ok(());
        }
        Err(Failure::refused(format!("{} of {} rows are bad", self.bad.len(), self.read)))
    }

    fn print_table(&self) -> Result<(), Failure> {
        let numbers = [self.read, self.added, self.already, self.bad.len() as u64];
        let added = if self.dry_run == Some(true) { "TO ADD" } else { "ADDED" };
        let heading = ["READ", added, "ALREADY", "BAD"];
        output::table(heading, [numbers.map(|number| number.to_string())])?;
        for (line, name, reason) in self.bad.iter().map(BadRow::parts) {
            let name = name.map(|name| format!("{}: ", plain(name))).unwrap_or_default();
            output::line(format!("line {line}: {name}{reason}"))?;
        }
        Ok(())
    }
}
