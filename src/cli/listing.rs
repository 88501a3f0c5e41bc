//! Prints lists page by page, so that a long list takes no more memory than a short one.

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::output::{self, Table, plain};
use crate::admin::{AdminError, ListPage};
use crate::store::Page;

/// Number of entries of a list that are read from the store at a time.
const PAGE: u32 = 1000;

/// Option that limits the length of a list.
#[derive(Debug, Args)]
pub(super) struct ListLimit {
    /// Maximum number of entries
    #[arg(
        long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    limit: u32,
}

impl ListLimit {
    /// Prints the entries of a list after the cursor `after` (key of the entry before them). If the
    /// limit cuts the list short, standard error says how to continue, so that the printed part is
    /// not mistaken for the whole list.
    pub(super) async fn print<T>(
        &self,
        after: Option<String>,
        read: impl AsyncFn(&Page) -> Result<ListPage<T>, AdminError>,
        mut to: impl RowSink<T>,
    ) -> Result<(), Failure> {
        let mut left = self.limit;
        let mut page = Page { cursor: after, limit: 0 };
        loop {
            page.limit = left.min(PAGE);
            left -= page.limit;
            let found = read(&page).await?;
            if !to.rows(&found.items)? {
                return Ok(());
            }
            if found.next.is_none() || left == 0 {
                to.end()?;
                if let Some(cursor) = found.next {
                    let cursor = plain(&cursor).replace('\'', r"'\''");
                    output::message(format!("the list continues: use --after '{cursor}'"));
                }
                return Ok(());
            }
            page.cursor = found.next;
        }
    }
}

/// Printer of the entries of a list. `rows` returns `false` if the reader of the output has gone.
pub(super) trait RowSink<T> {
    fn rows(&mut self, entries: &[T]) -> Result<bool, Failure>;
    fn end(self) -> Result<(), Failure>;
}

/// Output format of a list.
pub(super) enum OutputFormat<const N: usize, J, R> {
    /// JSON array, for `--json`: the function that converts an entry, and whether `[` is printed.
    Json(J, bool),
    /// Table: the function that converts an entry into a row, and the formatter of the columns.
    Table(R, Table<N>),
}

impl<const N: usize, J, R> OutputFormat<N, J, R> {
    pub(super) fn of(as_json: bool, json: J, heading: [&str; N], row: R) -> Self {
        if as_json {
            Self::Json(json, false)
        } else {
            Self::Table(row, Table::with_heading(heading))
        }
    }
}

impl<T, const N: usize, J, V, R> RowSink<T> for OutputFormat<N, J, R>
where
    J: Fn(&T) -> V,
    V: Serialize,
    R: Fn(&T) -> [String; N],
{
    fn rows(&mut self, entries: &[T]) -> Result<bool, Failure> {
        match self {
            Self::Json(json, begun) => {
                let mut text = String::new();
                for entry in entries {
                    text.push(if *begun { ',' } else { '[' });
                    *begun = true;
                    text.push_str(&serde_json::to_string(&json(entry)).map_err(Failure::io)?);
                }
                output::print(text)
            }
            Self::Table(row, table) => output::print(table.lines(entries.iter().map(row)) + "\n"),
        }
    }

    fn end(self) -> Result<(), Failure> {
        match self {
            Self::Json(_, begun) => output::print(if begun { "]\n" } else { "[]\n" }).map(drop),
            Self::Table(..) => Ok(()),
        }
    }
}
