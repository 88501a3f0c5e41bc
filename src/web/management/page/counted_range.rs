//! Position of a page in its list, such as "1–50 of 65".

use serde::Serialize;

use super::posted_form::PostedFields;
use super::urls::with_query;

/// Maximum to which users, clients and sessions are counted, to bound the cost.
pub(super) const MAX_COUNTED: u32 = 10_000;

/// Query parameter with the position of a page's first entry. It only changes what the page shows.
const START: &str = "start";

/// Position of the entries of one page in the whole list, as templates receive it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RangeView {
    /// Position of the first entry of the page; 1 on the first page.
    from: u64,
    to: u64,
    /// Number of entries in the list as text, such as "10,000+" if counting stopped there.
    total: String,
}

impl RangeView {
    /// Returns the position of a page with `shown` entries of a list with `count` entries. The list
    /// may have changed since the preceding page was shown, so the total is at least the position
    /// of the last entry shown.
    pub(super) fn of(query: &PostedFields, shown: usize, count: u64) -> Self {
        let start = query.get(START).parse::<u32>().unwrap_or_default().max(1);
        let from = if query.get("after").is_empty() { 1 } else { u64::from(start) };
        let to = from.saturating_add(shown as u64).saturating_sub(1);
        Self { from, to, total: show_count(count.max(to)) }
    }

    /// Returns the URL of the next page of the list at `path`: with the search for `query`, and
    /// after the entry `after`.
    pub(super) fn next(&self, path: &str, query: &str, after: &str) -> String {
        let start = self.to.saturating_add(1).to_string();
        with_query(path, &[("q", query), ("after", after), (START, &start)])
    }
}

/// Formats a number of users, clients or sessions, such as "10,000+" if counting stopped there.
pub(super) fn show_count(count: u64) -> String {
    let more = if count >= u64::from(MAX_COUNTED) { "+" } else { "" };
    if count >= 1000 {
        format!("{},{:03}{more}", count / 1000, count % 1000)
    } else {
        count.to_string()
    }
}
