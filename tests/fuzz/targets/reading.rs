//! Parsers of requests that are independent of those in production.

use std::borrow::Cow;

use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode;

use super::world::{CONFIDENTIAL, PUBLIC, SECRET};

const RECOGNIZED: [&str; 9] = [
    "grant_type",
    "client_id",
    "client_secret",
    "username",
    "password",
    "scope",
    "refresh_token",
    "token",
    "token_type_hint",
];

/// Parameters of a form.
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Returns `None` for invalid forms: invalid UTF-8 or percent-encoding, or a repeated
    /// parameter.
    pub fn read(body: &[u8]) -> Option<Self> {
        let read: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let is_strict =
            body.split(|byte| matches!(byte, b'&' | b'=')).all(|part| decode(part).is_some());
        let known = || read.iter().filter(|(name, _)| RECOGNIZED.contains(&name.as_str()));
        let is_once =
            known().all(|(name, _)| known().filter(|(other, _)| other == name).count() == 1);
        (is_strict && is_once).then_some(Self(read))
    }

    /// Returns a parameter. An empty value counts as absent (RFC 6749 §3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, _)| own == name && RECOGNIZED.contains(&name));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Returns whether the scope is well-formed (RFC 6749 §3.3), except for superfluous spaces.
    pub fn has_valid_scope(&self) -> bool {
        let scope = self.get("scope").unwrap_or_default();
        scope.bytes().all(|byte| matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~'))
    }

    /// Returns whether the requested scopes are among these. Without `scope`, none are requested.
    pub fn requests_only(&self, scopes: &[&str]) -> bool {
        let asked = self.get("scope").unwrap_or_default();
        asked.split(' ').all(|token| token.is_empty() || scopes.contains(&token))
    }
}

/// Decodes form encoding. Returns `None` if it is invalid.
pub fn decode(part: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = part.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    let mut escapes = part.split(|byte| *byte == b'%').skip(1);
    let is_whole =
        escapes.all(|rest| rest.len() > 1 && rest[..2].iter().all(u8::is_ascii_hexdigit));
    let text = percent_decode(&spaced).decode_utf8().ok().map(Cow::into_owned);
    text.filter(|_| is_whole)
}

/// Client of a request, as authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    Public,
    Confidential,
}

/// Returns the client of a request; `None` if its authentication must fail.
pub fn caller(headers: &[(HeaderName, HeaderValue)], form: &Form) -> Option<Caller> {
    let (id, secret) = (form.get("client_id"), form.get("client_secret"));
    let in_body = || Some((vec![id?.to_owned()], vec![secret.unwrap_or_default().to_owned()]));
    let in_header = match basic_headers(headers)[..] {
        [] => None,
        [header] => Some(basic(header)),
        _ => return None,
    };
    let (ids, secrets) = match in_header {
        None => in_body()?,
        Some(read) => {
            let read =
                read.map(|(user, password)| (interpretations(user), interpretations(password)));
            let (ids, secrets) = read.unwrap_or_default();
            let narrowed = narrow(&ids, id).zip(narrow(&secrets, secret));
            let names_a_client = ids.iter().any(|id| [PUBLIC, CONFIDENTIAL].contains(&id.as_str()));
            match narrowed {
                Some(both) => both,
                None if names_a_client || secret.is_some() => return None,
                None => in_body()?,
            }
        }
    };
    ids.iter().find_map(|id| match id.as_str() {
        PUBLIC => secrets.iter().all(String::is_empty).then_some(Caller::Public),
        CONFIDENTIAL => {
            secrets.iter().any(|secret| secret == SECRET).then_some(Caller::Confidential)
        }
        _ => None,
    })
}

/// Returns the one of `values` that the body names, or all if it names none; `None` if the body
/// names another.
fn narrow(values: &[String], named: Option<&str>) -> Option<Vec<String>> {
    match named {
        None => Some(values.to_vec()),
        Some(named) => values.iter().find(|own| *own == named).map(|own| vec![own.clone()]),
    }
}

/// Returns the values of the `Authorization` headers of the scheme Basic; others have no effect.
pub fn basic_headers(headers: &[(HeaderName, HeaderValue)]) -> Vec<&[u8]> {
    let of_all = headers.iter().filter(|(name, _)| *name == AUTHORIZATION);
    let is_basic = |value: &&[u8]| {
        let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        value[..end].eq_ignore_ascii_case(b"basic")
    };
    of_all.map(|(_, value)| value.as_bytes()).filter(is_basic).collect()
}

/// Returns the form-decoded and the raw text. RFC 6749 §2.3.1 requires the encoding; many clients
/// omit it.
fn interpretations(raw: String) -> Vec<String> {
    decode(raw.as_bytes()).into_iter().chain([raw]).collect()
}

/// Returns user name and password of an `Authorization` header (RFC 7617).
pub fn basic(header: &[u8]) -> Option<(String, String)> {
    let credentials = STANDARD.decode(credentials(header, "basic")?).ok()?;
    let credentials = String::from_utf8(credentials).ok()?;
    let (user, password) = credentials.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Returns the credentials after the scheme (RFC 9110 §11.4).
pub fn credentials<'a>(header: &'a [u8], scheme: &str) -> Option<&'a str> {
    let is_text = header.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    let text = std::str::from_utf8(header).ok().filter(|_| is_text)?;
    let at = text.find(' ').unwrap_or(text.len());
    text[..at].eq_ignore_ascii_case(scheme).then(|| text[at..].trim_matches(' '))
}
