//! Who the client is, and whether it proves it (RFC 6749 §2.3, §3.2.1).

use std::borrow::Cow;
use std::sync::OnceLock;

use secrecy::{ExposeSecret, SecretString};

use zeroize::Zeroizing;

use super::{ClientFailure, Error, Provider, Request, audit, params};
use crate::domain::{Client, ClientId, ClientKind, Digest};

/// The user and password of an `Authorization: Basic` header, as they were sent.
#[derive(Clone, Debug)]
pub struct BasicCredentials {
    /// The part before the first colon.
    pub user: String,
    /// The part after it.
    pub password: SecretString,
}

/// What an `Authorization` header holds.
#[derive(Clone, Debug)]
pub enum Presented {
    /// There is none.
    Nothing,
    /// Basic credentials (RFC 7617).
    Basic(BasicCredentials),
    /// Something else, or something that cannot be read.
    Unreadable,
}

/// An `Authorization` header, which is read when somebody wants to know what is in it.
#[derive(Debug)]
pub struct Authorization<'a> {
    header: Option<&'a [u8]>,
    read: fn(&[u8]) -> Presented,
    presented: OnceLock<Presented>,
}

impl<'a> Authorization<'a> {
    /// For a request without one.
    pub const fn nothing() -> Self {
        Self { header: None, read: |_| Presented::Nothing, presented: OnceLock::new() }
    }

    /// For one with this header, which `read` reads.
    pub const fn of(header: &'a [u8], read: fn(&[u8]) -> Presented) -> Self {
        Self { header: Some(header), read, presented: OnceLock::new() }
    }

    /// The header as it was sent.
    pub(super) const fn header(&self) -> Option<&'a [u8]> {
        self.header
    }

    /// What is in it.
    fn presented(&self) -> &Presented {
        self.presented
            .get_or_init(|| self.header.map_or(Presented::Nothing, |header| (self.read)(header)))
    }
}

/// What a client says of itself.
struct Claim<'a> {
    /// Possible readings of the id, the likeliest first.
    ids: Readings<'a>,
    /// Possible readings of the secret.
    secrets: Readings<'a>,
}

/// What a text may mean, where it is not sure how it was written; wiped after use.
struct Readings<'a> {
    /// The form-decoded text, where that differs.
    decoded: Option<Zeroizing<String>>,
    /// The text as it is.
    raw: Option<&'a str>,
}

impl<'a> Readings<'a> {
    /// The text, and nothing else.
    const fn only(raw: Option<&'a str>) -> Self {
        Self { decoded: None, raw }
    }

    /// The form-decoded text, and the text as it is where that differs.
    fn of(raw: &'a str) -> Self {
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

impl Claim<'_> {
    fn has_secret(&self) -> bool {
        self.secrets.iter().any(|secret| !secret.is_empty())
    }
}

impl Provider {
    /// The client that sends this request: a public one that names itself, or a confidential one
    /// that proves itself.
    pub(super) async fn authenticate(&self, request: &Request<'_>) -> Result<Client, Error> {
        let claim = claim(request)?;
        match self.check(&claim).await? {
            Ok(client) => Ok(client),
            Err(failure) => {
                // Where there is no secret nothing was guessed.
                if claim.has_secret() {
                    self.throttle.secret_failed(request.address).await?;
                }
                let named = claim.ids.first();
                Err(refuse(named, failure, request))
            }
        }
    }

    /// The same for endpoints that only confidential clients may call.
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

    async fn check(&self, claim: &Claim<'_>) -> Result<Result<Client, ClientFailure>, Error> {
        let mut found = None;
        for id in claim.ids.iter() {
            let Ok(id) = id.parse::<ClientId>() else { continue };
            found = self.stores.clients.find(&id).await?;
            if found.is_some() {
                break;
            }
        }
        Ok(judge(claim, found.as_ref()).and_then(|()| found.ok_or(ClientFailure::Unknown)))
    }
}

/// Whether the claim is the client's, and the client may be served.
fn judge(claim: &Claim<'_>, client: Option<&Client>) -> Result<(), ClientFailure> {
    let expected = match client.map(|client| &client.kind) {
        Some(ClientKind::Confidential(digest)) => *digest,
        // A digest that nothing has, so that an unknown client costs what a wrong secret costs.
        _ => Digest::from_bytes([0; 32]),
    };
    // Every reading is compared, so that time does not tell which one was right.
    let proven = claim
        .secrets
        .iter()
        .fold(false, |proven, secret| (Digest::of(secret.as_bytes()) == expected) | proven);
    let client = client.ok_or(ClientFailure::Unknown)?;
    let in_order = if client.is_confidential() {
        proven
    } else {
        // RFC 6749 §2.3.1: "The client MAY omit the parameter if the client secret is an empty
        // string", and libraries send `id:` for a public client.
        !claim.has_secret()
    };
    match (in_order, client.enabled) {
        (false, _) => Err(ClientFailure::WrongSecret),
        (true, false) => Err(ClientFailure::Disabled),
        (true, true) => Ok(()),
    }
}

/// What the request says of its client.
fn claim<'a>(request: &Request<'a>) -> Result<Claim<'a>, Error> {
    match request.authorization.presented() {
        Presented::Basic(basic) => from_header(basic, request),
        Presented::Nothing => from_body(request),
        // A client that tries to authenticate by a header and cannot is told how (RFC 6749 §5.2).
        Presented::Unreadable => Err(refuse("", ClientFailure::Unreadable, request)),
    }
}

/// The refusal, once it is in the audit log.
fn refuse(named: &str, failure: ClientFailure, request: &Request<'_>) -> Error {
    audit::client_refused(named, failure, request.address);
    Error::InvalidClient(failure)
}

/// RFC 6749 §2.3.1: "The client identifier is encoded using the "application/x-www-form-urlencoded"
/// encoding algorithm […], and the encoded value is used as the username; the client password is
/// encoded using the same algorithm and used as the password."
///
/// Many clients do not encode, so the raw value is taken where the decoded one does not fit.
fn from_header<'a>(basic: &'a BasicCredentials, request: &Request<'a>) -> Result<Claim<'a>, Error> {
    // RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in each request."
    if request.params.get("client_secret").is_some() {
        return Err(Error::InvalidRequest("more than one client authentication method is used"));
    }
    let ids = Readings::of(&basic.user);
    if let Some(named) = request.params.get("client_id")
        && !ids.iter().any(|id| id == named)
    {
        return Err(Error::InvalidRequest("client_id is not the client that authenticates"));
    }
    Ok(Claim { ids, secrets: Readings::of(basic.password.expose_secret()) })
}

fn from_body<'a>(request: &Request<'a>) -> Result<Claim<'a>, Error> {
    let Some(id) = request.params.get("client_id") else {
        return Err(refuse("", ClientFailure::Missing, request));
    };
    let secret = request.params.get("client_secret");
    Ok(Claim { ids: Readings::only(Some(id)), secrets: Readings::only(secret) })
}
