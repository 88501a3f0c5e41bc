//! Versions of records as entity tags: `If-Match` prevents lost updates, `If-None-Match` avoids
//! sending a record that the caller has already (RFC 9110 §8.8.3, §13.1).

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ETag, EntityTag, Header};
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use utoipa::IntoParams;

use crate::admin::Versions;

/// Headers of an API request that changes a record (user or client).
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code)] // only for the OpenAPI description
pub(super) struct ChangeHeaders {
    /// `ETag` that the user or client must have, or a list of such tags (RFC 9110 §13.1.1). If none
    /// of the tags matches, the response is 412.
    #[param(
        rename = "If-Match",
        value_type = String,
        required = false,
    )]
    if_match: (),
}

/// Headers of an API request that reads a record (user or client).
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code)] // only for the OpenAPI description
pub(super) struct ReadHeaders {
    /// `ETag` of the user or client that the caller has already, or a list of such tags (RFC 9110
    /// §13.1.2). If one of the tags matches, the response is 304 without a body.
    #[param(
        rename = "If-None-Match",
        value_type = String,
        required = false,
    )]
    if_none_match: (),
}

/// Versions (change counters) in the header `If-Match`, as a parameter of an API handler. A user or
/// client is changed only if its present version is among them.
pub(super) struct IfMatch(pub(super) Versions);

impl FromRequest for IfMatch {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let versions = match header::IfMatch::parse(request) {
            _ if !request.headers().contains_key(header::IF_MATCH) => Versions::Any,
            Ok(header::IfMatch::Any) => Versions::Any,
            // RFC 9110 §13.1.1: "An origin server MUST use the strong comparison function", in
            // which a weak tag matches no tag.
            Ok(header::IfMatch::Items(tags)) => {
                let strong = tags.iter().filter(|tag| !tag.weak);
                Versions::OneOf(strong.filter_map(version).collect())
            }
            // A malformed header matches no version, since it is safer to change nothing.
            Err(_) => Versions::OneOf(Vec::new()),
        };
        ready(Ok(Self(versions)))
    }
}

/// Versions (change counters) in the header `If-None-Match`, as a parameter of an API handler:
/// those of a user or client that the caller has already.
pub(super) struct IfNoneMatch(header::IfNoneMatch);

impl FromRequest for IfNoneMatch {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = header::IfNoneMatch::parse(request);
        ready(Ok(Self(parsed.unwrap_or(header::IfNoneMatch::Items(Vec::new())))))
    }
}

impl IfNoneMatch {
    /// Returns a response with the record (user or client), or 304 without a body if the caller has
    /// this `version` (change counter) of the record already.
    pub(super) fn respond(&self, version: u64, record: impl Serialize) -> HttpResponse {
        let known = match &self.0 {
            header::IfNoneMatch::Any => true,
            // RFC 9110 §13.1.2: "A recipient MUST use the weak comparison function".
            header::IfNoneMatch::Items(tags) => {
                tags.iter().any(|tag| tag.weak_eq(&tag_of(version)))
            }
        };
        if known {
            return with(StatusCode::NOT_MODIFIED, version).finish();
        }
        with(StatusCode::OK, version).json(record)
    }
}

/// Starts a response about a user or client, with `version` (change counter) as the `ETag`.
pub(super) fn with(status: StatusCode, version: u64) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header(ETag(tag_of(version)));
    response
}

fn tag_of(version: u64) -> EntityTag {
    EntityTag::new_strong(version.to_string())
}

/// Returns the version (change counter) that an entity tag stands for; `None` for a tag that this
/// server cannot have sent. Another spelling of the same number, such as `07`, is a different tag.
fn version(tag: &EntityTag) -> Option<u64> {
    tag.tag().parse().ok().filter(|version: &u64| version.to_string() == tag.tag())
}
