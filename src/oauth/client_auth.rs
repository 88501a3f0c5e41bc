//! Who the client is, and whether it proves it (RFC 6749 §2.3, §3.2.1).

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

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

/// What a client says of itself.
struct Claim {
    /// Possible readings of the id, the likeliest first.
    ids: Vec<String>,
    /// Possible readings of the secret.
    secrets: Vec<SecretString>,
}

impl Claim {
    fn has_secret(&self) -> bool {
        self.secrets.iter().any(|secret| !secret.expose_secret().is_empty())
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
                let named = claim.ids.first().map_or("", String::as_str);
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

    /// A confidential client that proves itself, as it was when it was last found. Nothing is read:
    /// it may have changed since. Who has the right secret is not asked how many others have guessed.
    /// `None` leaves it to [`Self::authenticate_confidential`].
    pub(super) fn recall_confidential(&self, request: &Request<'_>) -> Option<Arc<Client>> {
        let names_itself = match request.presented {
            Presented::Basic(_) => true,
            Presented::Nothing => request.params.get("client_id").is_some(),
            Presented::Unreadable => false,
        };
        // What is refused for good is refused, and put into the audit log, in one place.
        if !names_itself {
            return None;
        }
        let claim = claim(request).ok()?;
        let id = claim.ids.first()?.parse().ok()?;
        let client = self.stores.clients.recall(&id)?;
        (client.is_confidential() && judge(&claim, Some(&client)).is_ok()).then_some(client)
    }

    async fn check(&self, claim: &Claim) -> Result<Result<Client, ClientFailure>, Error> {
        let mut found = None;
        for id in &claim.ids {
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
fn judge(claim: &Claim, client: Option<&Client>) -> Result<(), ClientFailure> {
    let expected = match client.map(|client| &client.kind) {
        Some(ClientKind::Confidential(digest)) => *digest,
        // A digest that nothing has, so that an unknown client costs what a wrong secret costs.
        _ => Digest::from_bytes([0; 32]),
    };
    // Every reading is compared, so that time does not tell which one was right.
    let proven = claim.secrets.iter().fold(false, |proven, secret| {
        (Digest::of(secret.expose_secret().as_bytes()) == expected) | proven
    });
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
fn claim(request: &Request<'_>) -> Result<Claim, Error> {
    match request.presented {
        Presented::Basic(basic) => from_header(basic, request),
        Presented::Nothing => from_body(request),
        // A client that tries to authenticate by a header and cannot is told how (RFC 6749 §5.2).
        Presented::Unreadable => Err(refuse("", ClientFailure::Unreadable, request)),
    }
}

/// The refusal, once it is in the audit log.
fn refuse(named: &str, failure: ClientFailure, request: &Request<'_>) -> Error {
    audit::client_refused(named, &failure.to_string(), request.address);
    Error::InvalidClient(failure)
}

/// RFC 6749 §2.3.1: "The client identifier is encoded using the "application/x-www-form-urlencoded"
/// encoding algorithm […], and the encoded value is used as the username; the client password is
/// encoded using the same algorithm and used as the password."
///
/// Many clients do not encode, so the raw value is taken where the decoded one does not fit.
fn from_header(basic: &BasicCredentials, request: &Request<'_>) -> Result<Claim, Error> {
    // RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in each request."
    if request.params.get("client_secret").is_some() {
        return Err(Error::InvalidRequest("more than one client authentication method is used"));
    }
    let ids = readings(&basic.user);
    if let Some(named) = request.params.get("client_id")
        && !ids.iter().any(|id| id == named)
    {
        return Err(Error::InvalidRequest("client_id is not the client that authenticates"));
    }
    let secrets = readings(basic.password.expose_secret());
    Ok(Claim { ids, secrets: secrets.into_iter().map(SecretString::from).collect() })
}

fn from_body(request: &Request<'_>) -> Result<Claim, Error> {
    let Some(id) = request.params.get("client_id") else {
        return Err(refuse("", ClientFailure::Missing, request));
    };
    let secret = request.params.get("client_secret").map(SecretString::from);
    Ok(Claim { ids: vec![id.to_owned()], secrets: secret.into_iter().collect() })
}

/// The form-decoded text, and the text as it is where that differs.
fn readings(raw: &str) -> Vec<String> {
    let decoded = params::decode(raw.as_bytes()).ok().filter(|decoded| decoded != raw);
    decoded.into_iter().map(|text| text.into_owned()).chain([raw.to_owned()]).collect()
}
