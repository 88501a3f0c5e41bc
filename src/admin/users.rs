//! Operations on users.

use super::audit::{self, Of};
use super::{ATTEMPTS, Admin, AdminError, Versions};
use crate::domain::{PasswordHash, Scope, User, UserId, check_username};
use crate::observe::audit::Outcome;
use crate::store::{Page, Update, apart, told};

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Unique.
    pub username: String,
    /// The hash of the password.
    pub password: PasswordHash,
    /// See [`User::scopes`].
    pub scopes: Option<Scope>,
    /// Whether the user may log in.
    pub enabled: bool,
}

/// What is to become different; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// A new name; the id stays.
    pub username: Option<String>,
    /// A new password: ends the user's sessions.
    pub password: Option<PasswordHash>,
    /// New limits; `Some(None)` takes them away.
    pub scopes: Option<Option<Scope>>,
    /// Whether the user may log in; disabling ends the user's sessions.
    pub enabled: Option<bool>,
}

impl Admin {
    /// Makes a user.
    ///
    /// # Errors
    /// [`AdminError::NameTaken`], [`AdminError::InvalidUsername`], or when the store fails.
    pub async fn add_user(&self, new: NewUser) -> Result<User, AdminError> {
        check_username(&new.username)?;
        self.stores.take_into_use().await?;
        let user = self.new_user(None, new);
        let adding = self.stores.users.insert(&user).await;
        if !Of::user(user.id).confirm("user_added", adding)? {
            return Err(AdminError::NameTaken(user.username));
        }
        audit::user_added(&user);
        Ok(user)
    }

    /// Users in the order of their names.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users(&self, page: &Page) -> Result<Vec<User>, AdminError> {
        Ok(self.stores.users.list(page).await?)
    }

    /// Users whose names begin with `prefix`, upper and lower case apart, in the order of their names.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn search_users(&self, prefix: &str, page: &Page) -> Result<Vec<User>, AdminError> {
        Ok(self.stores.users.search(prefix, page).await?)
    }

    /// How many users there are, counted up to `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count_users(&self, limit: u32) -> Result<u64, AdminError> {
        Ok(self.stores.users.count(limit).await?)
    }

    /// The user with this name, or else with this id.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], or when the store fails.
    pub async fn user(&self, name: &str) -> Result<User, AdminError> {
        if let Some(user) = self.stores.users.find_by_name(name).await? {
            return Ok(user);
        }
        match name.parse::<UserId>() {
            Ok(id) => self.user_by_id(id).await,
            Err(_) => Err(not_found(name)),
        }
    }

    /// The user with this id.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], or when the store fails.
    pub async fn user_by_id(&self, id: UserId) -> Result<User, AdminError> {
        let found = self.stores.users.find(id).await?;
        found.ok_or_else(|| not_found(&id.to_string()))
    }

    /// Changes a user.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::NameTaken`], [`AdminError::InvalidUsername`], or when
    /// the store fails.
    pub async fn edit_user(&self, id: UserId, change: &UserChange) -> Result<User, AdminError> {
        self.edit_user_if(id, change, &Versions::Any).await
    }

    /// Changes a user who is of one of these versions.
    ///
    /// # Errors
    /// As [`Self::edit_user`], and [`AdminError::OtherVersion`].
    pub async fn edit_user_if(
        &self,
        id: UserId,
        change: &UserChange,
        versions: &Versions,
    ) -> Result<User, AdminError> {
        if let Some(username) = &change.username {
            check_username(username)?;
        }
        self.stores.take_into_use().await?;
        for _ in 0..ATTEMPTS {
            let user = self.user_by_id(id).await?;
            versions.check(user.version)?;
            let next = self.changed(&user, change);
            let password_changed = change.password.is_some();
            let tell = |outcome| audit::user_changed(&user, &next, password_changed, outcome);
            let updating = audit::confirm(self.stores.users.update(&next).await, tell);
            let (update, untold) = apart(updating, Update::Done)?;
            match update {
                Update::Done => {
                    tell(Outcome::Ok);
                    return Ok(told(untold, next)?);
                }
                Update::NameTaken => return Err(AdminError::NameTaken(next.username)),
                Update::Stale => {}
            }
        }
        Err(AdminError::Contended)
    }

    /// Removes a user and the user's sessions.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], or when the store fails.
    pub async fn delete_user(&self, id: UserId) -> Result<(), AdminError> {
        self.delete_user_if(id, &Versions::Any).await
    }

    /// Removes a user who is of one of these versions, and the user's sessions.
    ///
    /// # Errors
    /// As [`Self::delete_user`], and [`AdminError::OtherVersion`].
    pub async fn delete_user_if(&self, id: UserId, versions: &Versions) -> Result<(), AdminError> {
        self.stores.take_into_use().await?;
        let users = &self.stores.users;
        for _ in 0..ATTEMPTS {
            let deleting = match versions {
                Versions::Any => users.delete(id).await,
                Versions::OneOf(_) => {
                    let version = self.user_by_id(id).await?.version;
                    versions.check(version)?;
                    users.delete_version(id, version).await
                }
            };
            let deleting = Of::user(id).confirm("user_deleted", deleting);
            let (deleted, untold) = apart(deleting, true)?;
            if deleted {
                tracing::info!(target: "audit", event = "user_deleted", user = %id);
                return Ok(told(untold, ())?);
            }
            if *versions == Versions::Any {
                return Err(not_found(&id.to_string()));
            }
        }
        Err(AdminError::Contended)
    }

    /// The user, with a new id if there is none.
    pub(super) fn new_user(&self, id: Option<UserId>, new: NewUser) -> User {
        let now = self.clock.now();
        User {
            id: id.unwrap_or_else(|| UserId::generate(&*self.clock)),
            username: new.username,
            password: new.password,
            scopes: new.scopes,
            enabled: new.enabled,
            generation: 0,
            version: 0,
            created_at: now,
            updated_at: now,
        }
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
        // A new generation ends the sessions of the old one.
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
