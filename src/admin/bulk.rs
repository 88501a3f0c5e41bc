//! Bulk import of users and clients. Single records are not logged, and existing ones are no error.

use futures_util::{StreamExt, stream};

use super::{Admin, AdminError, NewClient, NewUser};
use crate::domain::{Client, ClientId, ClientKind, Timestamp, User, UserId, is_same_principal};

/// Maximum number of concurrent store look-ups of imported users that were not added.
const MAX_CONCURRENT_LOOKUPS: usize = 64;

/// Reason for which a user is not imported whose id another user has.
const ID_OF_OTHER_USER: &str = "its id belongs to a user of another name";

/// A user to be imported.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// Id by which resource servers know the user; `None` generates one.
    pub id: Option<UserId>,
    /// Properties of the user except the id. The caller has validated the user name. With an id,
    /// another user may have the same name in another spelling.
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
    /// The user was added, and another user has the same name in another spelling. Both log in with
    /// the exact spelling only.
    AddedSpelling,
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
    /// has the id, [`AdminError::NameTaken`] when no id is given and another user has the name in
    /// another spelling, [`AdminError::NameOfClient`] when a client has the name as its id, or
    /// [`AdminError::Store`] when a look-up of the user fails.
    pub async fn import_users(
        &self,
        new: Vec<ImportedUser>,
    ) -> Result<Vec<Result<ImportResult, AdminError>>, AdminError> {
        let ids: Vec<_> = new.iter().map(|new| new.id).collect();
        let users = new.into_iter().map(|new| self.new_user(new.id, new.user));
        let users: Vec<User> = users.collect::<Result<_, _>>()?;
        let checks = users.iter().zip(&ids);
        let checks = checks.map(|(user, id)| self.check_imported_user(&user.username, *id));
        let checks: Vec<_> = stream::iter(checks).buffered(MAX_CONCURRENT_LOOKUPS).collect().await;
        let accepted = users.iter().zip(&checks);
        let accepted = accepted.filter(|(_, check)| matches!(check, Ok(ImportResult::Added)));
        let accepted: Vec<User> = accepted.map(|(user, _)| user.clone()).collect();
        let mut added = self.stores.transfer.insert_users(&accepted).await?.into_iter();
        let results = users.iter().zip(ids).zip(checks).map(|((user, id), check)| {
            let is_accepted = matches!(check, Ok(ImportResult::Added));
            let added = if is_accepted { added.next() } else { None };
            async move {
                match added {
                    None => check,
                    Some(true) => self.imported_spelling(&user.username, id).await,
                    Some(false) => match self.find_imported(&user.username, id).await? {
                        Some(_) => Ok(ImportResult::Exists),
                        None => Err(AdminError::Invalid(ID_OF_OTHER_USER)),
                    },
                }
            }
        });
        Ok(stream::iter(results).buffered(MAX_CONCURRENT_LOOKUPS).collect().await)
    }

    /// Returns [`ImportResult::Added`] for an imported user that is to be added. A user with an id
    /// is not looked up, because its insertion reports an existing one.
    async fn check_imported_user(
        &self,
        username: &str,
        id: Option<UserId>,
    ) -> Result<ImportResult, AdminError> {
        let client = self.stores.client_like_user(username, id).await?;
        if (client.is_some() || id.is_none()) && self.find_imported(username, id).await?.is_some() {
            return Ok(ImportResult::Exists);
        }
        match client {
            None => Ok(ImportResult::Added),
            Some(client) if is_same_principal(username, None, &client.id) => {
                Err(AdminError::NameOfClient(username.to_owned()))
            }
            Some(_) => Err(AdminError::Invalid("its id is the id of a client")),
        }
    }

    /// Returns the result for a user who was added: whether another user has the same name in
    /// another spelling, which is possible only for a user with an id.
    async fn imported_spelling(
        &self,
        username: &str,
        id: Option<UserId>,
    ) -> Result<ImportResult, AdminError> {
        if id.is_none() {
            return Ok(ImportResult::Added);
        }
        let users = self.stores.users.find_all_by_name(username).await?;
        let is_only = users.iter().all(|other| Some(other.id) == id);
        Ok(if is_only { ImportResult::Added } else { ImportResult::AddedSpelling })
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
    /// The errors of [`Self::import_users`] for a single user.
    pub async fn check_user(
        &self,
        username: &str,
        id: Option<UserId>,
    ) -> Result<ImportResult, AdminError> {
        let checked = self.check_imported_user(username, id).await?;
        let Some(id) = id.filter(|_| checked == ImportResult::Added) else { return Ok(checked) };
        if self.find_imported(username, Some(id)).await?.is_some() {
            return Ok(ImportResult::Exists);
        }
        if self.stores.users.find(id).await?.is_some() {
            return Err(AdminError::Invalid(ID_OF_OTHER_USER));
        }
        self.imported_spelling(username, Some(id)).await
    }

    /// Returns the user with exactly the name `username`, or with this name in another spelling and
    /// the given id, if there is one.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] when `id` is given and the user of exactly this name has another id,
    /// [`AdminError::NameTaken`] when `id` is `None` and only a user with another spelling of the
    /// name exists, [`AdminError::Store`] when the store fails.
    pub async fn find_imported(
        &self,
        username: &str,
        id: Option<UserId>,
    ) -> Result<Option<User>, AdminError> {
        let users = self.stores.users.find_all_by_name(username).await?;
        let (mut exact, others): (Vec<User>, Vec<User>) =
            users.into_iter().partition(|user| user.username == username);
        match (exact.pop(), id) {
            (Some(user), Some(id)) if user.id != id => {
                Err(AdminError::Invalid("its user name belongs to a user with another id"))
            }
            (Some(user), _) => Ok(Some(user)),
            (None, Some(id)) => Ok(others.into_iter().find(|other| other.id == id)),
            (None, None) => match others.into_iter().next() {
                Some(other) => Err(AdminError::NameTaken(other.username)),
                None => Ok(None),
            },
        }
    }
}
