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

/// What one login started, as long as it has a live token.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct View {
    /// 24 hexadecimal digits; not a token, nor anything that helps to make one.
    #[schema(pattern = "^[0-9a-f]{24}$", example = "0b1a6dd2f2a9c1f0d3e4b5a6")]
    id: String,
    /// Whose it is; null, as the name is, for a client that acts for itself.
    #[schema(required)]
    user_id: Option<String>,
    /// The user's name.
    #[schema(required)]
    username: Option<String>,
    /// Through which client.
    client_id: String,
    /// What was granted.
    scopes: Vec<ScopeToken>,
    /// When it started.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it is over, however much it is used.
    #[schema(format = DateTime)]
    ends_at: String,
    /// When it is over unless it is used: with its last token.
    #[schema(format = DateTime)]
    expires_at: String,
    /// How many of its access tokens are alive.
    #[schema(minimum = 0)]
    access_tokens: usize,
    /// Whether it has a refresh token that is alive.
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

/// How many sessions were ended.
#[derive(Serialize, ToSchema)]
#[schema(as = EndedSessions)]
pub(super) struct Ended {
    /// So many.
    ended: u64,
}

/// Path parameter of the routes for one session.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)] // only for the OpenAPI description
pub(super) struct OneSession {
    /// The session's id.
    #[param(pattern = "^[0-9a-f]{24}$", example = "0b1a6dd2f2a9c1f0d3e4b5a6")]
    id: String,
}

/// Query parameters of the list of sessions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// At most so many.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// Starts behind the page whose `next` this is.
    #[serde(default, deserialize_with = "given")]
    #[param(inline, value_type = Cursor, required = false)]
    after: Option<Cursor>,
    /// Only this user's, by name or id.
    #[serde(default, deserialize_with = "given")]
    #[param(value_type = String, required = false)]
    user: Option<String>,
    /// Only those through the client with this id.
    #[serde(default, deserialize_with = "given")]
    #[param(value_type = String, required = false)]
    client: Option<String>,
}

/// Query parameters that select sessions to be ended. At least one is required.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// Only this user's, by name or id.
    #[serde(default, deserialize_with = "given")]
    #[param(value_type = String, required = false)]
    user: Option<String>,
    /// Only those through the client with this id.
    #[serde(default, deserialize_with = "given")]
    #[param(value_type = String, required = false)]
    client: Option<String>,
}

/// Lists live sessions, in the order of their ids.
#[utoipa::path(
    get, path = "/sessions", tag = "sessions", operation_id = "list_sessions", params(List),
    responses(
        (status = 200, description = "A page of them.", body = Listing<View>,
            links(
                ("show" = (operation_id = "show_session", parameters(("id" = "$response.body#/items/0/id")))),
                ("end" = (operation_id = "end_session", parameters(("id" = "$response.body#/items/0/id"))))
            ),
            headers(("Link" = String, description = "The next page, with rel=\"next\"; left out on the last one."))),
        (status = 404, description = "There is no such user or client."))
)]
pub(super) async fn list(context: Context, Query(list): Query<List>) -> Answer {
    let admin = &context.1.admin;
    let filter = filter(admin, list.user.as_deref(), list.client.as_deref()).await?;
    let page = paging::page(list.limit, list.after.as_ref());
    let found = admin.live_sessions(&filter, &page).await?;
    let (now, key) = (admin.now(), |session: &Session| session.id.to_string());
    Ok(paging::answer(&context, list.limit, found, key, |session| View::of(session, now)))
}

/// Ends all sessions of a user, or through a client, or of that user through that client.
#[utoipa::path(
    delete, path = "/sessions", tag = "sessions", operation_id = "end_sessions", params(Whose),
    responses(
        (status = 200, description = "How many there were.", body = Ended),
        (status = 404, description = "There is no such user or client."))
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

/// Ends a session, and all of its tokens.
#[utoipa::path(
    delete, path = "/sessions/{id}", tag = "sessions", operation_id = "end_session",
    params(OneSession), responses((status = 204, description = "The session has ended."))
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
