//! The `Authorization` header at introspection (Basic, of a client), verify (Bearer) and the
//! management API (Basic, of the operator): a request is authenticated if, and only if, an
//! independent parser of the header accepts it.

use actix_web::http::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE,
};
use actix_web::http::{Method, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reading::{Caller, Form, basic, basic_headers, caller, credentials, decode};
use super::world::{Call, OPERATOR, SCOPES, World, with_world};

/// Takes the query of verify from the first line of the input. Each other line is a header value,
/// or, after `basic:`, credentials to encode for one.
pub fn run(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let query = lines.next().unwrap_or_default();
    let headers: Option<Vec<_>> = lines.take(3).map(header).collect();
    let target = [b"/oauth/verify?", query].concat();
    let (Some(headers), Ok(target)) = (headers, Uri::try_from(target)) else { return };
    with_world(|world| {
        introspect(world, &headers);
        manage(world, &headers);
        verify(world, &headers, target);
        world.restore(None);
    });
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let value = match line.strip_prefix(b"basic:") {
        Some(plain) => HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain))).ok()?,
        None => HeaderValue::from_bytes(line).ok()?,
    };
    Some((AUTHORIZATION, value))
}

fn introspect(world: &World, headers: &[(HeaderName, HeaderValue)]) {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let body = format!("token={}", world.access).into_bytes();
    let is_let_in = caller(headers, &Form::read(&body).unwrap()) == Some(Caller::Confidential);
    let answer = world.send(&Call {
        method: Method::POST,
        target: Uri::from_static("/oauth/introspect"),
        peer: None,
        headers: headers.iter().cloned().chain([(CONTENT_TYPE, form)]).collect(),
        body,
    });
    assert_eq!(answer.status == StatusCode::OK, is_let_in, "{headers:?} {answer:?}");
    let is_active = answer.body.starts_with(b"{\"active\":true,");
    assert_eq!(is_active, is_let_in, "{headers:?} {answer:?}");
}

fn manage(world: &World, headers: &[(HeaderName, HeaderValue)]) {
    let is_operator = match basic_headers(headers)[..] {
        [only] => basic(only).is_some_and(|(user, password)| (&*user, &*password) == OPERATOR),
        _ => false,
    };
    let answer = world.send(&get(Uri::from_static("/oauth/management/api/users"), headers));
    let expected = if is_operator { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    assert_eq!(answer.status, expected, "{headers:?}");
    assert_eq!(answer.headers.contains_key(WWW_AUTHENTICATE), !is_operator);
}

fn verify(world: &World, headers: &[(HeaderName, HeaderValue)], target: Uri) {
    let is_ours = match headers {
        [(_, only)] => credentials(only.as_bytes(), "bearer") == Some(&world.access),
        _ => false,
    };
    let required = required_scopes(target.query().unwrap_or_default());
    let answer = world.send(&get(target, headers));
    let expected = match &required {
        None => StatusCode::BAD_REQUEST,
        Some(_) if !is_ours => StatusCode::UNAUTHORIZED,
        Some(scopes) if scopes.iter().all(|scope| SCOPES.contains(&scope.as_str())) => {
            StatusCode::OK
        }
        Some(_) => StatusCode::FORBIDDEN,
    };
    assert_eq!(answer.status, expected, "{headers:?}");
    let is_refusal = matches!(expected, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    assert_eq!(answer.headers.contains_key(WWW_AUTHENTICATE), is_refusal);
    assert_eq!(answer.body.is_empty(), expected != StatusCode::BAD_REQUEST);
}

/// Returns the scopes that a query of verify requires; `None` for queries that must be refused. The
/// token of the world has a user, so `user=required` requires nothing more.
fn required_scopes(query: &str) -> Option<Vec<String>> {
    let pairs: Vec<&str> = query.split('&').filter(|_| !query.is_empty()).collect();
    let is_user = |pair: &&str| *pair == "user=required";
    let (users, others): (Vec<&str>, Vec<&str>) = pairs.into_iter().partition(is_user);
    if users.len() > 1 || others.len() > 1 {
        return None;
    }
    let Some(scope) = others.first() else { return Some(Vec::new()) };
    let scope = decode(scope.strip_prefix("scope=")?.as_bytes())?;
    let scopes: Vec<String> =
        scope.split(' ').filter(|token| !token.is_empty()).map(str::to_owned).collect();
    let is_valid = |byte: u8| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
    let valid = !scopes.is_empty() && scopes.iter().all(|token| token.bytes().all(is_valid));
    valid.then_some(scopes)
}

fn get(target: Uri, headers: &[(HeaderName, HeaderValue)]) -> Call {
    Call { method: Method::GET, target, peer: None, headers: headers.to_vec(), body: Vec::new() }
}
