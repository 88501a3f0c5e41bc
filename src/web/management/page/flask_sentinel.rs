//! Handles the forms of flask-sentinel's page, which post to the URL of the page, so that an
//! operator's `management.html` keeps working.

use actix_web::HttpResponse;

use super::dashboard::show_again;
use super::desk::Desk;
use super::fields::Posted;
use super::{Failure, user_form};
use crate::admin::{AdminError, NewClient, NewUser};
use crate::domain::check_password;

/// Handles both forms. "Add User" reads `username` and `password`; "Add Client" reads nothing and
/// registers a public client.
pub(super) async fn add(desk: Desk, Posted(fields): Posted) -> Result<HttpResponse, Failure> {
    match fields.get("submit") {
        "Add User" => add_user(&desk, fields.get("username"), fields.get("password")).await,
        "Add Client" => {
            desk.admin().add_client(NewClient::default()).await?;
            Ok(desk.see_other("?done=client-added"))
        }
        _ => Err(Failure::Malformed),
    }
}

async fn add_user(desk: &Desk, username: &str, password: &str) -> Result<HttpResponse, Failure> {
    if let Err(error) = check_password(password, desk.shortest_password()) {
        return show_again(desk, user_form::sentence(&error.to_string())).await;
    }
    let password = match user_form::hash(desk, password).await? {
        Ok(password) => password,
        Err(reason) => return show_again(desk, reason).await,
    };
    let new = NewUser { username: username.to_owned(), password, scopes: None, enabled: true };
    match desk.admin().add_user(new).await {
        Ok(_) => Ok(desk.see_other("?done=user-added")),
        Err(error @ (AdminError::NameTaken(_) | AdminError::InvalidUsername(_))) => {
            show_again(desk, user_form::sentence(&error.to_string())).await
        }
        Err(error) => Err(error.into()),
    }
}
