//! Cursor pagination of lists.
//!
//! A cursor names the last entry of a page; the next page starts after it. It stays valid when
//! entries are added or removed, even if that entry is removed. A cursor is the key of the entry in
//! hexadecimal digits, which need no encoding in URLs. A made-up cursor does no harm: the page
//! starts after that key.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::LINK;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Context, query};
use crate::store::Page;

const MAX_LIMIT: u32 = 1000;

/// Page size: maximum number of entries.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = u32, minimum = 1, maximum = 1000, default = 100)]
pub(super) struct Limit(u32);

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<String> for Limit {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| digits && (1..=MAX_LIMIT).contains(limit));
        limit.map(Self).ok_or("expected a whole number from 1 to 1000")
    }
}

/// Cursor: position in a list, as returned in `next`.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^(?:[0-9a-f]{2})+$")]
pub(super) struct Cursor(String);

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let key = hex::decode(&text).ok().filter(|key| lower && !key.is_empty());
        key.map(|key| Self(String::from_utf8_lossy(&key).into_owned()))
            .ok_or("expected what an answer had in next")
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Listing<T> {
    /// Entries of the page.
    items: Vec<T>,
    /// Cursor to send as `after` for the next page; null on the last page.
    #[schema(required)]
    next: Option<String>,
}

/// Returns the requested part of a list with one entry more, which shows whether another page
/// follows.
pub(super) fn page(limit: Limit, after: Option<&Cursor>) -> Page {
    Page { cursor: after.map(|cursor| cursor.0.clone()), limit: limit.0 + 1 }
}

/// Returns the response with the entries that were found for [`page`].
pub(super) fn answer<T, V: Serialize>(
    (web, management, request): &Context,
    limit: Limit,
    mut found: Vec<T>,
    key: impl Fn(&T) -> String,
    view: impl Fn(&T) -> V,
) -> HttpResponse {
    let wanted = usize::try_from(limit.0).unwrap_or(usize::MAX);
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next = found.last().filter(|_| more).map(|last| hex::encode(key(last)));
    let mut response = super::answer(StatusCode::OK);
    if let Some(cursor) = &next {
        let mut parameters = query::pairs(request.query_string());
        parameters.retain(|(name, _)| name != "after");
        parameters.push(("after".to_owned(), cursor.clone()));
        let query = serde_urlencoded::to_string(parameters).unwrap_or_default();
        let path = request.match_pattern().unwrap_or_default();
        let list = path.rsplit('/').next().unwrap_or_default();
        let url = super::url(web, management, &format!("/{list}?{query}"));
        // `Link` header (RFC 8288 §3).
        response.insert_header((LINK, format!("<{url}>; rel=\"next\"")));
    }
    response.json(Listing { items: found.iter().map(view).collect(), next })
}
