//! Cursor pagination of lists.
//!
//! A cursor names the last entry of a page; the next page starts after it. It stays valid when
//! entries are added or removed, even if that entry is removed. A cursor is the key of the entry in
//! hexadecimal digits, which need no encoding in URLs. A text that cannot be a key is refused.

use actix_web::HttpResponse;
use actix_web::http::header::LINK;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::context::{Context, url};
use super::fields::given;
use super::query;
use crate::admin::ListPage;
use crate::store::Page;

const MAX_LIMIT: u32 = 1000;

/// Page size: maximum number of entries on a page of a list.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = u32, minimum = 1, maximum = 1000, default = 100)]
pub(super) struct PageLimit(u32);

impl Default for PageLimit {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<String> for PageLimit {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| digits && (1..=MAX_LIMIT).contains(limit));
        limit.map(Self).ok_or("expected a whole number from 1 to 1000")
    }
}

/// Cursor (position in a list): value of `next` in the preceding page of the list.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    value_type = String,
    // Hexadecimal digits of a text in UTF-8 (RFC 3629 §4).
    pattern = "^(?:[0-7][0-9a-f]|(?:c[2-9a-f]|d[0-9a-f])[89ab][0-9a-f]|e0[ab][0-9a-f][89ab][0-9a-f]|e[1-9a-cef](?:[89ab][0-9a-f]){2}|ed[89][0-9a-f][89ab][0-9a-f]|f0[9ab][0-9a-f](?:[89ab][0-9a-f]){2}|f[1-3](?:[89ab][0-9a-f]){3}|f48[0-9a-f](?:[89ab][0-9a-f]){2})+$"
)]
pub(super) struct Cursor(String);

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let key = hex::decode(&text).ok().filter(|key| lower && !key.is_empty());
        key.and_then(|key| String::from_utf8(key).ok())
            .map(Self)
            .ok_or("expected the value of `next` in the preceding page")
    }
}

/// Query parameters of a list of users or clients.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchQuery {
    /// Page size: maximum number of entries.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: PageLimit,
    /// Cursor: `next` of the preceding page.
    #[serde(default, deserialize_with = "given")]
    #[param(inline, value_type = Cursor, required = false)]
    after: Option<Cursor>,
    /// Part of the user name, in any case; or of the client's name or id, with the letters A to Z
    /// in any case.
    #[serde(default)]
    #[param(required = false)]
    pub(super) search: String,
}

impl SearchQuery {
    /// Returns the requested page of the list.
    pub(super) fn page(&self) -> Page {
        page(self.limit, self.after.clone())
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
#[schema(as = Listing)]
pub(super) struct ListJson<T> {
    /// Users, clients or sessions on this page of the list.
    items: Vec<T>,
    /// Cursor (position in the list) to send as `after` for the next page; null on the last page.
    #[schema(required)]
    next: Option<String>,
}

/// Returns the requested part of a list: at most `limit` entries, after the cursor `after` (key of
/// the last entry of the preceding page) or from the start of the list.
pub(super) fn page(limit: PageLimit, after: Option<Cursor>) -> Page {
    Page { cursor: after.map(|cursor| cursor.0), limit: limit.0 }
}

/// Returns the JSON response with a page of a list. `json` converts each entry.
pub(super) fn respond<T, J: Serialize>(
    (web, management, request): &Context,
    page: &ListPage<T>,
    json: impl Fn(&T) -> J,
) -> HttpResponse {
    let next = page.next.as_ref().map(hex::encode);
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = &next {
        let mut parameters = query::pairs(request.query_string());
        parameters.retain(|(name, _)| name != "after");
        parameters.push(("after".to_owned(), cursor.clone()));
        let query = serde_urlencoded::to_string(parameters).unwrap_or_default();
        let path = request.match_pattern().unwrap_or_default();
        let list = path.rsplit('/').next().unwrap_or_default();
        let url = url(web, management, &format!("/{list}?{query}"));
        // `Link` header (RFC 8288 §3).
        response.insert_header((LINK, format!("<{url}>; rel=\"next\"")));
    }
    response.json(ListJson { items: page.items.iter().map(json).collect(), next })
}
