//! `/sessions`: lists and ends sessions. Sessions have no `ETag`: every use changes them, and the
//! only operation on a session is to end it.

use actix_web::HttpResponse;
use serde::Deserialize;
use utoipa::IntoParams;

use super::context::{ApiResult, Context, id};
use super::fields::given;
use super::paging::{self, Cursor, ListJson, PageLimit};
use super::problem::Problem;
use super::query::Query;
use crate::admin::json::{EndedSessions, SessionJson};

/// Path parameter of the API routes for one session.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)] // only for the OpenAPI description
pub(super) struct SessionPath {
    /// Session id: 24 hexadecimal digits.
    #[param(pattern = "^[0-9a-f]{24}$", example = "0b1a6dd2f2a9c1f0d3e4b5a6")]
    id: String,
}

/// Query parameters of the API route that lists sessions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListSessionsQuery {
    /// Page size: maximum number of sessions on a page of the list.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: PageLimit,
    /// Cursor (position in the list of sessions): value of `next` in the preceding page.
    #[serde(default, deserialize_with = "given")]
    #[param(value_type = String, required = false, pattern = "^(?:3[0-9]|6[1-6]){24}$")]
    after: Option<Cursor>,
    /// Selects sessions of the user with this name or id.
    #[serde(default, deserialize_with = "given")]
    #[param(value_type = String, required = false)]
    user: Option<String>,
    /// Selects sessions of the client with this id.
    #[serde(default, deserialize_with = "given")]
    #[param(value_type = String, required = false)]
    client: Option<String>,
}

/// Query parameters that select sessions to be ended. At least one is required.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EndSessionsQuery {
    /// Selects sessions of the user with this name or id.
    #[serde(default, deserialize_with = "given")]
    #[param(value_type = String, required = false)]
    user: Option<String>,
    /// Selects sessions of the client with this id.
    #[serde(default, deserialize_with = "given")]
    #[param(value_type = String, required = false)]
    client: Option<String>,
}

/// Lists sessions with at least one unexpired token, in the order of the session ids.
#[utoipa::path(
    get, path = "/sessions", tag = "sessions", operation_id = "list_sessions", params(ListSessionsQuery),
    responses(
        (status = 200, description = "A page of sessions.", body = ListJson<SessionJson>,
            links(
                ("show" = (operation_id = "show_session", parameters(("id" = "$response.body#/items/0/id")))),
                ("end" = (operation_id = "end_session", parameters(("id" = "$response.body#/items/0/id"))))
            ),
            headers(("Link" = String, description = "Next page, with rel=\"next\"; absent on the last page."))),
        (status = 404, description = "The user or client does not exist."))
)]
pub(super) async fn list(context: Context, Query(list): Query<ListSessionsQuery>) -> ApiResult {
    let admin = &context.1.admin;
    let filter = admin.session_filter(list.user.as_deref(), list.client.as_deref()).await?;
    let page = paging::page(list.limit, list.after);
    let found = admin.live_sessions(&filter, &page).await?;
    let now = admin.now();
    Ok(paging::respond(&context, &found, |session| SessionJson::of(session, now)))
}

/// Ends all sessions of a user, of a client, or of both.
///
/// At least one of `user` and `client` is required. With both, the sessions of that user with that
/// client end.
#[utoipa::path(
    delete, path = "/sessions", tag = "sessions", operation_id = "end_sessions", params(EndSessionsQuery),
    responses(
        (status = 200, description = "Number of sessions that were ended.", body = EndedSessions),
        (status = 404, description = "The user or client does not exist."))
)]
pub(super) async fn end_all(context: Context, Query(query): Query<EndSessionsQuery>) -> ApiResult {
    if query.user.is_none() && query.client.is_none() {
        // Without a user or a client, all sessions of the server would end.
        let detail = "name a user or a client: their sessions end".to_owned();
        return Err(Problem::Parameter { name: "user".to_owned(), detail });
    }
    let admin = &context.1.admin;
    let filter = admin.session_filter(query.user.as_deref(), query.client.as_deref()).await?;
    let ended = admin.end_sessions(&filter).await?;
    Ok(HttpResponse::Ok().json(EndedSessions { ended }))
}

/// Shows a session.
#[utoipa::path(
    get, path = "/sessions/{id}", tag = "sessions", operation_id = "show_session", params(SessionPath),
    responses((status = 200, description = "The session.", body = SessionJson))
)]
pub(super) async fn show(context: Context) -> ApiResult {
    let (_, management, request) = context;
    let session = management.admin.live_session(id(&request, "session")?).await?;
    Ok(HttpResponse::Ok().json(SessionJson::of(&session, management.admin.now())))
}

/// Ends a session, and revokes its tokens.
#[utoipa::path(
    delete, path = "/sessions/{id}", tag = "sessions", operation_id = "end_session",
    params(SessionPath), responses((status = 204, description = "The session is ended."))
)]
pub(super) async fn end(context: Context) -> ApiResult {
    let (_, management, request) = context;
    management.admin.end_session(id(&request, "session")?).await?;
    Ok(HttpResponse::NoContent().finish())
}
