//! Users, clients and sessions as templates receive them, without password hashes and digests of
//! secrets.

use std::time::Duration;

use serde::Serialize;

use super::timestamp_view::TimestampView;
use super::urls::encoded;
use crate::domain::{Client, ClientId, Session, Timestamp, User, UserId, show_duration};

/// Placeholder for the password hash that the page of flask-sentinel (the predecessor) showed.
const HIDDEN: &str = "(hidden)";

#[derive(Clone, Debug, Serialize)]
pub(super) struct UserView {
    pub(super) id: String,
    pub(super) username: String,
    pub(super) enabled: bool,
    /// Scopes that the user may be granted; `None` for no limit.
    pub(super) scopes: Option<Vec<String>>,
    pub(super) created: TimestampView,
    pub(super) changed: TimestampView,
    /// URL of the user's page.
    pub(super) url: String,
    // Names that flask-sentinel's templates use.
    #[serde(rename = "_id")]
    id_again: String,
    hashpw: &'static str,
}

impl UserView {
    pub(super) fn of(user: &User, base: &str, now: Timestamp) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.clone(),
            enabled: user.enabled,
            scopes: user.scopes.as_ref().map(|scopes| words(scopes.iter())),
            created: TimestampView::of(user.created_at, now),
            changed: TimestampView::of(user.updated_at, now),
            url: format!("{base}/users/{}", user.id),
            id_again: user.id.to_string(),
            hashpw: HIDDEN,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ClientView {
    pub(super) id: String,
    pub(super) name: String,
    /// Display name of the client, or the client's id if it has no name.
    pub(super) title: String,
    pub(super) confidential: bool,
    pub(super) grants: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) default_scopes: Vec<String>,
    /// Lifetime of the client's access tokens, as text; "" for the default of the server.
    pub(super) access_token_ttl: String,
    pub(super) refresh_idle_ttl: String,
    pub(super) session_ttl: String,
    pub(super) introspection: bool,
    pub(super) introspect_refresh_tokens: bool,
    pub(super) enabled: bool,
    pub(super) created: TimestampView,
    pub(super) changed: TimestampView,
    /// URL of the client's page.
    pub(super) url: String,
    // Names that flask-sentinel's templates use.
    #[serde(rename = "_id")]
    id_again: String,
    client_id: String,
    client_type: &'static str,
    allowed_grant_types: Vec<String>,
    /// Default redirect URI, which flask-sentinel's templates use; "" since Sentinel has none.
    default_redirect_uri: &'static str,
}

impl ClientView {
    pub(super) fn of(client: &Client, base: &str, now: Timestamp) -> Self {
        let id = client.id.to_string();
        let grants = words(client.grants.iter().map(|grant| grant.as_str()));
        Self {
            name: client.name.clone(),
            title: title(client),
            confidential: client.is_confidential(),
            grants: grants.clone(),
            scopes: words(client.scopes.iter()),
            default_scopes: words(client.default_scopes.iter()),
            access_token_ttl: ttl(client.access_token_ttl),
            refresh_idle_ttl: ttl(client.refresh_idle_ttl),
            session_ttl: ttl(client.session_ttl),
            introspection: client.introspection,
            introspect_refresh_tokens: client.introspect_refresh_tokens,
            enabled: client.enabled,
            created: TimestampView::of(client.created_at, now),
            changed: TimestampView::of(client.updated_at, now),
            url: format!("{base}/clients/{}", encoded(&id)),
            id_again: id.clone(),
            client_id: id.clone(),
            client_type: if client.is_confidential() { "confidential" } else { "public" },
            allowed_grant_types: grants,
            default_redirect_uri: "",
            id,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct SessionView {
    pub(super) id: String,
    /// Link to the user of the session; `None` for a client that acts for itself.
    pub(super) user: Option<Link>,
    pub(super) client: Link,
    pub(super) scope: Vec<String>,
    pub(super) started: TimestampView,
    /// Time when a token of the session was last issued.
    pub(super) used: TimestampView,
    /// Time when the last token of the session expires, unless the session is refreshed.
    pub(super) expires: TimestampView,
    pub(super) refreshable: bool,
    /// URL to which the form that ends the session posts.
    pub(super) end_url: String,
}

/// Link to the page of a user or client.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Link {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) url: String,
}

impl Link {
    pub(super) fn to_user(id: UserId, title: String, base: &str) -> Self {
        Self { id: id.to_string(), title, url: format!("{base}/users/{id}") }
    }

    pub(super) fn to_client(id: &ClientId, title: String, base: &str) -> Self {
        let url = format!("{base}/clients/{}", encoded(id.as_str()));
        Self { id: id.to_string(), title, url }
    }
}

impl SessionView {
    /// Converts a session to the form that templates receive. `client` is the name of the session's
    /// client, and `base` the URL path of the management page.
    pub(super) fn of(session: &Session, client: String, base: &str, now: Timestamp) -> Self {
        let id = session.id.to_string();
        let issued = session.access_tokens.iter().map(|token| token.issued_at);
        let refresh = session.refresh.as_ref();
        let used = issued.chain(refresh.map(|chain| chain.issued_at)).max();
        let user = session.user.as_ref();
        Self {
            user: user.map(|user| Link::to_user(user.id, user.username.clone(), base)),
            client: Link::to_client(&session.client_id, client, base),
            scope: words(session.scope.iter()),
            started: TimestampView::of(session.created_at, now),
            used: TimestampView::of(used.unwrap_or(session.created_at), now),
            expires: TimestampView::of(session.expires_at(), now),
            refreshable: refresh.is_some(),
            end_url: format!("{base}/sessions/{id}/end"),
            id,
        }
    }
}

/// Returns the display name of a client, or the client's id if it has no name.
pub(super) fn title(client: &Client) -> String {
    if client.name.is_empty() { client.id.to_string() } else { client.name.clone() }
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words.map(str::to_owned).collect()
}

fn ttl(own: Option<Duration>) -> String {
    own.map(show_duration).unwrap_or_default()
}
