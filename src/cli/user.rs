//! `sentinel user`: manages users.

mod export;
mod import;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;

use super::Global;
use super::confirm::Confirmation;
use super::failure::Failure;
use super::listing::{ListLimit, OutputFormat};
use super::output::{self, plain};
use super::password_input::PasswordInput;
use crate::admin::json::UserJson;
use crate::admin::{Admin, AdminError, NewUser, UserChange, Versions};
use crate::domain::{self, Scope, check_username};
use crate::store::{OpenMode, Page};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Adds a user
    Add(AddUser),
    /// Lists users in the order of their names
    List(ListUsers),
    /// Shows a user
    Show(NamedUser),
    /// Renames a user, or changes the scopes that the user may be granted
    Edit(EditUser),
    /// Sets a new password, and ends the user's sessions
    Passwd(SetPassword),
    /// Disables a user, and ends the user's sessions
    Disable(NamedUser),
    /// Enables a disabled user
    Enable(NamedUser),
    /// Deletes a user, and ends the user's sessions
    Delete(DeleteUser),
    /// Adds many users from a file, with their passwords or hashes; safe to repeat
    Import(import::ImportUsers),
    /// Writes all users with their password hashes to a new file
    Export(export::ExportUsers),
}

#[derive(Debug, Args)]
pub(super) struct AddUser {
    /// User name
    #[arg(value_name = "NAME")]
    username: String,
    #[command(flatten)]
    password: PasswordInput,
    /// Limits the user to these scopes; separated by spaces, and may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Option<Vec<Scope>>,
    /// Adds the user as disabled
    #[arg(long)]
    disabled: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListUsers {
    #[command(flatten)]
    limit: ListLimit,
    /// Starts after the user with this name
    #[arg(long, value_name = "NAME")]
    after: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct NamedUser {
    /// The user's name or id
    #[arg(value_name = "NAME")]
    username: String,
}

#[derive(Debug, Args)]
pub(super) struct DeleteUser {
    #[command(flatten)]
    user: NamedUser,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true)
    .args(["rename", "scope", "any_scope"]))]
pub(super) struct EditUser {
    #[command(flatten)]
    user: NamedUser,
    /// New user name; id and sessions do not change
    #[arg(long, value_name = "NEW")]
    rename: Option<String>,
    /// Limits the user to these scopes; "" permits none; separated by spaces, and may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Option<Vec<Scope>>,
    /// Removes the limit on the user's scopes
    #[arg(long, conflicts_with = "scope")]
    any_scope: bool,
}

#[derive(Debug, Args)]
pub(super) struct SetPassword {
    #[command(flatten)]
    user: NamedUser,
    #[command(flatten)]
    password: PasswordInput,
}

impl UserCommand {
    pub(super) fn run(self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(global),
            Self::List(list) => list.run(global),
            Self::Show(user) => show(global, &user),
            Self::Edit(edit) => edit.run(global),
            Self::Passwd(passwd) => passwd.run(global),
            Self::Disable(user) => set_enabled(global, &user, false),
            Self::Enable(user) => set_enabled(global, &user, true),
            Self::Delete(delete) => delete.run(global),
            Self::Import(import) => import.run(global),
            Self::Export(export) => export.run(global),
        }
    }
}

impl AddUser {
    fn run(self, global: &Global) -> Result<(), Failure> {
        self.password.check()?;
        let settings = global.settings()?;
        // Checked before a store is created. The store checks the name again.
        check_username(&self.username).map_err(AdminError::from)?;
        let user = global.on_store_of(&settings, OpenMode::Create, async |admin| {
            // Checked before the password is asked for.
            let username = admin.check_new_username(&self.username).await?;
            admin.check_username_is_free(&username).await?;
            let password = self.password.hash(&username, &settings.password).await?;
            let new = NewUser {
                username,
                password,
                scopes: self.scope.as_deref().map(union),
                enabled: !self.disabled,
            };
            Ok(admin.add_user(new).await?)
        })?;
        output::of_change(if global.json {
            output::json(&json!({ "id": user.id.to_string(), "username": user.username }))
        } else {
            output::line(format!("added user {}, id {}", plain(&user.username), user.id))
        })
    }
}

impl ListUsers {
    fn run(self, global: &Global) -> Result<(), Failure> {
        let row = |user: &domain::User| {
            let (id, since) = (user.id.to_string(), user.created_at.to_string());
            [user.username.clone(), id, state(user), since, scopes(user)]
        };
        let heading = ["NAME", "ID", "STATE", "CREATED", "SCOPES"];
        let to = OutputFormat::of(global.json, UserJson::of, heading, row);
        global.on_store(OpenMode::Read, async |admin| {
            let read = async |page: &Page| admin.users("", page).await;
            self.limit.print(self.after, read, to).await
        })
    }
}

impl EditUser {
    fn run(self, global: &Global) -> Result<(), Failure> {
        let scopes = match (&self.scope, self.any_scope) {
            (Some(scopes), _) => Some(Some(union(scopes))),
            (None, any) => any.then_some(None),
        };
        let change = UserChange { username: self.rename, scopes, ..UserChange::default() };
        let user = global
            .on_store(OpenMode::Write, async |admin| edit(admin, &self.user, &change).await)?;
        done(global, &user, "changed user", "")
    }
}

impl SetPassword {
    fn run(&self, global: &Global) -> Result<(), Failure> {
        self.password.check()?;
        let settings = global.settings()?;
        let user = global.on_store_of(&settings, OpenMode::Write, async |admin| {
            let user = admin.user(&self.user.username).await?;
            let password = Some(self.password.hash(&user.username, &settings.password).await?);
            let change = UserChange { password, ..UserChange::default() };
            Ok(admin.edit_user(user.id, &change).await?)
        })?;
        done(global, &user, "set the password of user", " and ended their sessions")
    }
}

fn show(global: &Global, user: &NamedUser) -> Result<(), Failure> {
    let read = async |admin: &Admin| Ok(admin.user(&user.username).await?);
    let user = global.on_store(OpenMode::Read, read)?;
    if global.json {
        return output::json(&UserJson::of(&user));
    }
    output::properties(&[
        ("name", user.username.clone()),
        ("id", user.id.to_string()),
        ("state", state(&user)),
        ("scopes", scopes(&user)),
        ("created", user.created_at.to_string()),
        ("changed", user.updated_at.to_string()),
    ])
}

fn set_enabled(global: &Global, user: &NamedUser, enabled: bool) -> Result<(), Failure> {
    let change = UserChange { enabled: Some(enabled), ..UserChange::default() };
    let user = global.on_store(OpenMode::Write, async |admin| edit(admin, user, &change).await)?;
    if enabled {
        return done(global, &user, "enabled user", "");
    }
    done(global, &user, "disabled user", " and ended their sessions")
}

impl DeleteUser {
    fn run(&self, global: &Global) -> Result<(), Failure> {
        let user = global.on_store(OpenMode::Write, async |admin| {
            let user = admin.user(&self.user.username).await?;
            let name = plain(&user.username);
            self.confirmation.ask(&format!("Delete user {name} and end their sessions"))?;
            admin.delete_user(user.id, &Versions::Any).await?;
            Ok(user)
        })?;
        output::of_change(if global.json {
            let (id, username) = (user.id.to_string(), user.username);
            output::json(&json!({ "id": id, "username": username, "deleted": true }))
        } else {
            output::line(format!("deleted user {} and ended their sessions", plain(&user.username)))
        })
    }
}

async fn edit(admin: &Admin, user: &NamedUser, to: &UserChange) -> Result<domain::User, Failure> {
    let id = admin.user(&user.username).await?.id;
    Ok(admin.edit_user(id, to).await?)
}

/// Prints that a user was changed; with `--json`, prints the changed user instead.
fn done(global: &Global, user: &domain::User, what: &str, and: &str) -> Result<(), Failure> {
    output::of_change(if global.json {
        output::json(&UserJson::of(user))
    } else {
        output::line(format!("{what} {}{and}", plain(&user.username)))
    })
}

fn state(user: &domain::User) -> String {
    if user.enabled { "enabled" } else { "disabled" }.to_owned()
}

fn scopes(user: &domain::User) -> String {
    match &user.scopes {
        None => "(any)".to_owned(),
        Some(scopes) if scopes.is_empty() => "(none)".to_owned(),
        Some(scopes) => scopes.to_string(),
    }
}

/// Returns the union of the scopes of an option that was repeated.
pub(super) fn union(scopes: &[Scope]) -> Scope {
    scopes.iter().fold(Scope::empty(), |all, scope| all.union(scope))
}
