//! Operations on clients.

mod change;

use std::collections::BTreeSet;
use std::time::Duration;

pub use change::ClientChange;

use super::audit::{self, AuditSubject};
use super::listing::MAX_SEARCH_BYTES;
use super::{ATTEMPTS, Admin, AdminError, ListPage, Versions};
use crate::domain::{
    Client, ClientId, ClientKind, ClientSecret, Grant, Scope, StoredSecret, Timestamp,
};
use crate::observe::audit::Outcome;
use crate::store::{Page, Update, Written};

/// A client to be registered.
#[derive(Clone, Debug, Default)]
pub struct NewClient {
    /// Display name of the client.
    pub name: String,
    /// Whether the client is confidential (RFC 6749 §2.1), and so gets a secret.
    pub confidential: bool,
    /// Secret of a confidential client that the operator chose; `None` generates one.
    pub secret: Option<StoredSecret>,
    /// Grants that the client may use; `None` for the default grants of its type.
    pub grants: Option<BTreeSet<Grant>>,
    /// Scopes that the client may be granted, beside the default scopes.
    pub scopes: Scope,
    /// Scopes granted if a request of the client has no `scope` parameter.
    pub default_scopes: Scope,
    /// Lifetime of the client's access tokens; `None` for the server's default.
    pub access_token_ttl: Option<Duration>,
    /// Idle lifetime of the client's refresh tokens; `None` for the server's default.
    pub refresh_idle_ttl: Option<Duration>,
    /// Absolute lifetime of the client's sessions; `None` for the server's default.
    pub session_ttl: Option<Duration>,
    /// Whether the client may introspect tokens (RFC 7662 §2.1).
    pub introspection: bool,
    /// Whether introspection reports refresh tokens to the client; requires `introspection`.
    pub introspect_refresh_tokens: bool,
}

impl NewClient {
    /// Returns the client record to be stored, dated `now`. `kind` must agree with
    /// [`Self::confidential`].
    pub(super) fn into_client(
        self,
        id: ClientId,
        kind: ClientKind,
        enabled: bool,
        now: Timestamp,
    ) -> Result<Client, AdminError> {
        let client = Client {
            id,
            name: self.name,
            kind,
            grants: self.grants.unwrap_or_else(|| default_grants(self.confidential)),
            scopes: self.scopes.union(&self.default_scopes),
            default_scopes: self.default_scopes,
            access_token_ttl: self.access_token_ttl,
            refresh_idle_ttl: self.refresh_idle_ttl,
            session_ttl: self.session_ttl,
            introspection: self.introspection,
            introspect_refresh_tokens: self.introspect_refresh_tokens,
            enabled,
            generation: 0,
            version: 0,
            created_at: now,
            updated_at: now,
        };
        check(&client)?;
        Ok(client)
    }
}

impl Admin {
    /// Registers a client. Returns the client and, if one was generated, its secret, which
    /// cannot be read later.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a public client with a grant or permission that requires a
    /// confidential one, or a permission without the one that it requires,
    /// [`AdminError::Contended`] when the generated id is taken, [`AdminError::Store`] when the
    /// store fails.
    pub async fn add_client(
        &self,
        new: NewClient,
    ) -> Result<(Client, Option<ClientSecret>), AdminError> {
        let is_generated = new.confidential && new.secret.is_none();
        let secret = is_generated.then(ClientSecret::generate).transpose()?;
        let kind = match (new.confidential, new.secret.clone(), &secret) {
            (true, Some(chosen), _) => ClientKind::Confidential(chosen),
            (true, None, Some(secret)) => {
                ClientKind::Confidential(StoredSecret::Digest(secret.digest()))
            }
            _ => ClientKind::Public,
        };
        self.stores.mark_in_use().await?;
        let client = new.into_client(ClientId::generate()?, kind, true, self.clock.now())?;
        let inserted = self.stores.clients.insert(&client).await;
        if !AuditSubject::client(&client.id).confirm("client_added", inserted)? {
            return Err(AdminError::Contended);
        }
        audit::client_added(&client);
        Ok((client, secret))
    }

    /// Returns a page of the clients whose id or name contains `part`, or of all clients if it is
    /// empty, in the order of their ids. Letters of ASCII are compared without regard to case. A
    /// search may read all clients.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn clients(&self, part: &str, page: &Page) -> Result<ListPage<Client>, AdminError> {
        if part.len() > MAX_SEARCH_BYTES {
            return Ok(ListPage { items: Vec::new(), next: None });
        }
        let found =
            self.stores.listing.list_clients(part, &ListPage::<Client>::look_ahead(page)).await?;
        Ok(ListPage::of(found, page, |client| client.id.to_string()))
    }

    /// Returns the number of clients whose id or name contains `part` (see [`Self::clients`]), or
    /// `limit` if there are more.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn count_clients(&self, part: &str, limit: u32) -> Result<u64, AdminError> {
        if part.len() > MAX_SEARCH_BYTES {
            return Ok(0);
        }
        Ok(self.stores.listing.count_clients(part, limit).await?)
    }

    /// Returns the client with this id.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when no client has the id, [`AdminError::Store`] when the store
    /// fails.
    pub async fn client(&self, id: &str) -> Result<Client, AdminError> {
        let found = match id.parse() {
            Ok(id) => self.stores.clients.find(&id).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| not_found(id))
    }

    /// Applies `change` to a client and returns the changed client.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when no client has the id, [`AdminError::Invalid`] when a public
    /// client would get a secret, or a grant or permission that requires a confidential one, or a
    /// client a permission without the one that it requires, [`AdminError::OtherVersion`] when the
    /// client has none of the versions in the change, [`AdminError::Contended`] after too many
    /// concurrent changes, [`AdminError::Store`] when the store fails.
    pub async fn edit_client(
        &self,
        id: &ClientId,
        change: &ClientChange,
    ) -> Result<Client, AdminError> {
        Ok(self.change_client(id, change).await?.into_result()?)
    }

    async fn change_client(
        &self,
        id: &ClientId,
        change: &ClientChange,
    ) -> Result<Written<Client>, AdminError> {
        self.stores.mark_in_use().await?;
        for _ in 0..ATTEMPTS {
            let client = self.client(id.as_str()).await?;
            change.versions.check(client.version)?;
            if change.kind.is_some() && !client.is_confidential() {
                return Err(AdminError::Invalid("a public client has no secret"));
            }
            let next = change.applied_to(&client, self.clock.now());
            check(&next)?;
            let log = |outcome| audit::client_changed(&client, &next, outcome);
            let update = audit::confirm(self.stores.clients.update(&next).await, log)?;
            if update.value == Update::Done {
                log(Outcome::Ok);
                return Ok(Written { value: next, invalidation: update.invalidation });
            }
        }
        Err(AdminError::Contended)
    }

    /// Replaces the secret of a confidential client if `versions` allows the client's version
    /// (counter of changes). Returns the changed client and the new secret; the old one stops
    /// working. Sessions continue, and refreshing them requires the new secret.
    ///
    /// The secret cannot be shown later, so it is returned even if the Redis invalidation failed;
    /// the caller must report that.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when the client does not exist, [`AdminError::Invalid`] when it is
    /// public, [`AdminError::OtherVersion`] when `versions` does not allow the client's version,
    /// [`AdminError::Contended`] after too many concurrent changes, [`AdminError::Store`] when the
    /// store fails.
    pub async fn rotate_secret(
        &self,
        id: &ClientId,
        versions: Versions,
    ) -> Result<Written<(Client, ClientSecret)>, AdminError> {
        if !self.client(id.as_str()).await?.is_confidential() {
            return Err(AdminError::Invalid("a public client has no secret"));
        }
        let secret = ClientSecret::generate()?;
        let kind = ClientKind::Confidential(StoredSecret::Digest(secret.digest()));
        let change = ClientChange { kind: Some(kind), versions, ..ClientChange::default() };
        let Written { value, invalidation } = self.change_client(id, &change).await?;
        Ok(Written { value: (value, secret), invalidation })
    }

    /// Deletes a client and its sessions if `versions` allows the version (counter of changes).
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when no client has the id, [`AdminError::OtherVersion`] when
    /// `versions` does not allow the client's version, [`AdminError::Contended`] after too many
    /// concurrent changes, [`AdminError::Store`] when the store fails.
    pub async fn delete_client(
        &self,
        id: &ClientId,
        versions: &Versions,
    ) -> Result<(), AdminError> {
        self.stores.mark_in_use().await?;
        for _ in 0..ATTEMPTS {
            let version = match versions {
                Versions::Any => None,
                Versions::OneOf(_) => Some(self.client(id.as_str()).await?.version),
            };
            version.map(|version| versions.check(version)).transpose()?;
            let deleting = self.stores.clients.delete(id, version).await;
            let deleted = AuditSubject::client(id).confirm("client_deleted", deleting)?;
            if deleted.value {
                tracing::info!(target: "audit", event = "client_deleted", client = %id);
                return Ok(deleted.invalidation?);
            }
            if *versions == Versions::Any {
                return Err(not_found(id.as_str()));
            }
        }
        Err(AdminError::Contended)
    }
}

/// Returns the default grants of a client: password and refresh token, and for a confidential
/// client also client credentials.
fn default_grants(confidential: bool) -> BTreeSet<Grant> {
    let own = confidential.then_some(Grant::ClientCredentials);
    [Grant::Password, Grant::RefreshToken].into_iter().chain(own).collect()
}

fn check(client: &Client) -> Result<(), AdminError> {
    if client.introspect_refresh_tokens && !client.introspection {
        return Err(AdminError::Invalid("introspect_refresh_tokens requires introspection"));
    }
    if client.is_confidential() {
        return Ok(());
    }
    // RFC 6749 §4.4: "The client credentials grant type MUST only be used by confidential clients."
    if client.grants.contains(&Grant::ClientCredentials) {
        return Err(AdminError::Invalid("client_credentials is for confidential clients"));
    }
    if client.introspection {
        return Err(AdminError::Invalid("introspection is for confidential clients"));
    }
    Ok(())
}

fn not_found(id: &str) -> AdminError {
    AdminError::NotFound { what: "client", name: id.to_owned() }
}
