//! Operations on clients.

mod change;

use std::collections::BTreeSet;
use std::time::Duration;

pub use change::ClientChange;

use super::audit::{self, Of};
use super::{ATTEMPTS, Admin, AdminError, Versions};
use crate::domain::{Client, ClientId, ClientKind, ClientSecret, Grant, Scope};
use crate::observe::audit::Outcome;
use crate::store::{Page, StoreError, Update, apart, told};

/// A client to be registered.
#[derive(Clone, Debug, Default)]
pub struct NewClient {
    /// What people call it.
    pub name: String,
    /// Whether it can keep a secret, and so gets one.
    pub confidential: bool,
    /// The grants it may use; empty for all that its kind may have.
    pub grants: BTreeSet<Grant>,
    /// All that it may be granted, beside the default scopes.
    pub scopes: Scope,
    /// What it is granted when it does not ask.
    pub default_scopes: Scope,
    /// See [`Client::access_token_ttl`].
    pub access_token_ttl: Option<Duration>,
    /// See [`Client::refresh_idle_ttl`].
    pub refresh_idle_ttl: Option<Duration>,
    /// See [`Client::session_ttl`].
    pub session_ttl: Option<Duration>,
    /// Whether it may introspect.
    pub introspection: bool,
}

impl Admin {
    /// Registers a client. The secret, for a confidential one, is told here and never again.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a public client with what only a confidential one may have, or
    /// when the store fails.
    pub async fn add_client(
        &self,
        new: NewClient,
    ) -> Result<(Client, Option<ClientSecret>), AdminError> {
        let secret = new.confidential.then(ClientSecret::generate);
        let kind = secret
            .as_ref()
            .map_or(ClientKind::Public, |secret| ClientKind::Confidential(secret.digest()));
        self.stores.take_into_use().await?;
        let now = self.clock.now();
        let client = Client {
            id: ClientId::generate(),
            name: new.name,
            kind,
            grants: if new.grants.is_empty() { usual_grants(new.confidential) } else { new.grants },
            scopes: new.scopes.union(&new.default_scopes),
            default_scopes: new.default_scopes,
            access_token_ttl: new.access_token_ttl,
            refresh_idle_ttl: new.refresh_idle_ttl,
            session_ttl: new.session_ttl,
            introspection: new.introspection,
            enabled: true,
            generation: 0,
            version: 0,
            created_at: now,
            updated_at: now,
        };
        check(&client)?;
        let adding = self.stores.clients.insert(&client).await;
        if !Of::client(&client.id).confirm("client_added", adding)? {
            return Err(AdminError::Contended);
        }
        audit::client_added(&client);
        Ok((client, secret))
    }

    /// Clients in the order of their ids.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn clients(&self, page: &Page) -> Result<Vec<Client>, AdminError> {
        Ok(self.stores.clients.list(page).await?)
    }

    /// Clients whose ids or names begin with `prefix`, upper and lower case apart, in the order of their
    /// ids.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn search_clients(
        &self,
        prefix: &str,
        page: &Page,
    ) -> Result<Vec<Client>, AdminError> {
        Ok(self.stores.clients.search(prefix, page).await?)
    }

    /// How many clients there are, counted up to `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count_clients(&self, limit: u32) -> Result<u64, AdminError> {
        Ok(self.stores.clients.count(limit).await?)
    }

    /// The client with this id.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], or when the store fails.
    pub async fn client(&self, id: &str) -> Result<Client, AdminError> {
        let found = match id.parse() {
            Ok(id) => self.stores.clients.find(&id).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| not_found(id))
    }

    /// Changes a client.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Invalid`], or when the store fails.
    pub async fn edit_client(
        &self,
        id: &ClientId,
        change: &ClientChange,
    ) -> Result<Client, AdminError> {
        self.edit_client_if(id, change, &Versions::Any).await
    }

    /// Changes a client that is of one of these versions.
    ///
    /// # Errors
    /// As [`Self::edit_client`], and [`AdminError::OtherVersion`].
    pub async fn edit_client_if(
        &self,
        id: &ClientId,
        change: &ClientChange,
        versions: &Versions,
    ) -> Result<Client, AdminError> {
        let (next, untold) = self.change_client(id, change, versions).await?;
        Ok(told(untold, next)?)
    }

    /// The changed client, and perhaps that Redis could not be told.
    async fn change_client(
        &self,
        id: &ClientId,
        change: &ClientChange,
        versions: &Versions,
    ) -> Result<(Client, Option<StoreError>), AdminError> {
        self.stores.take_into_use().await?;
        for _ in 0..ATTEMPTS {
            let client = self.client(id.as_str()).await?;
            versions.check(client.version)?;
            let next = change.applied_to(&client, self.clock.now());
            check(&next)?;
            let tell = |outcome| audit::client_changed(&client, &next, outcome);
            let updating = audit::confirm(self.stores.clients.update(&next).await, tell);
            let (update, untold) = apart(updating, Update::Done)?;
            if update == Update::Done {
                tell(Outcome::Ok);
                return Ok((next, untold));
            }
        }
        Err(AdminError::Contended)
    }

    /// Gives a confidential client a new secret; the old one is worth nothing from now on. Sessions
    /// go on: refreshing them takes the new secret.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Invalid`] for a public client, or when the store fails.
    pub async fn rotate_secret(&self, id: &ClientId) -> Result<ClientSecret, AdminError> {
        Ok(self.rotate_secret_if(id, &Versions::Any).await?.1)
    }

    /// The same for a client that is of one of these versions; also what it is then.
    ///
    /// # Errors
    /// As [`Self::rotate_secret`], and [`AdminError::OtherVersion`].
    pub async fn rotate_secret_if(
        &self,
        id: &ClientId,
        versions: &Versions,
    ) -> Result<(Client, ClientSecret), AdminError> {
        if !self.client(id.as_str()).await?.is_confidential() {
            return Err(AdminError::Invalid("a public client has no secret"));
        }
        let secret = ClientSecret::generate();
        let kind = ClientKind::Confidential(secret.digest());
        let change = ClientChange { kind: Some(kind), ..ClientChange::default() };
        // The secret cannot be shown again: it is answered in any case.
        let (client, untold) = self.change_client(id, &change, versions).await?;
        if let Some(error) = untold {
            tracing::warn!(client = %id, %error, "the old secret may work for a moment longer");
        }
        Ok((client, secret))
    }

    /// Removes a client and its sessions.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], or when the store fails.
    pub async fn delete_client(&self, id: &ClientId) -> Result<(), AdminError> {
        self.delete_client_if(id, &Versions::Any).await
    }

    /// Removes a client that is of one of these versions, and its sessions.
    ///
    /// # Errors
    /// As [`Self::delete_client`], and [`AdminError::OtherVersion`].
    pub async fn delete_client_if(
        &self,
        id: &ClientId,
        versions: &Versions,
    ) -> Result<(), AdminError> {
        self.stores.take_into_use().await?;
        let clients = &self.stores.clients;
        for _ in 0..ATTEMPTS {
            let deleting = match versions {
                Versions::Any => clients.delete(id).await,
                Versions::OneOf(_) => {
                    let version = self.client(id.as_str()).await?.version;
                    versions.check(version)?;
                    clients.delete_version(id, version).await
                }
            };
            let deleting = Of::client(id).confirm("client_deleted", deleting);
            let (deleted, untold) = apart(deleting, true)?;
            if deleted {
                tracing::info!(target: "audit", event = "client_deleted", client = %id);
                return Ok(told(untold, ())?);
            }
            if *versions == Versions::Any {
                return Err(not_found(id.as_str()));
            }
        }
        Err(AdminError::Contended)
    }
}

/// What a client may do when nobody says: log users in and keep them logged in, and, if it can prove
/// itself, act for itself.
pub(super) fn usual_grants(confidential: bool) -> BTreeSet<Grant> {
    let own = confidential.then_some(Grant::ClientCredentials);
    [Grant::Password, Grant::RefreshToken].into_iter().chain(own).collect()
}

pub(super) fn check(client: &Client) -> Result<(), AdminError> {
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
