//! Many users and clients at once: nothing is logged of each of them, and what is there already is no error.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::clients::{check, usual_grants};
use super::{Admin, AdminError, NewUser};
use crate::domain::{Client, ClientId, ClientKind, Grant, Scope, Timestamp, User, UserId};

/// Who was not added is looked for: so many at once.
const LOOKED_UP_AT_ONCE: usize = 64;

/// A user who comes from elsewhere.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// By which resource servers know the user; a new one if there is none.
    pub id: Option<UserId>,
    /// What else there is to know; the name is checked.
    pub user: NewUser,
}

/// A client that comes from elsewhere.
#[derive(Clone, Debug)]
pub struct ImportedClient {
    /// By which programs know themselves, and resource servers them.
    pub id: ClientId,
    /// What people call it.
    pub name: String,
    /// The digest of its secret, if it can keep one.
    pub kind: ClientKind,
    /// The grants it may use; `None` for all that its kind may have.
    pub grants: Option<BTreeSet<Grant>>,
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
    /// Whether it may do anything.
    pub enabled: bool,
}

impl ImportedClient {
    /// The client that it becomes.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a public client with what only a confidential one may have.
    pub fn into_client(self, now: Timestamp) -> Result<Client, AdminError> {
        let confidential = matches!(self.kind, ClientKind::Confidential(_));
        let client = Client {
            id: self.id,
            name: self.name,
            kind: self.kind,
            grants: self.grants.unwrap_or_else(|| usual_grants(confidential)),
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

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is new.
    Added,
    /// There is a user of this name, and of this id if one was given, or a client of this id; it is left as it is.
    Already,
}

impl Admin {
    /// To be called once before [`Self::import_users`] and [`Self::import_client`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin_import(&self) -> Result<(), AdminError> {
        Ok(self.stores.take_into_use().await?)
    }

    /// Adds users, but for those that are there; what became of each. A few hundred at a time share a write.
    ///
    /// # Errors
    /// When the store fails: any of them may have been added. Of one, [`AdminError::Invalid`] when another user has the
    /// name or the id, or when the store fails.
    pub async fn import_users(
        &self,
        new: Vec<ImportedUser>,
    ) -> Result<Vec<Result<Imported, AdminError>>, AdminError> {
        let (ids, users): (Vec<_>, Vec<_>) =
            new.into_iter().map(|new| (new.id, self.new_user(new.id, new.user))).unzip();
        let added = self.stores.users.insert_many(&users).await?;
        let found = users.iter().zip(ids).zip(added).map(async |((user, id), added)| {
            if added {
                return Ok(Imported::Added);
            }
            match self.find_imported(&user.username, id).await? {
                Some(_) => Ok(Imported::Already),
                None => Err(AdminError::Invalid("its id belongs to a user of another name")),
            }
        });
        Ok(stream::iter(found).buffered(LOOKED_UP_AT_ONCE).collect().await)
    }

    /// Adds a client, unless it is there.
    ///
    /// # Errors
    /// As [`ImportedClient::into_client`], or when the store fails.
    pub async fn import_client(&self, new: ImportedClient) -> Result<Imported, AdminError> {
        let client = new.into_client(self.clock.now())?;
        let added = self.stores.clients.insert(&client).await?;
        Ok(if added { Imported::Added } else { Imported::Already })
    }

    /// What [`Self::import_client`] would do.
    ///
    /// # Errors
    /// As [`ImportedClient::into_client`], or when the store fails.
    pub async fn check_client(&self, new: ImportedClient) -> Result<Imported, AdminError> {
        let client = new.into_client(self.clock.now())?;
        let found = self.stores.clients.find(&client.id).await?;
        Ok(if found.is_none() { Imported::Added } else { Imported::Already })
    }

    /// The user with this name, who has to have this id if one is given.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] when it has another one, or when the store fails.
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
