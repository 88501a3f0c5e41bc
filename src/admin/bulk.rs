//! Bulk import of users and clients. Single records are not logged, and existing ones are no error.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::clients::{check, default_grants};
use super::{Admin, AdminError, NewUser};
use crate::domain::{Client, ClientId, ClientKind, Grant, Scope, Timestamp, User, UserId};

/// Maximum number of concurrent look-ups of users that were not added.
const MAX_CONCURRENT_LOOKUPS: usize = 64;

/// A user to be imported.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// The id by which resource servers know the user; `None` generates one.
    pub id: Option<UserId>,
    /// The other fields. The caller has checked the user name.
    pub user: NewUser,
}

/// A client to be imported.
#[derive(Clone, Debug)]
pub struct ImportedClient {
    /// The id by which apps and resource servers know the client.
    pub id: ClientId,
    /// Display name.
    pub name: String,
    /// Public or confidential, the latter with the digest of the secret.
    pub kind: ClientKind,
    /// The allowed grants; `None` for the default grants of its kind.
    pub grants: Option<BTreeSet<Grant>>,
    /// The allowed scopes. The default scopes are added.
    pub scopes: Scope,
    /// The scope granted if a request has no `scope` parameter.
    pub default_scopes: Scope,
    /// See [`Client::access_token_ttl`].
    pub access_token_ttl: Option<Duration>,
    /// See [`Client::refresh_idle_ttl`].
    pub refresh_idle_ttl: Option<Duration>,
    /// See [`Client::session_ttl`].
    pub session_ttl: Option<Duration>,
    /// Whether it has the introspection permission.
    pub introspection: bool,
    /// Whether the client is enabled.
    pub enabled: bool,
}

impl ImportedClient {
    /// Returns the client to be stored.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a public client with a grant or permission that requires a
    /// confidential one.
    pub fn into_client(self, now: Timestamp) -> Result<Client, AdminError> {
        let confidential = matches!(self.kind, ClientKind::Confidential(_));
        let client = Client {
            id: self.id,
            name: self.name,
            kind: self.kind,
            grants: self.grants.unwrap_or_else(|| default_grants(confidential)),
            scopes: self.scopes.union(&self.default_scopes),
            default_scopes: self.default_scopes,
            access_token_ttl: self.access_token_ttl,
            refresh_idle_ttl: self.refresh_idle_ttl,
            session_ttl: self.session_ttl,
            introspection: self.introspection,
            enabled: self.enabled,
            generation: 0,
            version: 0,
            created_at: now,
            updated_at: now,
        };
        check(&client)?;
        Ok(client)
    }
}

/// Result of importing a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportResult {
    /// The record was added.
    Added,
    /// The record exists and is unchanged: a client with this id, or a user with this name and, if
    /// one was given, this id.
    Exists,
}

impl Admin {
    /// Marks the store as in use, so that no store copy is made into it. Call it once before
    /// [`Self::import_users`] and [`Self::import_client`].
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn begin_import(&self) -> Result<(), AdminError> {
        Ok(self.stores.mark_in_use().await?)
    }

    /// Adds the users that do not exist and returns the result for each. The users are added
    /// together, so pass a few hundred at a time.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails; any of the users may have been added. For a
    /// single user [`AdminError::Invalid`] when another user has the name or the id, or
    /// [`AdminError::Store`] when its look-up fails.
    pub async fn import_users(
        &self,
        new: Vec<ImportedUser>,
    ) -> Result<Vec<Result<ImportResult, AdminError>>, AdminError> {
        let (ids, users): (Vec<_>, Vec<_>) =
            new.into_iter().map(|new| (new.id, self.new_user(new.id, new.user))).unzip();
        let added = self.stores.transfer.insert_users(&users).await?;
        let found = users.iter().zip(ids).zip(added).map(async |((user, id), added)| {
            if added {
                return Ok(ImportResult::Added);
            }
            match self.find_imported(&user.username, id).await? {
                Some(_) => Ok(ImportResult::Exists),
                None => Err(AdminError::Invalid("its id belongs to a user of another name")),
            }
        });
        Ok(stream::iter(found).buffered(MAX_CONCURRENT_LOOKUPS).collect().await)
    }

    /// Adds a client unless it exists.
    ///
    /// # Errors
    /// As [`ImportedClient::into_client`], and [`AdminError::Store`] when the store fails.
    pub async fn import_client(&self, new: ImportedClient) -> Result<ImportResult, AdminError> {
        let client = new.into_client(self.clock.now())?;
        let added = self.stores.clients.insert(&client).await?;
        Ok(if added { ImportResult::Added } else { ImportResult::Exists })
    }

    /// Returns the result that [`Self::import_client`] would have, without writing: a dry run.
    ///
    /// # Errors
    /// As [`ImportedClient::into_client`], and [`AdminError::Store`] when the store fails.
    pub async fn check_client(&self, new: ImportedClient) -> Result<ImportResult, AdminError> {
        let client = new.into_client(self.clock.now())?;
        let found = self.stores.clients.find(&client.id).await?;
        Ok(if found.is_none() { ImportResult::Added } else { ImportResult::Exists })
    }

    /// Returns the user with this name.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] when `id` is given and the user has another one,
    /// [`AdminError::Store`] when the store fails.
    pub async fn find_imported(
        &self,
        username: &str,
        id: Option<UserId>,
    ) -> Result<Option<User>, AdminError> {
        let found = self.stores.users.find_by_name(username).await?;
        match (&found, id) {
            (Some(user), Some(id)) if user.id != id => {
                Err(AdminError::Invalid("its user name belongs to a user with another id"))
            }
            _ => Ok(found),
        }
    }
}
