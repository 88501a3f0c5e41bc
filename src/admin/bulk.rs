//! Bulk import of users and clients. Single records are not logged, and existing ones are no error.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Admin, AdminError, NewClient, NewUser};
use crate::domain::{Client, ClientId, ClientKind, Timestamp, User, UserId};

/// Maximum number of concurrent store look-ups of imported users that were not added.
const MAX_CONCURRENT_LOOKUPS: usize = 64;

/// A user to be imported.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// Id by which resource servers know the user; `None` generates one.
    pub id: Option<UserId>,
    /// Properties of the user except the id. The caller has validated the user name.
    pub user: NewUser,
}

/// A client to be imported.
#[derive(Clone, Debug)]
pub struct ImportedClient {
    /// Id by which apps and resource servers know the client.
    pub id: ClientId,
    /// Client type: public, or confidential with the stored secret.
    pub kind: ClientKind,
    /// Whether the client is enabled. A disabled client is always rejected.
    pub enabled: bool,
    /// Properties of the client except the id, the secret, and whether it is enabled.
    pub client: NewClient,
}

impl ImportedClient {
    /// Returns the client record to be stored, dated `now`.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a public client with a grant or permission that requires a
    /// confidential one, or a permission without the one that it requires.
    pub fn into_client(self, now: Timestamp) -> Result<Client, AdminError> {
        self.client.into_client(self.id, self.kind, self.enabled, now)
    }
}

/// Result of importing a user or a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportResult {
    /// The user or client was added.
    Added,
    /// The user or client exists and is left unchanged: a client with the same id, or a user with
    /// the same name and, if an id was given, the same id.
    Exists,
}

impl Admin {
    /// Marks the store as in use, so that the command `store copy` refuses it as a target. Call
    /// this once before [`Self::import_users`] and [`Self::import_client`].
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn begin_import(&self) -> Result<(), AdminError> {
        Ok(self.stores.mark_in_use().await?)
    }

    /// Adds those of the given users that do not exist, and returns the result for each user. They
    /// are added together, so pass a few hundred at a time.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails; any of the users may have been added. For a
    /// single user [`AdminError::Invalid`] when another user has the name or the id, or a client
    /// has the id, [`AdminError::NameOfClient`] when a client has the name as its id, or
    /// [`AdminError::Store`] when the look-up of the user fails.
    pub async fn import_users(
        &self,
        new: Vec<ImportedUser>,
    ) -> Result<Vec<Result<ImportResult, AdminError>>, AdminError> {
        let ids: Vec<_> = new.iter().map(|new| new.id).collect();
        let users = new.into_iter().map(|new| self.new_user(new.id, new.user));
        let users: Vec<User> = users.collect::<Result<_, _>>()?;
        let clients = users.iter().zip(&ids);
        let clients = clients.map(|(user, id)| self.stores.client_like_user(&user.username, *id));
        let clients: Vec<_> =
            stream::iter(clients).buffered(MAX_CONCURRENT_LOOKUPS).try_collect().await?;
        let accepted = users.iter().zip(&clients).filter(|(_, client)| client.is_none());
        let accepted: Vec<User> = accepted.map(|(user, _)| user.clone()).collect();
        let mut added = self.stores.transfer.insert_users(&accepted).await?.into_iter();
        let results = users.iter().zip(ids).zip(clients).map(|((user, id), client)| {
            let added = if client.is_none() { added.next() } else { None };
            async move {
                if added == Some(true) {
                    return Ok(ImportResult::Added);
                }
                match (self.find_imported(&user.username, id).await?, client) {
                    (Some(_), _) => Ok(ImportResult::Exists),
                    (None, Some(client)) => Err(conflict(&user.username, &client)),
                    (None, None) => {
                        Err(AdminError::Invalid("its id belongs to a user of another name"))
                    }
                }
            }
        });
        Ok(stream::iter(results).buffered(MAX_CONCURRENT_LOOKUPS).collect().await)
    }

    /// Adds a client unless a client with the same id exists, and returns which was the case.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a public client with a grant or permission that requires a
    /// confidential one, or when a user has the client's id as name or id, [`AdminError::Store`]
    /// when the store fails.
    pub async fn import_client(&self, new: ImportedClient) -> Result<ImportResult, AdminError> {
        let client = new.into_client(self.clock.now())?;
        if self.check_imported_client(&client.id).await? == ImportResult::Exists {
            return Ok(ImportResult::Exists);
        }
        let added = self.stores.clients.insert(&client).await?;
        Ok(if added { ImportResult::Added } else { ImportResult::Exists })
    }

    /// Returns whether an import would add the client, without writing: a dry run.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a public client with a grant or permission that requires a
    /// confidential one, or when a user has the client's id as name or id, [`AdminError::Store`]
    /// when the store fails.
    pub async fn check_client(&self, new: ImportedClient) -> Result<ImportResult, AdminError> {
        let client = new.into_client(self.clock.now())?;
        self.check_imported_client(&client.id).await
    }

    async fn check_imported_client(&self, id: &ClientId) -> Result<ImportResult, AdminError> {
        if self.stores.clients.find(id).await?.is_some() {
            return Ok(ImportResult::Exists);
        }
        match self.stores.user_like_client(id).await? {
            Some(_) => Err(AdminError::Invalid("a user has its client_id as name or id")),
            None => Ok(ImportResult::Added),
        }
    }

    /// Returns whether an import would add the user, without writing: a dry run.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] when another user has the name or the id, or a client has the id,
    /// [`AdminError::NameOfClient`] when a client has the name as its id, [`AdminError::Store`]
    /// when the store fails.
    pub async fn check_user(
        &self,
        username: &str,
        id: Option<UserId>,
    ) -> Result<ImportResult, AdminError> {
        if self.find_imported(username, id).await?.is_some() {
            return Ok(ImportResult::Exists);
        }
        if let Some(client) = self.stores.client_like_user(username, id).await? {
            return Err(conflict(username, &client));
        }
        match id {
            Some(id) if self.stores.users.find(id).await?.is_some() => {
                Err(AdminError::Invalid("its id belongs to a user of another name"))
            }
            _ => Ok(ImportResult::Added),
        }
    }

    /// Returns the user with the name `username`, if there is one.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] when `id` is given and the user has another id,
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

/// Returns the error for a user whose name or id is the id of `client`.
fn conflict(username: &str, client: &Client) -> AdminError {
    if client.id.as_str() == username {
        AdminError::NameOfClient(username.to_owned())
    } else {
        AdminError::Invalid("its id is the id of a client")
    }
}
