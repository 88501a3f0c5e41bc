//! Client authentication (RFC 6749 §2.3, §3.2.1).

use std::borrow::Cow;
use std::sync::OnceLock;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{ClientFailure, Error, Provider, Request, audit, params};
use crate::domain::{Client, ClientId, ClientKind, Digest};

/// User name and password of an `Authorization: Basic` header, not form-decoded.
#[derive(Clone, Debug)]
pub struct BasicCredentials {
    /// User name: the part before the first colon. An OAuth client sends its client id.
    pub user: String,
    /// Password: the part after the first colon, or empty. An OAuth client sends its secret.
    pub password: SecretString,
}

/// Content of the `Authorization` header of a request.
#[derive(Clone, Debug)]
pub enum AuthorizationHeader {
    /// The request has no `Authorization` header.
    Missing,
    /// Basic credentials (RFC 7617).
    Basic(BasicCredentials),
    /// Credentials of another scheme than Basic, or a header that cannot be parsed.
    Unreadable,
}

/// The `Authorization` header of a request, if there is one, parsed on first use.
#[derive(Debug)]
pub struct Authorization<'a> {
    header: Option<&'a [u8]>,
    parse: fn(&[u8]) -> AuthorizationHeader,
    parsed: OnceLock<AuthorizationHeader>,
}

impl<'a> Authorization<'a> {
    /// Creates the value for a request without an `Authorization` header.
    pub const fn missing() -> Self {
        Self { header: None, parse: |_| AuthorizationHeader::Missing, parsed: OnceLock::new() }
    }

    /// Creates the value for a request with the header value `header`, which `parse` parses.
    pub const fn of(header: &'a [u8], parse: fn(&[u8]) -> AuthorizationHeader) -> Self {
        Self { header: Some(header), parse, parsed: OnceLock::new() }
    }

    /// Returns the value of the `Authorization` header as it was sent, if the request has one.
    pub(super) const fn header(&self) -> Option<&'a [u8]> {
        self.header
    }

    /// Returns the parsed `Authorization` header; parses it at the first call.
    fn parsed(&self) -> &AuthorizationHeader {
        self.parsed.get_or_init(|| {
            self.header.map_or(AuthorizationHeader::Missing, |header| (self.parse)(header))
        })
    }
}

/// The client id and client secret with which a client identifies itself in a request.
struct ClientCredentials<'a> {
    /// Possible client ids (form-decoded, and as it was sent), the most likely first.
    ids: Candidates<'a>,
    /// Possible client secrets (form-decoded, and as it was sent); none if the request has none.
    secrets: Candidates<'a>,
}

/// Possible values of a client id or secret that the client may have sent form-encoded or raw. The
/// decoded copy is zeroized on drop.
struct Candidates<'a> {
    /// The form-decoded value, if it differs from the value as it was sent.
    decoded: Option<Zeroizing<String>>,
    /// The value as it was sent, if there is one.
    raw: Option<&'a str>,
}

impl<'a> Candidates<'a> {
    /// Returns `raw`, a value as it was sent, as the only possible value; none if `raw` is `None`.
    const fn only(raw: Option<&'a str>) -> Self {
        Self { decoded: None, raw }
    }

    /// Returns the possible values of a parameter that may be form-encoded: first the decoded
    /// value, if it differs from `raw`, and then `raw`, the value as it was sent.
    fn decoded_and_raw(raw: &'a str) -> Self {
        let decoded = match params::decode(raw.as_bytes()) {
            Ok(Cow::Owned(decoded)) if decoded != raw => Some(Zeroizing::new(decoded)),
            _ => None,
        };
        Self { decoded, raw: Some(raw) }
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.decoded.as_ref().map(|decoded| decoded.as_str()).into_iter().chain(self.raw)
    }

    fn first(&self) -> &str {
        self.iter().next().unwrap_or_default()
    }
}

impl ClientCredentials<'_> {
    fn has_secret(&self) -> bool {
        self.secrets.iter().any(|secret| !secret.is_empty())
    }
}

impl Provider {
    /// Returns the authenticated client: a public client that names itself, or a confidential
    /// client that proves its secret.
    pub(super) async fn authenticate(&self, request: &Request<'_>) -> Result<Client, Error> {
        let credentials = credentials(request)?;
        match self.check(&credentials).await? {
            Ok(client) => Ok(client),
            Err(failure) => {
                // A request without a secret is not a guess and does not count against the budget.
                if credentials.has_secret() {
                    self.rate_limiter.secret_failed(request.address).await?;
                }
                let named = credentials.ids.first();
                Err(refuse(named, failure, request))
            }
        }
    }

    /// Returns the authenticated client. Rejects public clients, for endpoints that require
    /// confidential clients.
    pub(super) async fn authenticate_confidential(
        &self,
        request: &Request<'_>,
    ) -> Result<Client, Error> {
        let client = self.authenticate(request).await?;
        if client.is_confidential() {
            Ok(client)
        } else {
            Err(refuse(client.id.as_str(), ClientFailure::Public, request))
        }
    }

    async fn check(
        &self,
        credentials: &ClientCredentials<'_>,
    ) -> Result<Result<Client, ClientFailure>, Error> {
        let mut found = None;
        for id in credentials.ids.iter() {
            let Ok(id) = id.parse::<ClientId>() else { continue };
            found = self.stores.clients.find(&id).await?;
            if found.is_some() {
                break;
            }
        }
        Ok(check_credentials(credentials, found.as_ref())
            .and_then(|()| found.ok_or(ClientFailure::Unknown)))
    }
}

/// Checks that `client` exists and is enabled, and that one of the possible secrets is right or,
/// for a public client, that no secret was sent.
fn check_credentials(
    credentials: &ClientCredentials<'_>,
    client: Option<&Client>,
) -> Result<(), ClientFailure> {
    let expected = match client.map(|client| &client.kind) {
        Some(ClientKind::Confidential(digest)) => *digest,
        // No secret has this digest. It lets an unknown client take as long as a wrong secret.
        _ => Digest::from_bytes([0; 32]),
    };
    // Every candidate is compared, so that the timing does not reveal which one matched.
    let secret_matches = credentials
        .secrets
        .iter()
        .fold(false, |matches, secret| (Digest::of(secret.as_bytes()) == expected) | matches);
    let client = client.ok_or(ClientFailure::Unknown)?;
    let authenticated = if client.is_confidential() {
        secret_matches
    } else {
        // RFC 6749 §2.3.1: "The client MAY omit the parameter if the client secret is an empty
        // string", and libraries send `id:` for a public client.
        !credentials.has_secret()
    };
    match (authenticated, client.enabled) {
        (false, _) => Err(ClientFailure::WrongSecret),
        (true, false) => Err(ClientFailure::Disabled),
        (true, true) => Ok(()),
    }
}

/// Returns the client's credentials from the `Authorization` header or the request body.
fn credentials<'a>(request: &Request<'a>) -> Result<ClientCredentials<'a>, Error> {
    match request.authorization.parsed() {
        AuthorizationHeader::Basic(basic) => credentials_from_header(basic, request),
        AuthorizationHeader::Missing => credentials_from_body(request),
        // RFC 6749 §5.2: a client that attempted to authenticate by the header gets 401 with
        // `WWW-Authenticate`.
        AuthorizationHeader::Unreadable => Err(refuse("", ClientFailure::Unreadable, request)),
    }
}

/// Writes the audit event of a failed client authentication and returns `invalid_client`.
fn refuse(named: &str, failure: ClientFailure, request: &Request<'_>) -> Error {
    audit::client_refused(named, failure, request.address);
    Error::InvalidClient(failure)
}

/// Reads the client's credentials from the Basic header. RFC 6749 §2.3.1: "The client identifier is
/// encoded using the "application/x-www-form-urlencoded" encoding algorithm […], and the encoded
/// value is used as the username; the client password is encoded using the same algorithm and used
/// as the password."
///
/// Many clients do not encode the values, so the values are also tried as they were sent.
fn credentials_from_header<'a>(
    basic: &'a BasicCredentials,
    request: &Request<'a>,
) -> Result<ClientCredentials<'a>, Error> {
    // RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in each request."
    if request.params.get("client_secret").is_some() {
        return Err(Error::InvalidRequest("more than one client authentication method is used"));
    }
    let ids = Candidates::decoded_and_raw(&basic.user);
    if let Some(named) = request.params.get("client_id")
        && !ids.iter().any(|id| id == named)
    {
        return Err(Error::InvalidRequest("client_id is not the client that authenticates"));
    }
    Ok(ClientCredentials {
        ids,
        secrets: Candidates::decoded_and_raw(basic.password.expose_secret()),
    })
}

fn credentials_from_body<'a>(request: &Request<'a>) -> Result<ClientCredentials<'a>, Error> {
    let Some(id) = request.params.get("client_id") else {
        return Err(refuse("", ClientFailure::Missing, request));
    };
    let secret = request.params.get("client_secret");
    Ok(ClientCredentials { ids: Candidates::only(Some(id)), secrets: Candidates::only(secret) })
}
