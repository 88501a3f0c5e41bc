//! `/sessions`: lists and ends sessions. Sessions have no `ETag`: every use changes them, and the
//! only operation on a session is to end it.

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::fields::{self, ScopeToken, given};
use super::paging::{self, Cursor, Limit, Listing};
use super::problem::Problem;
use super::query::Query;
use super::{Answer, Context, id};
use crate::admin::Admin;
use crate::domain::{Session, Timestamp};
use crate::store::SessionFilter;

/// A session with a live token, started by a login or a client credentials grant.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct View {
    /// Session id: 24 hexadecimal digits. No token can be derived from it.
    #[schema(pattern = "^[0-9a-f]{24}$", example = "0b1a6dd2f2a9c1f0d3e4b5a6")]
    id: String,
    /// User id; null, like `username`, for the client credentials grant (RFC 6749 §4.4).
    #[schema(required)]
    user_id: Option<String>,
    /// User name.
    #[schema(required)]
    username: Option<String>,
    /// Identifier of the client that the tokens were issued to.
    client_id: String,
    /// Granted scopes.
    scopes: Vec<ScopeToken>,
    /// Time at which the session started (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// Time at which the session ends, regardless of its use (RFC 3339).
    #[schema(format = DateTime)]
    ends_at: String,
    /// Time at which the last token expires unless the session is refreshed (RFC 3339).
    #[schema(format = DateTime)]
    expires_at: String,
    /// Number of live access tokens.
    #[schema(minimum = 0)]
    access_tokens: usize,
    /// Whether the session has a live refresh token.
    refreshable: bool,
}

impl View {
    fn of(session: &Session, now: Timestamp) -> Self {
        let user = session.user.as_ref();
        Self {
            id: session.id.to_string(),
            user_id: user.map(|user| user.id.to_string()),
            username: user.map(|user| user.username.clone()),
            client_id: session.client_id.to_string(),
            scopes: fields::tokens(&session.scope),
            created_at: session.created_at.to_string(),
            ends_at: session.ends_at.to_string(),
            expires_at: session.expires_at().to_string(),
            access_tokens: session.access.iter().filter(|token| now < token.expires_at).count(),
            refreshable: session.refresh.as_ref().is_some_and(|chain| now < chain.idle_ends_at),
        }
    }
}

/// Result of ending sessions.
#[derive(Serialize, ToSchema)]
#[schema(as = EndedSessions)]
pub(super) struct Ended {
    /// Number of sessions that were ended.
    ended: u64,
}

/// Path parameter of the routes for one session.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)] // only for the OpenAPI description
pub(super) struct OneSession {
    /// Session id: 24 hexadecimal digits.
    #[param(pattern = "^[0-9a-f]{24}$", example = "0b1a6dd2f2a9c1f0d3e4b5a6")]
    id: String,
}

/// Query parameters of the list of sessions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// Page size: maximum number of entries.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// Cursor: `next` of the preceding page.
    #[serde(default, deserialize_with = "given")]
    #[param(inline, value_type = Cursor, required = false)]
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
pub(super) struct Whose {
    /// Selects sessions of the user with this name or id.
    #[serde(default, deserialize_with = "given")]
    #[param(value_type = String, required = false)]
    user: Option<String>,
    /// Selects sessions of the client with this id.
    #[serde(default, deserialize_with = "given")]
    #[param(value_type = String, required = false)]
    client: Option<String>,
}

/// Lists sessions with a live token, in the order of their ids.
#[utoipa::path(
    get, path = "/sessions", tag = "sessions", operation_id = "list_sessions", params(List),
    responses(
        (status = 200, description = "A page of sessions.", body = Listing<View>,
            links(
                ("show" = (operation_id = "show_session", parameters(("id" = "$response.body#/items/0/id")))),
                ("end" = (operation_id = "end_session", parameters(("id" = "$response.body#/items/0/id"))))
            ),
            headers(("Link" = String, description = "Next page, with rel=\"next\"; absent on the last page."))),
        (status = 404, description = "The user or client does not exist."))
)]
pub(super) async fn list(context: Context, Query(list): Query<List>) -> Answer {
    let admin = &context.1.admin;
    let filter = filter(admin, list.user.as_deref(), list.client.as_deref()).await?;
    let page = paging::page(list.limit, list.after.as_ref());
    let found = admin.live_sessions(&filter, &page).await?;
    let (now, key) = (admin.now(), |session: &Session| session.id.to_string());
    Ok(paging::answer(&context, list.limit, found, key, |session| View::of(session, now)))
}

/// Ends all sessions of a user, of a client, or of both.
///
/// At least one of `user` and `client` is required. With both, the sessions of that user with that
/// client end.
#[utoipa::path(
    delete, path = "/sessions", tag = "sessions", operation_id = "end_sessions", params(Whose),
    responses(
        (status = 200, description = "Number of sessions that were ended.", body = Ended),
        (status = 404, description = "The user or client does not exist."))
)]
pub(super) async fn end_all(context: Context, Query(whose): Query<Whose>) -> Answer {
    if whose.user.is_none() && whose.client.is_none() {
        // Without a user or a client, all sessions of the server would end.
        let detail = "expected user or client: whose sessions are to end".to_owned();
        return Err(Problem::Parameter { name: "user".to_owned(), detail });
    }
    let admin = &context.1.admin;
    let filter = filter(admin, whose.user.as_deref(), whose.client.as_deref()).await?;
    let ended = admin.end_sessions(&filter).await?;
    Ok(super::answer(StatusCode::OK).json(Ended { ended }))
}

/// Shows a session.
#[utoipa::path(
    get, path = "/sessions/{id}", tag = "sessions", operation_id = "show_session", params(OneSession),
    responses((status = 200, description = "The session.", body = View))
)]
pub(super) async fn show(context: Context) -> Answer {
    let (_, management, request) = context;
    let session = management.admin.live_session(id(&request, "session")?).await?;
    let view = View::of(&session, management.admin.now());
    Ok(super::answer(StatusCode::OK).json(view))
}

/// Ends a session, and revokes its tokens.
#[utoipa::path(
    delete, path = "/sessions/{id}", tag = "sessions", operation_id = "end_session",
    params(OneSession), responses((status = 204, description = "The session is ended."))
)]
pub(super) async fn end(context: Context) -> Answer {
    let (_, management, request) = context;
    management.admin.end_session(id(&request, "session")?).await?;
    Ok(super::answer(StatusCode::NO_CONTENT).finish())
}

/// Returns the filter for a user and a client. An unknown user or client is an error, since it is
/// more likely a mistyped name than a user or client without sessions.
async fn filter(
    admin: &Admin,
    user: Option<&str>,
    client: Option<&str>,
) -> Result<SessionFilter, Problem> {
    let mut filter = SessionFilter::default();
    if let Some(name) = user {
        filter.user = Some(admin.user(name).await?.id);
    }
    if let Some(id) = client {
        filter.client = Some(admin.client(id).await?.id);
    }
    Ok(filter)
}
