//! Reads the query string strictly: unknown and repeated parameters are errors. If a mistyped
//! parameter were ignored, the request would affect more records than intended.

use std::collections::BTreeSet;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Query parameters of an API request, as a parameter of an API handler.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.query_string()).map(Self))
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let (parameters, mut seen) = (pairs(query), BTreeSet::new());
    if let Some((name, _)) = parameters.iter().find(|(name, _)| !seen.insert(name)) {
        let detail = "the parameter is repeated".to_owned();
        return Err(Problem::Parameter { name: name.clone(), detail });
    }
    let entries = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let reader = serde::de::value::MapDeserializer::<_, serde::de::value::Error>::new(entries);
    serde_path_to_error::deserialize(reader).map_err(|error| Problem::Parameter {
        name: error.path().to_string(),
        detail: error.into_inner().to_string(),
    })
}

/// Returns the decoded parameters of a query string, as pairs of name and value (URL Standard,
/// "application/x-www-form-urlencoded parsing").
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}
