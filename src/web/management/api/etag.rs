//! Versions of records as entity tags: `If-Match` prevents lost updates, `If-None-Match` avoids
//! sending a record that the caller has already (RFC 9110 §8.8.3, §13.1).

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::IntoParams;

use crate::admin::Versions;

/// Headers of a request that changes a record.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code)] // only for the OpenAPI description
pub(super) struct ChangeHeaders {
    /// `ETag` that the record must have, or a list of them (RFC 9110 §13.1.1). If it has none of
    /// them, the response is 412.
    #[param(
        rename = "If-Match",
        value_type = String,
        required = false,
    )]
    if_match: (),
}

/// Headers of a request that reads a record.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code)] // only for the OpenAPI description
pub(super) struct ReadHeaders {
    /// `ETag` known to the caller, or a list of them (RFC 9110 §13.1.2). If the record has one of
    /// them, the response is 304 without a body.
    #[param(
        rename = "If-None-Match",
        value_type = String,
        required = false,
    )]
    if_none_match: (),
}

/// Versions for which a change is meant (`If-Match`).
pub(super) struct IfMatch(pub(super) Versions);

impl FromRequest for IfMatch {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // RFC 9110 §13.1.1: "An origin server MUST use the strong comparison function", in which a
        // weak tag matches no tag. A malformed tag matches no version, since it is safer to change
        // nothing.
        ready(Ok(match condition(request, &IF_MATCH) {
            Condition::None | Condition::Any => Self(Versions::Any),
            Condition::Tags(tags) => {
                Self(Versions::OneOf(tags.iter().filter_map(Tag::strong_version).collect()))
            }
        }))
    }
}

/// Versions that the caller has already (`If-None-Match`).
pub(super) struct IfNoneMatch(Condition);

impl FromRequest for IfNoneMatch {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(condition(request, &IF_NONE_MATCH))))
    }
}

impl IfNoneMatch {
    /// Returns the record in this version, or 304 if the caller has it already.
    pub(super) fn answer(&self, version: u64, view: impl Serialize) -> HttpResponse {
        let known = match &self.0 {
            Condition::None => false,
            Condition::Any => true,
            // RFC 9110 §13.1.2: "A recipient MUST use the weak comparison function".
            Condition::Tags(tags) => tags.iter().any(|tag| tag.version == Some(version)),
        };
        if known {
            return with(StatusCode::NOT_MODIFIED, version).finish();
        }
        with(StatusCode::OK, version).json(view)
    }
}

/// Starts a response about a record of this version.
pub(super) fn with(status: StatusCode, version: u64) -> actix_web::HttpResponseBuilder {
    let mut response = super::answer(status);
    response.insert_header((ETAG, format!("\"{version}\"")));
    response
}

enum Condition {
    None,
    Any,
    Tags(Vec<Tag>),
}

struct Tag {
    weak: bool,
    /// Version of the record; `None` for a tag that this server cannot have sent.
    version: Option<u64>,
}

impl Tag {
    fn strong_version(&self) -> Option<u64> {
        self.version.filter(|_| !self.weak)
    }
}

fn condition(request: &HttpRequest, name: &HeaderName) -> Condition {
    let mut all = None;
    for value in request.headers().get_all(name) {
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Condition::Any;
        }
        all.get_or_insert_with(Vec::new).extend(tags(text).unwrap_or_default());
    }
    all.map_or(Condition::None, Condition::Tags)
}

/// Parses `#entity-tag`, where `entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE` (RFC 9110 §5.6.1,
/// §8.8.3).
fn tags(text: &str) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(tags);
        }
        let weak = rest.strip_prefix("W/");
        let (opaque, behind) = weak.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        let behind = behind.trim_start_matches([' ', '\t']);
        let clean = opaque.bytes().all(|byte| byte.is_ascii_graphic());
        if !clean || !(behind.is_empty() || behind.starts_with(',')) {
            return None;
        }
        // Another spelling of the same number, such as `07`, is a different tag.
        let version = opaque.parse().ok().filter(|version: &u64| version.to_string() == opaque);
        tags.push(Tag { weak: weak.is_some(), version });
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_parsed_by_rfc_9110_grammar() {
        let read = |text| {
            let tags = tags(text)?;
            Some(tags.iter().map(|tag| (tag.weak, tag.version)).collect::<Vec<_>>())
        };
        assert_eq!(read("\"7\""), Some(vec![(false, Some(7))]));
        assert_eq!(
            read(", W/\"0\" ,\"a,b\",,\"07\""),
            Some(vec![(true, Some(0)), (false, None), (false, None)])
        );
        for malformed in ["7", "\"7", "\"7\"8", "\"7\" \"8\"", "w/\"7\"", "\"a b\"", "*, \"7\""] {
            assert_eq!(read(malformed), None, "{malformed}");
        }
    }
}
