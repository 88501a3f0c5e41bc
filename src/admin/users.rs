//! Operations on users.

use super::audit::{self, AuditSubject};
use super::listing::MAX_SEARCH_BYTES;
use super::{ATTEMPTS, Admin, AdminError, ListPage, Versions};
use crate::domain::{PasswordHash, RandomError, Scope, User, UserId, check_username};
use crate::observe::audit::Outcome;
use crate::store::{Page, Update};

/// A user to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// User name, which must be unique in any spelling. Spaces at its ends are removed.
    pub username: String,
    /// Hash of the user's password.
    pub password: PasswordHash,
    /// Scopes that the user may be granted; `None` for no limit beside the client's.
    pub scopes: Option<Scope>,
    /// Whether the user may log in.
    pub enabled: bool,
}

/// Change to a user. A field that is `None` leaves the user's value as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// New user name; the user's id does not change.
    pub username: Option<String>,
    /// Hash of a new password. Setting a password ends the user's sessions.
    pub password: Option<PasswordHash>,
    /// New scopes that the user may be granted; `Some(None)` removes the limit.
    pub scopes: Option<Option<Scope>>,
    /// Whether the user may log in. Disabling ends the user's sessions.
    pub enabled: Option<bool>,
    /// Versions of the user (counter of changes) to which the change may be applied.
    pub versions: Versions,
}

impl Admin {
    /// Adds a user and returns the stored record.
    ///
    /// # Errors
    /// [`AdminError::NameTaken`] when another user has the name, [`AdminError::NameOfClient`] when
    /// it is the id of a client, [`AdminError::InvalidUsername`] when it is not valid,
    /// [`AdminError::Store`] when the store fails.
    pub async fn add_user(&self, new: NewUser) -> Result<User, AdminError> {
        let username = self.check_new_username(&new.username).await?;
        self.stores.mark_in_use().await?;
        let user = self.new_user(None, NewUser { username, ..new })?;
        let inserted = self.stores.users.insert(&user).await;
        if !AuditSubject::user(user.id).confirm("user_added", inserted)? {
            return Err(self.name_taken(user.username).await?);
        }
        audit::user_added(&user);
        Ok(user)
    }

    /// Checks that a user may get this name, and returns it without the spaces at its ends. Whether
    /// another user has the name is not checked.
    ///
    /// # Errors
    /// [`AdminError::InvalidUsername`] when the name is not valid, [`AdminError::NameOfClient`]
    /// when it is the id of a client, [`AdminError::Store`] when the store fails.
    pub async fn check_new_username(&self, username: &str) -> Result<String, AdminError> {
        let username = check_username(username)?.to_owned();
        match self.stores.client_like_user(&username, None).await? {
            Some(_) => Err(AdminError::NameOfClient(username)),
            None => Ok(username),
        }
    }

    /// Checks that no user has this name, in any spelling.
    ///
    /// # Errors
    /// [`AdminError::NameTaken`] with the spelling of the existing name, [`AdminError::Store`] when
    /// the store fails.
    pub async fn check_username_is_free(&self, username: &str) -> Result<(), AdminError> {
        match self.stores.users.find_all_by_name(username).await?.pop() {
            Some(user) => Err(AdminError::NameTaken(user.username)),
            None => Ok(()),
        }
    }

    /// Returns the error for a name that a user already has, with the spelling of that user.
    async fn name_taken(&self, username: String) -> Result<AdminError, AdminError> {
        match self.check_username_is_free(&username).await {
            Ok(()) => Ok(AdminError::NameTaken(username)),
            Err(taken @ AdminError::NameTaken(_)) => Ok(taken),
            Err(error) => Err(error),
        }
    }

    /// Returns a page of the users whose names contain `part`, or of all users if it is empty, in
    /// the order of the folded names, which are compared. A search may read all names.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn users(&self, part: &str, page: &Page) -> Result<ListPage<User>, AdminError> {
        if part.len() > MAX_SEARCH_BYTES {
            return Ok(ListPage { items: Vec::new(), next: None });
        }
        let found =
            self.stores.listing.search_users(part, &ListPage::<User>::look_ahead(page)).await?;
        Ok(ListPage::of(found, page, |user| user.username.clone()))
    }

    /// Returns the number of users whose names contain `part` (see [`Self::users`]), or `limit` if
    /// there are more.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn count_users(&self, part: &str, limit: u32) -> Result<u64, AdminError> {
        if part.len() > MAX_SEARCH_BYTES {
            return Ok(0);
        }
        Ok(self.stores.listing.count_users(part, limit).await?)
    }

    /// Returns the user whose name is `name` or, if there is none, whose id is `name`.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when there is no such user, [`AdminError::Store`] when the store
    /// fails.
    pub async fn user(&self, name: &str) -> Result<User, AdminError> {
        if let Some(user) = self.stores.users.find_by_name(name).await? {
            return Ok(user);
        }
        match name.parse::<UserId>() {
            Ok(id) => self.user_by_id(id).await,
            Err(_) => Err(not_found(name)),
        }
    }

    /// Returns the user with this id.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when no user has the id, [`AdminError::Store`] when the store
    /// fails.
    pub async fn user_by_id(&self, id: UserId) -> Result<User, AdminError> {
        let found = self.stores.users.find(id).await?;
        found.ok_or_else(|| not_found(&id.to_string()))
    }

    /// Applies `change` to a user and returns the changed user.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when the user does not exist, [`AdminError::NameTaken`] when
    /// another user has the new name, [`AdminError::NameOfClient`] when a client has it as its id,
    /// [`AdminError::InvalidUsername`] when it is not valid, [`AdminError::OtherVersion`] when the
    /// user has none of the versions in the change, [`AdminError::Contended`] after too many
    /// concurrent changes, [`AdminError::Store`] when the store fails.
    pub async fn edit_user(&self, id: UserId, change: &UserChange) -> Result<User, AdminError> {
        let username = match &change.username {
            Some(username) => Some(self.check_new_username(username).await?),
            None => None,
        };
        let change = &UserChange { username, ..change.clone() };
        self.stores.mark_in_use().await?;
        for _ in 0..ATTEMPTS {
            let user = self.user_by_id(id).await?;
            change.versions.check(user.version)?;
            let next = self.changed(&user, change);
            let password_changed = change.password.is_some();
            let log = |outcome| audit::user_changed(&user, &next, password_changed, outcome);
            let update = audit::confirm(self.stores.users.update(&next).await, log)?;
            match update.value {
                Update::Done => {
                    log(Outcome::Ok);
                    let renamed = user.username != next.username;
                    if password_changed || renamed {
                        self.forget_username(id, &user.username).await;
                    }
                    if password_changed && renamed {
                        self.forget_username(id, &next.username).await;
                    }
                    update.invalidation?;
                    return Ok(next);
                }
                Update::NameTaken => return Err(self.name_taken(next.username).await?),
                Update::Stale => {}
            }
        }
        Err(AdminError::Contended)
    }

    /// Deletes a user if `versions` allows the user's version (counter of changes), and ends the
    /// user's sessions.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when no user has the id, [`AdminError::OtherVersion`] when
    /// `versions` does not allow the user's version, [`AdminError::Contended`] after too many
    /// concurrent changes, [`AdminError::Store`] when the store fails.
    pub async fn delete_user(&self, id: UserId, versions: &Versions) -> Result<(), AdminError> {
        self.stores.mark_in_use().await?;
        for _ in 0..ATTEMPTS {
            let (user, version) = match versions {
                // A record that cannot be read can be deleted.
                Versions::Any => (self.stores.users.find(id).await.ok().flatten(), None),
                Versions::OneOf(_) => {
                    let user = self.user_by_id(id).await?;
                    versions.check(user.version)?;
                    let version = user.version;
                    (Some(user), Some(version))
                }
            };
            let deleting = self.stores.users.delete(id, version).await;
            let deleted = AuditSubject::user(id).confirm("user_deleted", deleting)?;
            if deleted.value {
                tracing::info!(target: "audit", event = "user_deleted", user = %id);
                if let Some(user) = user {
                    self.forget_username(id, &user.username).await;
                }
                return Ok(deleted.invalidation?);
            }
            if *versions == Versions::Any {
                return Err(not_found(&id.to_string()));
            }
        }
        Err(AdminError::Contended)
    }

    /// Returns the record to be stored of the new user `new`. Generates an id if `id` is `None`.
    pub(super) fn new_user(&self, id: Option<UserId>, new: NewUser) -> Result<User, RandomError> {
        let now = self.clock.now();
        Ok(User {
            id: id.map_or_else(|| UserId::generate(&*self.clock), Ok)?,
            username: new.username,
            password: new.password,
            scopes: new.scopes,
            enabled: new.enabled,
            generation: 0,
            version: 0,
            created_at: now,
            updated_at: now,
        })
    }

    fn changed(&self, user: &User, change: &UserChange) -> User {
        let mut next = user.clone();
        if let Some(username) = &change.username {
            next.username.clone_from(username);
        }
        if let Some(scopes) = &change.scopes {
            next.scopes.clone_from(scopes);
        }
        if let Some(enabled) = change.enabled {
            next.enabled = enabled;
        }
        if let Some(password) = &change.password {
            next.password = password.clone();
        }
        // A new generation invalidates the sessions of the former one.
        let disabled = user.enabled && !next.enabled;
        next.generation += u64::from(disabled || change.password.is_some());
        next.version += 1;
        next.updated_at = self.clock.now();
        next
    }
}

fn not_found(name: &str) -> AdminError {
    AdminError::NotFound { what: "user", name: name.to_owned() }
}
