//! The management page and its API, with the operator's credentials: any method, path, query,
//! header and body below the path of the page.

use actix_web::http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::form_bodies::{header, split_head};
use super::world::{Call, OPERATOR, TestResponse, World, with_world};

const PATH: &str = "/oauth/management";

/// Takes the method, and the target after the path of the page, from the first line of the input.
/// Headers, an empty line and the body follow.
pub fn run(input: &[u8]) {
    let Some(call) = call(input) else { return };
    with_world(|world| {
        let answer = world.send(&call);
        if !call.method.is_safe() {
            world.restore_all();
        }
        check(&call, &answer);
        if call.method == Method::GET && answer.status == StatusCode::OK {
            follow(&call, &answer, world);
        }
    });
}

fn call(input: &[u8]) -> Option<Call> {
    let (mut lines, body) = split_head(input);
    let first = lines.next()?;
    let at = first.iter().position(|byte| *byte == b' ')?;
    let method = Method::from_bytes(&first[..at]).ok()?;
    let target = Uri::try_from([PATH.as_bytes(), &first[at + 1..]].concat()).ok()?;
    let credentials = STANDARD.encode(format!("{}:{}", OPERATOR.0, OPERATOR.1));
    let credentials = HeaderValue::try_from(format!("Basic {credentials}")).unwrap();
    let mut headers: Vec<(HeaderName, HeaderValue)> = lines.map(header).collect::<Option<_>>()?;
    headers.retain(|(name, _)| *name != AUTHORIZATION);
    headers.push((AUTHORIZATION, credentials));
    // Other paths do not belong to the management page.
    let is_below = target.path().starts_with(PATH) && target.authority().is_none();
    is_below.then(|| Call { method, target, peer: None, headers, body: body.to_vec() })
}

fn check(call: &Call, answer: &TestResponse) {
    let header = |name| answer.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = &call.target.path()[PATH.len()..];
    // Another path may have the same prefix.
    if rest.is_empty() || rest.starts_with('/') {
        assert_eq!(header(X_CONTENT_TYPE_OPTIONS), b"nosniff", "{call:?}");
        assert!(header(CONTENT_SECURITY_POLICY).starts_with(b"default-src 'none'"), "{call:?}");
    }
    let text = String::from_utf8_lossy(&answer.body);
    let kind = String::from_utf8_lossy(header(CONTENT_TYPE)).into_owned();
    if kind.starts_with("text/html") {
        let lower = text.to_ascii_lowercase();
        for bad in ["<script", "<img src=x", "onerror=", "javascript:"] {
            assert!(!lower.contains(bad) || is_escaped(&lower, bad), "{bad} in {text}");
        }
    }
    let is_api = rest == "/api" || rest.starts_with("/api/");
    if is_api && answer.status.is_client_error() && call.method != Method::HEAD {
        assert_eq!(kind, "application/problem+json", "{call:?} {text}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["status"], answer.status.as_u16());
    }
    if answer.status == StatusCode::SEE_OTHER {
        // A relative reference that does not lead out of the management page.
        let location = String::from_utf8_lossy(header(LOCATION)).into_owned();
        let up = location.split('/').take_while(|segment| *segment == "..").count();
        let is_within = up < rest.matches('/').count().max(1);
        assert!(location.starts_with('.') && is_within, "{call:?} {location}");
    }
}

/// Returns whether text in a tag that looks like an attribute is inside a quoted attribute value.
fn is_escaped(html: &str, text: &str) -> bool {
    !text.starts_with('<')
        && html.match_indices(text).all(|(at, _)| {
            let tag = html[..at].rfind('<').map_or("", |open| &html[open..at]);
            tag.contains('>') || tag.matches('"').count() % 2 == 1
        })
}

/// Requests the next page of a list from the link in the list.
fn follow(call: &Call, answer: &TestResponse, world: &World) {
    let Ok(Value::Object(list)) = serde_json::from_slice(&answer.body) else { return };
    let Some(next) = list.get("next").and_then(Value::as_str) else { return };
    let target = format!("{}?after={next}", call.target.path());
    let target = Uri::try_from(target).unwrap();
    let headers = call.headers.clone();
    let more = Call { method: Method::GET, target, peer: None, headers, body: Vec::new() };
    assert_eq!(world.send(&more).status, StatusCode::OK, "{more:?}");
}
