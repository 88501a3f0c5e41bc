//! Lists, printed page by page: a long one takes no more memory than a short one.

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::output::{self, Table, plain};
use crate::store::Page;

/// Entries read at a time.
const PAGE: u32 = 1000;

/// How much of a list to print.
#[derive(Debug, Args)]
pub(super) struct Limit {
    /// Lists at most so many
    #[arg(
        long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    limit: u32,
}

impl Limit {
    /// Prints the entries behind `after`. If there are more than the limit lets through, it says on standard error how to
    /// go on behind the last one: a list that is cut short in silence would be taken for the whole.
    pub(super) async fn print<T>(
        &self,
        after: Option<String>,
        read: impl AsyncFn(&Page) -> Result<Vec<T>, Failure>,
        key: impl Fn(&T) -> String,
        mut to: impl Printer<T>,
    ) -> Result<(), Failure> {
        let mut left = self.limit;
        let mut page = Page { after, limit: 0 };
        loop {
            // One more than is printed tells whether there are more.
            let wanted = left.min(PAGE);
            page.limit = wanted + 1;
            let mut found = read(&page).await?;
            let more = found.len() > wanted as usize;
            found.truncate(wanted as usize);
            left -= wanted;
            if !to.page(&found)? {
                return Ok(());
            }
            page.after = found.last().map(&key);
            if !more || left == 0 {
                to.end()?;
                if let Some(key) = page.after.filter(|_| more) {
                    let key = plain(&key).replace('\'', r"'\''");
                    output::remark(format!("there are more, with --after '{key}'"));
                }
                return Ok(());
            }
        }
    }
}

/// Prints entries; `false` when whoever reads has seen enough.
pub(super) trait Printer<T> {
    fn page(&mut self, entries: &[T]) -> Result<bool, Failure>;
    fn end(self) -> Result<(), Failure>;
}

/// A list as JSON, with `--json`, or in columns.
pub(super) enum As<const N: usize, V, R> {
    /// An array of what this makes of each, and whether it has begun.
    Json(V, bool),
    /// A row of each.
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

/// An entry as JSON.
pub(super) fn to_json(view: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(view).map_err(Failure::io)
}
