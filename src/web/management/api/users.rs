//! `/users`: lists, adds, changes and deletes users.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::body::Json;
use super::context::{ApiResult, Context, id, url};
use super::etag::{self, ChangeHeaders, IfMatch, IfNoneMatch, ReadHeaders};
use super::fields::{Password, Username, given};
use super::paging::{self, ListJson, SearchQuery};
use super::problem::Problem;
use super::query::Query;
use crate::admin::json::{ScopeToken, UserJson, scope};
use crate::admin::{NewUser, UserChange};
use crate::domain::check_password;
use crate::web::management::state::Management;

/// A user to add.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewUser)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUserJson {
    username: Username,
    password: Password,
    /// Scopes that the user may be granted; null means no limit beyond that of the client.
    #[serde(default)]
    scopes: Option<Vec<ScopeToken>>,
    /// Whether the user is enabled: a disabled user cannot log in.
    #[serde(default = "default_true")]
    #[schema(default = true)]
    enabled: bool,
}

const fn default_true() -> bool {
    true
}

/// Merge patch of a user (RFC 7396). Absent members of the user keep their values.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserPatch {
    /// New user name. The id and the sessions of the user do not change.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Username, required = false)]
    username: Option<Username>,
    /// Scopes that the user may be granted; null means no limit beyond that of the client.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<ScopeToken>>, required = false)]
    scopes: Option<Option<Vec<ScopeToken>>>,
    /// Whether the user is enabled; false ends the user's sessions.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
}

/// A new password of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    password: Password,
}

/// Path parameter of the API routes for one user.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)] // only for the OpenAPI description
pub(super) struct UserPath {
    /// User id: 24 hexadecimal digits.
    #[param(pattern = "^[0-9a-f]{24}$", example = "6b04d06505deaee2d33dc505")]
    id: String,
}

/// Lists users, in the order of their names.
#[utoipa::path(
    get, path = "/users", tag = "users", operation_id = "list_users", params(SearchQuery),
    responses((status = 200, description = "A page of users.", body = ListJson<UserJson>,
        headers(("Link" = String, description = "Next page, with rel=\"next\"; absent on the last page."))))
)]
pub(super) async fn list(context: Context, Query(list): Query<SearchQuery>) -> ApiResult {
    let page = list.page();
    let found = context.1.admin.users(&list.search, &page).await?;
    Ok(paging::respond(&context, &found, UserJson::of))
}

/// Adds a user.
#[utoipa::path(
    post, path = "/users", tag = "users", operation_id = "add_user", request_body = NewUserJson,
    responses(
        (status = 201, description = "The user.", body = UserJson, headers(
            ("Location" = String, description = "URL of the user."),
            ("ETag" = String, description = "Version of the user."))),
        (status = 409, description = "The name is taken."))
)]
pub(super) async fn add(context: Context, Json(add): Json<NewUserJson>) -> ApiResult {
    let (web, management, _) = context;
    check_length(&management, &add.password)?;
    let new = NewUser {
        username: add.username.0,
        password: management.passwords.hash(add.password.0).await?,
        scopes: add.scopes.as_deref().map(scope),
        enabled: add.enabled,
    };
    let user = management.admin.add_user(new).await?;
    let location = url(&web, &management, &format!("/users/{}", user.id));
    let mut response = etag::with(StatusCode::CREATED, user.version);
    Ok(response.insert_header((LOCATION, location)).json(UserJson::of(&user)))
}

/// Shows a user.
#[utoipa::path(
    get, path = "/users/{id}", tag = "users", operation_id = "show_user", params(UserPath, ReadHeaders),
    responses((status = 200, description = "The user.", body = UserJson,
        headers(("ETag" = String, description = "Version of the user."))))
)]
pub(super) async fn show(context: Context, known: IfNoneMatch) -> ApiResult {
    let (_, management, request) = context;
    let user = management.admin.user_by_id(id(&request, "user")?).await?;
    Ok(known.respond(user.version, UserJson::of(&user)))
}

/// Changes a user.
#[utoipa::path(
    patch, path = "/users/{id}", tag = "users", operation_id = "edit_user",
    params(UserPath, ChangeHeaders),
    request_body(content((UserPatch = "application/merge-patch+json"), (UserPatch = "application/json"))),
    responses(
        (status = 200, description = "The changed user.", body = UserJson,
            headers(("ETag" = String, description = "Version of the user."))),
        (status = 409, description = "The name is taken."))
)]
pub(super) async fn edit(
    context: Context,
    if_match: IfMatch,
    Json(edit): Json<UserPatch>,
) -> ApiResult {
    let (_, management, request) = context;
    let change = UserChange {
        username: edit.username.map(|username| username.0),
        scopes: edit.scopes.map(|scopes| scopes.as_deref().map(scope)),
        enabled: edit.enabled,
        versions: if_match.0,
        ..UserChange::default()
    };
    let user = management.admin.edit_user(id(&request, "user")?, &change).await?;
    Ok(etag::with(StatusCode::OK, user.version).json(UserJson::of(&user)))
}

/// Deletes a user, and ends the user's sessions.
#[utoipa::path(
    delete, path = "/users/{id}", tag = "users", operation_id = "delete_user",
    params(UserPath, ChangeHeaders), responses((status = 204, description = "The user is deleted."))
)]
pub(super) async fn remove(context: Context, if_match: IfMatch) -> ApiResult {
    let (_, management, request) = context;
    management.admin.delete_user(id(&request, "user")?, &if_match.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Sets a new password, and ends the user's sessions.
#[utoipa::path(
    post, path = "/users/{id}/password", tag = "users", operation_id = "set_password",
    params(UserPath, ChangeHeaders), request_body = NewPassword,
    responses((status = 204, description = "The password is set.",
        headers(("ETag" = String, description = "Version of the user."))))
)]
pub(super) async fn set_password(
    context: Context,
    if_match: IfMatch,
    Json(set): Json<NewPassword>,
) -> ApiResult {
    let (_, management, request) = context;
    check_length(&management, &set.password)?;
    let user_id = id(&request, "user")?;
    // Checks the version before the password is hashed, since hashing is expensive.
    if_match.0.check(management.admin.user_by_id(user_id).await?.version)?;
    let password = Some(management.passwords.hash(set.password.0).await?);
    let change = UserChange { password, versions: if_match.0, ..UserChange::default() };
    let user = management.admin.edit_user(user_id, &change).await?;
    Ok(etag::with(StatusCode::NO_CONTENT, user.version).finish())
}

/// Returns a [`Problem`] if a user's new password is too short. Handlers call this before they look
/// up the user: an invalid body is refused in the same way for every user.
fn check_length(management: &Management, password: &Password) -> Result<(), Problem> {
    Ok(check_password(password.0.expose_secret(), management.shortest_password())?)
}
