//! Pages of lists. The command line, the management page and the API share this pagination.

use crate::store::Page;

/// Maximum length of a text to search for, in bytes. A longer one finds nothing. MongoDB limits the
/// length of regular expressions.
pub(super) const MAX_SEARCH_BYTES: usize = 1000;

/// Entries of one page of a list.
#[derive(Clone, Debug)]
pub struct ListPage<T> {
    /// Entries of the page, at most as many as the page size.
    pub items: Vec<T>,
    /// Cursor of the next page (key of this page's last entry); `None` on the last page.
    pub next: Option<String>,
}

impl<T> ListPage<T> {
    /// Returns the page to read from the store: one entry longer than `page`, to show whether
    /// another page follows.
    pub(super) fn look_ahead(page: &Page) -> Page {
        Page { cursor: page.cursor.clone(), limit: page.limit.saturating_add(1) }
    }

    /// Creates the page `page` of a list from `items`, which were read with one entry more than the
    /// page size. `key` returns the cursor (key after which a page starts) of an entry.
    pub(super) fn of(mut items: Vec<T>, page: &Page, key: impl Fn(&T) -> String) -> Self {
        let size = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(key);
        Self { items, next }
    }
}
