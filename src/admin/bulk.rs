//! Many users at once: nothing is logged of each of them, and what is there already is no error.

use super::{Admin, AdminError};
use crate::domain::{PasswordHash, Scope, User, UserId};

/// A user who comes from elsewhere.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// By which resource servers know the user; a new one if there is none.
    pub id: Option<UserId>,
    /// Unique, and checked.
    pub username: String,
    /// The hash of the password.
    pub password: PasswordHash,
    /// See [`User::scopes`].
    pub scopes: Option<Scope>,
    /// Whether the user may log in.
    pub enabled: bool,
}

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is new.
    Added,
    /// There is a user of this name, and of this id if one was given; it is left as it is.
    Already,
}

impl Admin {
    /// To be called once before [`Self::import_user`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin_import(&self) -> Result<(), AdminError> {
        Ok(self.stores.take_into_use().await?)
    }

    /// Adds a user, unless it is there.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] when another user has the name or the id, or when the store fails.
    pub async fn import_user(&self, new: ImportedUser) -> Result<Imported, AdminError> {
        let now = self.clock.now();
        let user = User {
            id: new.id.unwrap_or_else(|| UserId::generate(&*self.clock)),
            username: new.username,
            password: new.password,
            scopes: new.scopes,
            enabled: new.enabled,
            generation: 0,
            version: 0,
            created_at: now,
            updated_at: now,
        };
        if self.stores.users.insert(&user).await? {
            return Ok(Imported::Added);
        }
        match self.find_imported(&user.username, new.id).await? {
            Some(_) => Ok(Imported::Already),
            None => Err(AdminError::Invalid("its id belongs to a user of another name")),
        }
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
