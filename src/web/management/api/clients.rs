//! `/clients`: lists, registers, changes and deletes clients. [`bodies`] has the
//! bodies of requests.

mod bodies;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::body::Json;
use super::context::{ApiResult, Context, id, url};
use super::etag::{self, ChangeHeaders, IfMatch, IfNoneMatch, ReadHeaders};
use super::paging::{self, ListJson, SearchQuery};
use super::problem::{Problem, ProblemJson};
use super::query::Query;
use crate::admin::json::{ClientJson, CredentialsJson};
use crate::admin::{AdminError, ClientChange};
use bodies::{AddedClientJson, ClientPatch, NewClientJson};

/// Path parameter of the API routes for one client.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)] // only for the OpenAPI description
pub(super) struct ClientPath {
    /// Client identifier (RFC 6749 §2.2).
    #[param(min_length = 1, max_length = 255, pattern = "^[\\u0020-\\u007e]+$")]
    id: String,
}

/// Lists clients, in the order of their ids.
#[utoipa::path(
    get, path = "/clients", tag = "clients", operation_id = "list_clients", params(SearchQuery),
    responses((status = 200, description = "A page of clients.", body = ListJson<ClientJson>,
        headers(("Link" = String, description = "Next page, with rel=\"next\"; absent on the last page."))))
)]
pub(super) async fn list(context: Context, Query(list): Query<SearchQuery>) -> ApiResult {
    let page = list.page();
    let found = context.1.admin.clients(&list.search, &page).await?;
    Ok(paging::respond(&context, &found, ClientJson::of))
}

/// Registers a client.
///
/// Only the response to this request has the secret of a confidential client.
#[utoipa::path(
    post, path = "/clients", tag = "clients", operation_id = "add_client", request_body = NewClientJson,
    responses((status = 201, description = "The client.", body = AddedClientJson, headers(
        ("Location" = String, description = "URL of the client."),
        ("ETag" = String, description = "Version of the client."))))
)]
pub(super) async fn add(context: Context, Json(add): Json<NewClientJson>) -> ApiResult {
    let (web, management, _) = context;
    let (client, secret) = management.admin.add_client(add.check()?).await?;
    let location = url(&web, &management, &format!("/clients/{}", client.id));
    let secret = secret.map(|secret| secret.expose_secret().to_owned());
    let added = AddedClientJson { client: ClientJson::of(&client), client_secret: secret };
    let mut response = etag::with(StatusCode::CREATED, client.version);
    Ok(response.insert_header((LOCATION, location)).json(added))
}

/// Shows a client.
#[utoipa::path(
    get, path = "/clients/{id}", tag = "clients", operation_id = "show_client",
    params(ClientPath, ReadHeaders),
    responses((status = 200, description = "The client.", body = ClientJson,
        headers(("ETag" = String, description = "Version of the client."))))
)]
pub(super) async fn show(context: Context, known: IfNoneMatch) -> ApiResult {
    let (_, management, request) = context;
    let client = management.admin.client(&id::<String>(&request, "client")?).await?;
    Ok(known.respond(client.version, ClientJson::of(&client)))
}

/// Changes a client.
#[utoipa::path(
    patch, path = "/clients/{id}", tag = "clients", operation_id = "edit_client",
    params(ClientPath, ChangeHeaders),
    request_body(content((ClientPatch = "application/merge-patch+json"), (ClientPatch = "application/json"))),
    responses(
        (status = 200, description = "The changed client.", body = ClientJson,
            headers(("ETag" = String, description = "Version of the client."))),
        (status = 409, description = "A public client cannot have this value, or a permission requires another."))
)]
pub(super) async fn edit(
    context: Context,
    if_match: IfMatch,
    Json(edit): Json<ClientPatch>,
) -> ApiResult {
    let (_, management, request) = context;
    let id = id(&request, "client")?;
    let change = ClientChange { versions: if_match.0, ..edit.into_change() };
    let client = management.admin.edit_client(&id, &change).await?;
    Ok(etag::with(StatusCode::OK, client.version).json(ClientJson::of(&client)))
}

/// Deletes a client, and ends its sessions.
#[utoipa::path(
    delete, path = "/clients/{id}", tag = "clients", operation_id = "delete_client",
    params(ClientPath, ChangeHeaders),
    responses((status = 204, description = "The client is deleted."))
)]
pub(super) async fn remove(context: Context, if_match: IfMatch) -> ApiResult {
    let (_, management, request) = context;
    management.admin.delete_client(&id(&request, "client")?, &if_match.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Rotates the secret of a confidential client.
///
/// Only the response to this request has the new secret. The client's old secret becomes invalid;
/// the client's sessions continue.
#[utoipa::path(
    post, path = "/clients/{id}/secret", tag = "clients", operation_id = "rotate_secret",
    params(ClientPath, ChangeHeaders),
    responses(
        (status = 200, description = "The new secret.", body = CredentialsJson,
            headers(("ETag" = String, description = "Version of the client."))),
        (status = 409, description = "A public client has no secret."),
        (status = 503, description = "If `client_secret` is present, the secret is replaced, but \
            Redis could not be invalidated: servers may accept the old one for up to a second.",
            body = UndeliveredRotationJson, content_type = "application/problem+json"))
)]
pub(super) async fn rotate_secret(context: Context, if_match: IfMatch) -> ApiResult {
    let (_, management, request) = context;
    let id = id(&request, "client")?;
    let rotated = management.admin.rotate_secret(&id, if_match.0).await?;
    let (client, secret) = rotated.value;
    let credentials = CredentialsJson {
        client_id: client.id.to_string(),
        client_secret: secret.expose_secret().to_owned(),
    };
    match rotated.invalidation {
        Ok(()) => Ok(etag::with(StatusCode::OK, client.version).json(credentials)),
        Err(error) => Ok(undelivered_rotation(&AdminError::from(error).into(), credentials)),
    }
}

/// Problem details (RFC 9457 §3.2) with the new secret of a client: the secret was replaced, but
/// removing the old one from Redis failed.
#[derive(Serialize, ToSchema)]
#[schema(as = UndeliveredRotation)]
pub(super) struct UndeliveredRotationJson {
    #[serde(flatten)]
    problem: ProblemJson,
    #[serde(flatten)]
    credentials: CredentialsJson,
}

/// Returns an error response (503) with the client's new secret, which cannot be shown later.
fn undelivered_rotation(problem: &Problem, credentials: CredentialsJson) -> HttpResponse {
    // Its creation logs the cause.
    let of_problem = problem.error_response();
    let mut response = HttpResponse::build(of_problem.status());
    for name in [CONTENT_TYPE, RETRY_AFTER] {
        if let Some(value) = of_problem.headers().get(&name) {
            response.insert_header((name, value.clone()));
        }
    }
    let problem = ProblemJson::new(of_problem.status(), problem.to_string());
    response.json(UndeliveredRotationJson { problem, credentials })
}
