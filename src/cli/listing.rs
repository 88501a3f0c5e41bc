//! Prints lists page by page, so that a long list takes no more memory than a short one.

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::output::{self, Table, plain};
use crate::store::Page;

/// Number of entries read at a time.
const PAGE: u32 = 1000;

/// Option that limits the length of a list.
#[derive(Debug, Args)]
pub(super) struct Limit {
    /// Maximum number of entries
    #[arg(
        long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    limit: u32,
}

impl Limit {
    /// Prints the entries after `after`. If the limit cuts the list short, standard error says how
    /// to continue, so that the list is not mistaken for the whole.
    pub(super) async fn print<T>(
        &self,
        after: Option<String>,
        read: impl AsyncFn(&Page) -> Result<Vec<T>, Failure>,
        key: impl Fn(&T) -> String,
        mut to: impl Printer<T>,
    ) -> Result<(), Failure> {
        let mut left = self.limit;
        let mut page = Page { cursor: after, limit: 0 };
        loop {
            // One entry more than is printed shows whether there are more.
            let wanted = left.min(PAGE);
            page.limit = wanted + 1;
            let mut found = read(&page).await?;
            let more = found.len() > wanted as usize;
            found.truncate(wanted as usize);
            left -= wanted;
            if !to.page(&found)? {
                return Ok(());
            }
            page.cursor = found.last().map(&key);
            if !more || left == 0 {
                to.end()?;
                if let Some(key) = page.cursor.filter(|_| more) {
                    let key = plain(&key).replace('\'', r"'\''");
                    output::remark(format!("there are more, with --after '{key}'"));
                }
                return Ok(());
            }
        }
    }
}

/// Prints pages of entries. `page` returns `false` if the reader has closed the pipe.
pub(super) trait Printer<T> {
    fn page(&mut self, entries: &[T]) -> Result<bool, Failure>;
    fn end(self) -> Result<(), Failure>;
}

/// Output format of a list.
pub(super) enum As<const N: usize, V, R> {
    /// JSON array, for `--json`: the conversion of an entry, and whether the array has begun.
    Json(V, bool),
    /// Table: the conversion of an entry into a row, and the column widths so far.
    Table(R, Table<N>),
}

impl<const N: usize, V, R> As<N, V, R> {
    pub(super) fn wanted(json: bool, view: V, heading: [&str; N], row: R) -> Self {
        if json { Self::Json(view, false) } else { Self::Table(row, Table::under(heading)) }
    }
}

impl<T, const N: usize, V, R> Printer<T> for As<N, V, R>
where
    V: Fn(&T) -> Result<String, Failure>,
    R: Fn(&T) -> [String; N],
{
    fn page(&mut self, entries: &[T]) -> Result<bool, Failure> {
        match self {
            Self::Json(view, begun) => {
                let mut text = String::new();
                for entry in entries {
                    text.push(if *begun { ',' } else { '[' });
                    *begun = true;
                    text.push_str(&view(entry)?);
                }
                output::print(text)
            }
            Self::Table(row, table) => output::print(table.lines(entries.iter().map(row)) + "\n"),
        }
    }

    fn end(self) -> Result<(), Failure> {
        match self {
            Self::Json(_, begun) => output::line(if begun { "]" } else { "[]" }),
            Self::Table(..) => Ok(()),
        }
    }
}

/// Formats an entry as JSON.
pub(super) fn to_json(view: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(view).map_err(Failure::io)
}
