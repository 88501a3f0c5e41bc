//! Reads JSON bodies strictly: unknown and repeated members are errors.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::problem::{JSON, MERGE_PATCH, Problem};
use crate::web::error::RequestError;
use crate::web::form;
use crate::web::state::Web;

/// JSON object in the body of an API request, as a parameter of an API handler.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = web::Payload::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let payload = payload.await.map_err(|error| Problem::Body(error.to_string()))?;
            read(&request, payload).await.map(Self)
        })
    }
}

async fn read<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<T, Problem> {
    // RFC 8259 §8.1: JSON "MUST be encoded using UTF-8". A PATCH with plain JSON is read as a merge
    // patch.
    let types: &'static [&'static str] =
        if request.method() == Method::PATCH { &[MERGE_PATCH, JSON] } else { &[JSON] };
    form::check_headers(request, types).map_err(|refusal| match refusal {
        RequestError::MediaType => Problem::MediaType(types),
        other => other.into(),
    })?;
    let web = request.app_data::<web::Data<Web>>().ok_or(Problem::NoSuchPath)?;
    let body = form::read_in_time(web, request, payload, web.config.max_body).await?;
    // serde would also accept an array of the values of the members.
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'[') {
        let detail = "expected an object".to_owned();
        return Err(Problem::Invalid { pointer: String::new(), detail });
    }
    let mut reader = serde_json::Deserializer::from_slice(&body);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        explain(pointer, &error.into_inner())
    })?;
    reader.end().map_err(|error| explain(String::new(), &error))?;
    Ok(read)
}

/// Converts an error of the JSON parser to a [`Problem`]: 400 for text that is not JSON, and 422
/// with the JSON Pointer `pointer` to the value for JSON with an invalid value.
fn explain(pointer: String, error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    if error.is_data() {
        let position = format!(" at line {} column {}", error.line(), error.column());
        let detail = without_value(message.strip_suffix(&position).unwrap_or(&message));
        return Problem::Invalid { pointer, detail };
    }
    Problem::Body(format!("the body is not JSON: {message}"))
}

/// Returns serde's message about an invalid value without the value, which may be a password.
fn without_value(message: &str) -> String {
    let shortened = ["invalid type: ", "invalid value: "].iter().find_map(|kind| {
        let (found, expected) = message.strip_prefix(kind)?.rsplit_once(", expected ")?;
        let found = found.split([' ', '`', '"']).next().filter(|found| !found.is_empty());
        Some(format!("{kind}{}, expected {expected}", found.unwrap_or("value")))
    });
    shortened.unwrap_or_else(|| message.to_owned())
}

/// Returns the path of a value in a JSON body as a JSON Pointer (RFC 6901 §3).
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
}
