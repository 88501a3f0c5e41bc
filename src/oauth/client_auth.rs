//! Client authentication (RFC 6749 §2.3, §3.2.1).

use std::borrow::Cow;
use std::sync::OnceLock;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{ClientFailure, Error, Provider, Request, audit, params};
use crate::domain::{
    Client, ClientId, ClientKind, ClientSecret, Digest, PasswordHash, StoredSecret,
};
use crate::observe::audit::format_address;
use crate::password::Verdict;
use crate::rate_limit::CredentialKind;

/// User name and password of an `Authorization: Basic` header, not form-decoded.
#[derive(Clone, Debug)]
pub struct BasicCredentials {
    /// User name: the part before the first colon. An OAuth client sends its client id.
    pub user: String,
    /// Password: the part after the first colon, or empty. An OAuth client sends its secret.
    pub password: SecretString,
}

/// Content of the `Authorization` header of a request. Headers of other schemes than Basic are no
/// client authentication and count as missing: interceptors of HTTP clients send a stale `Bearer`.
#[derive(Clone, Debug)]
pub enum AuthorizationHeader {
    /// The request has no `Authorization` header of the scheme Basic.
    Missing,
    /// Basic credentials (RFC 7617).
    Basic(BasicCredentials),
    /// A header of the scheme Basic whose credentials cannot be decoded.
    Unreadable,
}

/// The Basic `Authorization` header of a request, if there is one, parsed on first use.
#[derive(Debug)]
pub struct Authorization<'a> {
    header: Option<&'a [u8]>,
    parse: fn(&[u8]) -> AuthorizationHeader,
    parsed: OnceLock<AuthorizationHeader>,
}

impl<'a> Authorization<'a> {
    /// Creates the value for a request without a Basic `Authorization` header.
    pub const fn missing() -> Self {
        Self { header: None, parse: |_| AuthorizationHeader::Missing, parsed: OnceLock::new() }
    }

    /// Creates the value for a request with the Basic header `header`, which `parse` parses.
    pub const fn of(header: &'a [u8], parse: fn(&[u8]) -> AuthorizationHeader) -> Self {
        Self { header: Some(header), parse, parsed: OnceLock::new() }
    }

    /// Returns the value of the Basic header as it was sent, if the request has one.
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

    /// Returns `value` as the only possible value; `None` if it is not one of the possible values.
    /// Returns all values if `value` is `None`.
    fn narrowed_to(self, value: Option<&'a str>) -> Option<Self> {
        match value {
            None => Some(self),
            Some(value) => self.iter().any(|one| one == value).then_some(Self::only(Some(value))),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.decoded.as_ref().map(|decoded| decoded.as_str()).into_iter().chain(self.raw)
    }
}

impl<'a> ClientCredentials<'a> {
    /// Reads the client's credentials from the Basic header. RFC 6749 §2.3.1: "The client
    /// identifier is encoded using the "application/x-www-form-urlencoded" encoding algorithm […],
    /// and the encoded value is used as the username; the client password is encoded using the same
    /// algorithm and used as the password."
    ///
    /// Many clients do not encode the values, so the values are also tried as they were sent.
    fn of_header(basic: &'a BasicCredentials) -> Self {
        Self {
            ids: Candidates::decoded_and_raw(&basic.user),
            secrets: Candidates::decoded_and_raw(basic.password.expose_secret()),
        }
    }

    fn of_body(id: &'a str, secret: Option<&'a str>) -> Self {
        Self { ids: Candidates::only(Some(id)), secrets: Candidates::only(secret) }
    }

    /// Limits the possible values to the id and the secret in the request body, which tell which
    /// reading of the header is meant. Returns `None` if the body contradicts the header.
    fn narrowed_to(self, id: Option<&'a str>, secret: Option<&'a str>) -> Option<Self> {
        Some(Self { ids: self.ids.narrowed_to(id)?, secrets: self.secrets.narrowed_to(secret)? })
    }

    fn has_secret(&self) -> bool {
        self.secrets.iter().any(|secret| !secret.is_empty())
    }

    /// Returns the number of pairs of id and secret that the credentials stand for. It depends on
    /// the request only, so that it does not reveal which clients exist.
    fn guesses(&self) -> usize {
        if self.has_secret() { self.ids.iter().count() * self.secrets.iter().count() } else { 0 }
    }

    /// Returns whether the secret may have been chosen by a person: it does not have the form of a
    /// generated secret, form-encoded or not.
    fn may_be_password(&self) -> bool {
        self.has_secret() && !self.secrets.iter().any(ClientSecret::is_generated_form)
    }
}

/// Reason why client authentication failed, with the client that the request names, if one exists.
struct RefusedClient {
    id: Option<ClientId>,
    failure: ClientFailure,
}

impl RefusedClient {
    /// Refusal of a request that names no client.
    const UNKNOWN: Self = Self { id: None, failure: ClientFailure::Unknown };
}

impl Provider {
    /// Returns the authenticated client: a public client that names itself, or a confidential
    /// client that proves its secret.
    pub(super) async fn authenticate(&self, request: &Request<'_>) -> Result<Client, Error> {
        let credentials = self.credentials(request).await?;
        let checked = if credentials.may_be_password() {
            self.check_password(&credentials, request).await?
        } else {
            self.check_generated(&credentials, request).await?
        };
        checked.map_err(|refused| refuse(refused.id.as_ref(), refused.failure, request))
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
            Err(refuse(Some(&client.id), ClientFailure::Public, request))
        }
    }

    /// Returns the client's credentials from the Basic header or the request body.
    async fn credentials<'a>(&self, request: &Request<'a>) -> Result<ClientCredentials<'a>, Error> {
        let (id, secret) = (request.params.get("client_id"), request.params.get("client_secret"));
        let in_header = match request.authorization.parsed() {
            AuthorizationHeader::Missing => {
                let id = id.ok_or_else(|| refuse(None, ClientFailure::Missing, request))?;
                return Ok(ClientCredentials::of_body(id, secret));
            }
            AuthorizationHeader::Basic(basic) => Some(basic),
            AuthorizationHeader::Unreadable => None,
        };
        if let (None, None) = (id, secret) {
            // RFC 6749 §5.2: a client that attempted to authenticate by the header gets 401 with
            // `WWW-Authenticate`.
            let basic =
                in_header.ok_or_else(|| refuse(None, ClientFailure::Unreadable, request))?;
            if basic.user.is_empty() {
                return Err(refuse(None, ClientFailure::Missing, request));
            }
            return Ok(ClientCredentials::of_header(basic));
        }
        // RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in each
        // request."
        // Deviation: the same credentials in header and body are one authentication, because
        // lua-resty-openidc and Apache APISIX send both. Test:
        // `same_credentials_in_header_and_body_are_one_authentication`.
        if let Some(basic) = in_header
            && let Some(both) = ClientCredentials::of_header(basic).narrowed_to(id, secret)
        {
            return Ok(both);
        }
        let Some(id) = id.filter(|_| secret.is_none()) else {
            return Err(Error::InvalidRequest("header and body contain different credentials"));
        };
        if let Some(basic) = in_header
            && self.names_a_client(basic).await?
        {
            return Err(Error::InvalidRequest("client_id is not the client that authenticates"));
        }
        tracing::debug!(
            address = format_address(request.address),
            "ignored a Basic header that names no client: the request names its client by client_id",
        );
        Ok(ClientCredentials::of_body(id, None))
    }

    /// Returns whether a client has one of the possible ids in the Basic header. A header that
    /// names none is meant for another server, such as a proxy in front of a staging system.
    async fn names_a_client(&self, basic: &BasicCredentials) -> Result<bool, Error> {
        let mut found = false;
        for id in Candidates::decoded_and_raw(&basic.user).iter() {
            found |= self.find_client(id).await?.is_some();
        }
        Ok(found)
    }

    async fn find_client(&self, id: &str) -> Result<Option<Client>, Error> {
        match id.parse::<ClientId>() {
            Ok(id) => Ok(self.stores.clients.find(&id).await?),
            Err(_) => Ok(None),
        }
    }

    /// Checks a secret of the form that Sentinel generates, or that no secret was sent, against
    /// every client that has one of the possible ids: a client `a+b` may exist beside a client
    /// `a b`. All are checked, so that the time does not reveal which one matched. A wrong secret
    /// is counted after it was compared, since such secrets cannot be guessed.
    async fn check_generated(
        &self,
        credentials: &ClientCredentials<'_>,
        request: &Request<'_>,
    ) -> Result<Result<Client, RefusedClient>, Error> {
        let (mut accepted, mut refused) = (None, None);
        for id in credentials.ids.iter() {
            let found = self.find_client(id).await?;
            match (check_credentials(credentials, found.as_ref()), found) {
                (Ok(()), found) => accepted = accepted.or(found),
                (Err(failure), Some(client)) => {
                    refused = refused.or(Some(RefusedClient { id: Some(client.id), failure }));
                }
                (Err(_), None) => {}
            }
        }
        if let Some(client) = accepted {
            return Ok(Ok(client));
        }
        // Each pair that was tried is a guess, or a header with two readings would double the
        // budget. A request without a secret is no guess.
        for _ in 0..credentials.guesses() {
            self.rate_limiter.secret_failed(request.address).await?;
        }
        Ok(Err(refused.unwrap_or(RefusedClient::UNKNOWN)))
    }

    /// Checks a secret of any other form, likewise against every client. Somebody may have chosen
    /// it, so it is treated as a password: the rate limiter admits the attempt before anything is
    /// compared, and an unknown client takes as long as a wrong secret.
    async fn check_password(
        &self,
        credentials: &ClientCredentials<'_>,
        request: &Request<'_>,
    ) -> Result<Result<Client, RefusedClient>, Error> {
        if let Some(client) = self.find_cached(request).await? {
            return Ok(Ok(client));
        }
        let (kind, id) = (CredentialKind::ClientSecret, credentials.ids.iter().next());
        let limiter = &self.rate_limiter;
        let attempt = limiter.admit(kind, request.address, id.unwrap_or_default()).await?;
        // Another request may have proved the same secret while this one waited.
        if let Some(client) = self.find_cached(request).await? {
            return Ok(Ok(client));
        }
        let (mut accepted, mut refused) = (None, None);
        for id in credentials.ids.iter() {
            let client = self.find_client(id).await?;
            let right = self.verify_password(credentials, client.as_ref()).await?;
            match (client, right) {
                (Some(client), Some(upgrade)) if client.enabled => {
                    accepted = accepted.or(Some((client, upgrade)));
                }
                (Some(client), right) => {
                    let failure = match right {
                        Some(_) => ClientFailure::Disabled,
                        None => ClientFailure::WrongSecret,
                    };
                    refused = refused.or(Some(RefusedClient { id: Some(client.id), failure }));
                }
                (None, _) => {}
            }
        }
        if let Some((mut client, upgrade)) = accepted {
            attempt.succeeded();
            if let Some(hash) = upgrade {
                self.upgrade_secret(&mut client, hash).await;
            }
            self.caller_cache.insert(request, &client, self.now());
            return Ok(Ok(client));
        }
        let refused = refused.unwrap_or(RefusedClient::UNKNOWN);
        let existing = |tried: Option<&str>| {
            refused.id.as_ref().map(ClientId::as_str).filter(|id| Some(*id) == tried)
        };
        let counted = attempt.failed(existing(id), None).await;
        // As above, each further pair is a guess. It counts for each id that was tried, or guesses
        // at a client could be counted for another id, by the encoding of the header.
        for id in credentials.ids.iter().skip(1) {
            limiter.name_failed(kind, request.address, id, existing(Some(id))).await;
        }
        for _ in 1..credentials.guesses() {
            limiter.secret_failed(request.address).await?;
        }
        counted?;
        Ok(Err(refused))
    }

    /// Returns the client that has proved the secret in `request` before (caller cache), if its
    /// secret has not changed since.
    async fn find_cached(&self, request: &Request<'_>) -> Result<Option<Client>, Error> {
        let Some(cached) = self.caller_cache.get(request, self.now()) else { return Ok(None) };
        let current = self.stores.clients.find(&cached.id).await?;
        Ok(current.filter(|current| {
            current.enabled
                && current.kind == cached.kind
                && current.generation == cached.generation
        }))
    }

    /// Verifies the possible secrets that do not have the form of a generated one. Returns `None`
    /// if all are wrong, otherwise the hash by which the stored secret is to be replaced, if any.
    async fn verify_password(
        &self,
        credentials: &ClientCredentials<'_>,
        client: Option<&Client>,
    ) -> Result<Option<Option<PasswordHash>>, Error> {
        let stored = match client.map(|client| &client.kind) {
            Some(ClientKind::Confidential(stored)) => Some(stored),
            Some(ClientKind::Public) | None => None,
        };
        for text in credentials.secrets.iter().filter(|secret| !secret.is_empty()) {
            let secret = SecretString::from(text);
            let verdict = match stored {
                Some(StoredSecret::Hash(hash)) => {
                    self.passwords.verify(secret, Some(hash.clone())).await?
                }
                Some(StoredSecret::Digest(digest)) if Digest::of(text.as_bytes()) == *digest => {
                    let upgrade = self.passwords.hash(secret).await.inspect_err(|error| {
                        tracing::debug!(%error, "cannot hash a client secret; its digest stays");
                    });
                    Verdict::Right { upgrade: upgrade.ok() }
                }
                // A store has the digest of a secret of any form, so all others take the time of a
                // hash too.
                _ => self.passwords.verify_dummy(secret, None).await?,
            };
            if let Verdict::Right { upgrade } = verdict {
                return Ok(Some(upgrade));
            }
        }
        Ok(None)
    }

    /// Replaces the stored secret of a client by `hash`, a hash of the same secret. A failure does
    /// not fail the authentication; the next one tries again.
    async fn upgrade_secret(&self, client: &mut Client, hash: PasswordHash) {
        let ClientKind::Confidential(stored) = &client.kind else { return };
        match self.stores.clients.upgrade_secret(&client.id, stored, &hash).await {
            Ok(true) => {
                client.kind = ClientKind::Confidential(StoredSecret::Hash(hash));
                tracing::debug!(client = %client.id, "stored the client secret as a password hash");
            }
            // Another request was first, or the secret was replaced.
            Ok(false) => {}
            Err(error) => tracing::warn!(
                client = %client.id, %error,
                "cannot store the client secret as a password hash; the next use tries again",
            ),
        }
    }
}

/// Checks that `client` exists and is enabled, and that one of the possible secrets is right or,
/// for a public client, that no secret was sent. Only secrets of the generated form are compared.
fn check_credentials(
    credentials: &ClientCredentials<'_>,
    client: Option<&Client>,
) -> Result<(), ClientFailure> {
    let expected = match client.map(|client| &client.kind) {
        Some(ClientKind::Confidential(StoredSecret::Digest(digest))) => *digest,
        // No secret has this digest. It lets an unknown client take as long as a wrong secret.
        _ => Digest::from_bytes([0; 32]),
    };
    // Every candidate is compared, so that the timing does not reveal which one matched.
    let secret_matches = credentials
        .secrets
        .iter()
        .filter(|secret| ClientSecret::is_generated_form(secret))
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

/// Writes the audit event of a failed client authentication and returns `invalid_client`. `client`
/// is the client that the request names; any other text may be a secret and is not logged.
fn refuse(client: Option<&ClientId>, failure: ClientFailure, request: &Request<'_>) -> Error {
    audit::client_refused(client, failure, request.address);
    Error::InvalidClient(failure)
}
