//! Handles the forms of flask-sentinel's page, which post to the URL of the page, so that an
//! operator's `management.html` keeps working.

use super::dashboard::show_again;
use super::page_context::PageContext;
use super::page_error::{PageError, PageResult};
use super::posted_form::PostedForm;
use super::user_form;
use crate::admin::{AdminError, NewClient, NewUser};
use crate::domain::check_password;

/// Handles both forms of a page template for flask-sentinel (the predecessor). "Add User" reads
/// `username` and `password`; "Add Client" reads nothing and registers a public client.
pub(super) async fn add(context: PageContext, PostedForm(fields): PostedForm) -> PageResult {
    match fields.get("submit") {
        "Add User" => add_user(&context, fields.get("username"), fields.get("password")).await,
        "Add Client" => {
            context.admin().add_client(NewClient::default()).await?;
            Ok(context.see_other("?done=client-added"))
        }
        _ => Err(PageError::Malformed),
    }
}

async fn add_user(context: &PageContext, username: &str, password: &str) -> PageResult {
    if let Err(error) = check_password(password, context.shortest_password()) {
        return show_again(context, user_form::sentence(&error.to_string())).await;
    }
    let password = match user_form::hash(context, password).await? {
        Ok(password) => password,
        Err(reason) => return show_again(context, reason).await,
    };
    let new = NewUser { username: username.to_owned(), password, scopes: None, enabled: true };
    match context.admin().add_user(new).await {
        Ok(_) => Ok(context.see_other("?done=user-added")),
        Err(
            error @ (AdminError::NameTaken(_)
            | AdminError::NameOfClient(_)
            | AdminError::InvalidUsername(_)),
        ) => show_again(context, user_form::sentence(&error.to_string())).await,
        Err(error) => Err(error.into()),
    }
}
