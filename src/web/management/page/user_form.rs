//! Forms for users: fills them in and validates what was submitted.

use super::form_view::FormView;
use super::page_context::PageContext;
use super::page_error::PageError;
use super::posted_form::PostedFields;
use crate::admin::AdminError;
use crate::domain::{
    InvalidUsername, MAX_USERNAME_BYTES, PasswordHash, Scope, User, check_password, check_username,
};
use crate::password::PoolError;

/// Value of the form field `scope_limit` for a user who may be granted any scope.
const ANY: &str = "any";
/// Value of the form field `scope_limit` for a user who may be granted only the listed scopes.
const ONLY: &str = "only";

/// Returns the HTML form for a new user who is enabled and may be granted any scope.
pub(super) fn blank() -> FormView {
    of_fields("", ANY, "").with_box("enabled", true).with("password", "").with("again", "")
}

/// Returns the HTML form for a user, filled in with the user's present values.
pub(super) fn of_user(user: &User) -> FormView {
    let form = match &user.scopes {
        None => of_fields(&user.username, ANY, ""),
        Some(scopes) => of_fields(&user.username, ONLY, scopes.as_str()),
    };
    form.with("version", user.version.to_string())
}

/// Returns the HTML form for a user who was changed after the form was opened: the user's present
/// values, and beside each field the submitted value if it differs.
pub(super) fn of_changed(user: &User, fields: &PostedFields) -> FormView {
    let mut form = of_user(user).with_submitted(&submitted(fields), &["version"]);
    form.set_submitted_text("scope_limit", "You chose the other one.");
    form.set_error("version", changed_message("user"));
    form
}

/// Returns the error message that a user or client (`what`) was changed after its form was opened.
pub(super) fn changed_message(what: &str) -> String {
    format!(
        "The {what} was changed after this form was opened, so nothing was saved. The form shows the \
         current values, and your entries beside those that differ."
    )
}

/// Returns the empty HTML form for a new password of a user.
pub(super) fn of_password() -> FormView {
    FormView::default().with("password", "").with("again", "")
}

/// Returns the HTML form for a user, filled in with the submitted values but without passwords.
pub(super) fn submitted(fields: &PostedFields) -> FormView {
    of_fields(fields.get("username"), fields.get("scope_limit"), fields.get("scopes"))
        .with("version", fields.get("version"))
        .with_box("enabled", fields.is_on("enabled"))
        .with("password", "")
        .with("again", "")
}

fn of_fields(username: &str, limit: &str, scopes: &str) -> FormView {
    let form = FormView::default().with("username", username);
    form.with("scope_limit", if limit == ONLY { ONLY } else { ANY }).with("scopes", scopes)
}

/// Validates the submitted user name and scopes, and returns both. If one is invalid, sets the
/// error messages in `form` and returns `None`. `before` is the user's present name, which is
/// always valid, even if a new user could not have it.
pub(super) fn read(
    fields: &PostedFields,
    form: &mut FormView,
    before: Option<&str>,
) -> Option<(String, Option<Scope>)> {
    let typed = fields.get("username");
    let is_left = before == Some(typed);
    let read = if is_left { Ok(typed.to_owned()) } else { username(typed) };
    let username = form.check("username", read);
    let scopes = match fields.get("scope_limit") {
        ONLY => form.check("scopes", scope(fields.get("scopes"))).map(Some),
        _ => Some(None),
    };
    username.zip(scopes)
}

fn username(name: &str) -> Result<String, String> {
    if name.trim_matches(' ').is_empty() {
        return Err("Enter a name.".to_owned());
    }
    if name.len() > MAX_USERNAME_BYTES {
        return Err(format!(
            "The name has {} bytes; at most {MAX_USERNAME_BYTES} are allowed.",
            name.len()
        ));
    }
    let wrong =
        "Enter a name without control characters. 24 hexadecimal digits are reserved for ids.";
    let characters = "Enter a name of letters, digits and ASCII punctuation, with single spaces \
                      between its parts. Invisible characters, other symbols, and some mixtures of \
                      writing directions are not allowed.";
    check_username(name).map(str::to_owned).map_err(|error| match error {
        InvalidUsername::Malformed => wrong.to_owned(),
        InvalidUsername::Disallowed => characters.to_owned(),
        InvalidUsername::Reserved => sentence(&error.to_string()),
    })
}

/// Parses the scopes in a form field, separated by spaces. The error is a message for the form.
pub(super) fn scope(text: &str) -> Result<Scope, &'static str> {
    text.parse().map_err(|_| {
        "Enter scopes of printable ASCII characters, separated by spaces. They have no quotation \
         marks and no backslashes."
    })
}

/// Returns the new password in `fields`, or sets an error in `form` and returns `None`.
pub(super) fn password<'a>(
    context: &PageContext,
    fields: &'a PostedFields,
    form: &mut FormView,
) -> Option<&'a str> {
    let password = fields.get("password");
    if let Err(error) = check_password(password, context.shortest_password()) {
        form.set_error("password", sentence(&error.to_string()));
        return None;
    }
    if password != fields.get("again") {
        form.set_error("again", "The two passwords differ.");
        return None;
    }
    Some(password)
}

/// Returns the hash of a new password, or a message for the form if this password cannot be hashed.
pub(super) async fn hash(
    context: &PageContext,
    password: &str,
) -> Result<Result<PasswordHash, String>, PageError> {
    match context.hash(password).await {
        Ok(hash) => Ok(Ok(hash)),
        Err(PoolError::Hash(error)) if error.is_caused_by_password() => {
            Ok(Err(sentence(&error.to_string())))
        }
        Err(error) => Err(error.into()),
    }
}

/// Shows an error about the user name beside its field in `form`. Returns any other error.
pub(super) fn show_error(error: AdminError, form: &mut FormView) -> Result<(), PageError> {
    match error {
        AdminError::NameTaken(name) => {
            form.set_error("username", format!("There is already a user called “{name}”."));
        }
        AdminError::NameOfClient(_) => {
            form.set_error("username", "There is a client with this id. Choose another name.");
        }
        AdminError::InvalidUsername(error) => {
            form.set_error("username", sentence(&error.to_string()));
        }
        error => return Err(error.into()),
    }
    Ok(())
}

/// Returns an error message as a sentence, with a capital letter and a full stop.
pub(super) fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().collect::<String>());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}
