//! Pages of lists. The command line, the management page and the API share this pagination.

use crate::store::Page;

/// Entries of one page of a list.
#[derive(Clone, Debug)]
pub struct ListPage<T> {
    /// Entries, at most as many as the page size.
    pub items: Vec<T>,
    /// Cursor of the next page; `None` on the last page.
    pub next: Option<String>,
}

impl<T> ListPage<T> {
    /// Returns the page to read from the store: one entry more than `page` shows whether another
    /// page follows.
    pub(super) fn look_ahead(page: &Page) -> Page {
        Page { cursor: page.cursor.clone(), limit: page.limit.saturating_add(1) }
    }

    /// Creates the page from the entries that were read for [`Self::look_ahead`]. `key` returns the
    /// cursor of an entry.
    pub(super) fn of(mut items: Vec<T>, page: &Page, key: impl Fn(&T) -> String) -> Self {
        let size = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(key);
        Self { items, next }
    }
}
