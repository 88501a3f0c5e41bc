//! POST to the token, introspection and revocation endpoints: the status is 200 if, and only if, an
//! independent parser accepts the request.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, PRAGMA,
    WWW_AUTHENTICATE,
};
use actix_web::http::{Method, StatusCode, Uri};
use sentinel::domain::Token;
use serde_json::{Map, Value};

use super::reading::{Caller, Form, caller};
use super::world::{Call, MAX_BODY, PASSWORD, SCOPES, TestResponse, USER, World, with_world};

/// Takes the endpoint from the first line. Headers, an empty line and the body follow.
pub fn run(input: &[u8]) {
    let Some(call) = call(input) else { return };
    with_world(|world| {
        let answer = world.send(&call);
        let members = is_well_formed(&answer);
        let started = members.get("access_token").and_then(Value::as_str).and_then(Token::parse);
        world.restore(started.as_ref());
        check(&call, &answer, &members, world);
    });
}

/// Splits the input at the first empty line.
pub fn split_head(input: &[u8]) -> (impl Iterator<Item = &[u8]>, &[u8]) {
    let at = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let (head, body) = input.split_at(at);
    (head.split(|byte| *byte == b'\n'), body.get(2..).unwrap_or_default())
}

/// Parses `Name: value`.
pub fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let at = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..at]).ok()?;
    let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?;
    Some((name, value))
}

fn call(input: &[u8]) -> Option<Call> {
    let (mut lines, body) = split_head(input);
    let path = match lines.next()? {
        b"introspect" => "/oauth/introspect",
        b"revoke" => "/oauth/revoke",
        _ => "/oauth/token",
    };
    Some(Call {
        method: Method::POST,
        target: Uri::from_static(path),
        peer: Some([192, 0, 2, 1].into()),
        headers: lines.map(header).collect::<Option<_>>()?,
        body: body.to_vec(),
    })
}

/// Asserts the properties that all responses of these endpoints have. Returns the JSON body.
fn is_well_formed(answer: &TestResponse) -> Map<String, Value> {
    let header = |name| answer.headers.get(name).map(HeaderValue::as_bytes);
    assert_eq!(header(CACHE_CONTROL), Some(&b"no-store"[..]));
    assert_eq!(header(PRAGMA), Some(&b"no-cache"[..]));
    assert_eq!(header(CONTENT_TYPE), Some(&b"application/json"[..]));
    assert_eq!(header(WWW_AUTHENTICATE).is_some(), answer.status == StatusCode::UNAUTHORIZED);
    let members: Map<String, Value> = serde_json::from_slice(&answer.body).unwrap();
    if answer.status == StatusCode::OK {
        assert!(!members.contains_key("error"), "{members:?}");
        return members;
    }
    // RFC 6749 §5.2.
    let text = |name: &str| members[name].as_str().unwrap().to_owned();
    let known = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    assert!(known.contains(&text("error").as_str()), "{members:?}");
    let plain = |byte| matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~');
    assert!(text("error_description").bytes().all(plain), "{members:?}");
    assert_eq!(members.len(), 2, "{members:?}");
    let status = if members["error"] == "invalid_client" { &[401][..] } else { &[400, 403, 413] };
    assert!(status.contains(&answer.status.as_u16()), "{}: {members:?}", answer.status);
    members
}

fn check(call: &Call, answer: &TestResponse, members: &Map<String, Value>, world: &World) {
    let is_ok = answer.status == StatusCode::OK;
    let form = Form::read(&call.body).filter(|_| call.body.len() <= MAX_BODY);
    let caller = form.as_ref().and_then(|form| caller(&call.headers, form));
    let (Some(form), Some(caller)) = (form, caller) else {
        return assert!(!is_ok, "{call:?} must be rejected");
    };
    let granted = match call.target.path() {
        "/oauth/introspect" => {
            caller == Caller::Confidential && form.get("token").is_some() && form.has_valid_scope()
        }
        "/oauth/revoke" => is_revocable(&form, caller, world),
        _ => is_granted(&form, caller, world),
    };
    match is_a_form(call) {
        Some(true) => assert_eq!(is_ok, granted, "{call:?} {members:?}"),
        Some(false) => assert!(!is_ok, "{call:?} is not a form"),
        None => assert!(!is_ok || granted, "{call:?}"),
    }
    if is_ok && call.target.path() == "/oauth/introspect" {
        let token = form.get("token").unwrap();
        let is_alive = token == world.access || token == world.refresh;
        let is_alive = is_alive && form.requests_only(&SCOPES);
        assert_eq!(members["active"], is_alive);
        assert!(is_alive || members.len() == 1, "{members:?}");
    }
}

fn is_granted(form: &Form, caller: Caller, world: &World) -> bool {
    let is_grant = match form.get("grant_type") {
        Some("password") => {
            form.get("username") == Some(USER) && form.get("password") == Some(PASSWORD)
        }
        Some("refresh_token") => {
            caller == Caller::Public && form.get("refresh_token") == Some(&world.refresh)
        }
        Some("client_credentials") => caller == Caller::Confidential,
        _ => false,
    };
    is_grant && form.requests_only(&SCOPES)
}

/// Returns whether the revocation succeeds. An active token may be revoked by its own client only.
fn is_revocable(form: &Form, caller: Caller, world: &World) -> bool {
    let own = |text: &str| Token::parse(text).map(|token| token.session_id());
    let session = own(&world.access);
    let of_session = form.get("token").is_some_and(|text| own(text) == session);
    form.get("token").is_some() && (caller == Caller::Public || !of_session)
}

/// Returns `None` if the headers alone do not decide.
fn is_a_form(call: &Call) -> Option<bool> {
    const FORM: &str = "application/x-www-form-urlencoded";
    let of =
        |name| call.headers.iter().filter(move |(own, _)| *own == name).map(|(_, value)| value);
    if of(CONTENT_LENGTH).next().is_some() || of(CONTENT_ENCODING).next().is_some() {
        return None;
    }
    let mut types = of(CONTENT_TYPE);
    let (Some(first), None) = (types.next(), types.next()) else { return Some(false) };
    let first = first.as_bytes();
    let end = first.iter().position(|byte| *byte == b';').unwrap_or(first.len());
    Some(first[..end].trim_ascii().eq_ignore_ascii_case(FORM.as_bytes()))
}
