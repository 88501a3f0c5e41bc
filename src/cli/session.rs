//! `sentinel session`: lists and ends sessions.

use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;

use super::Global;
use super::failure::Failure;
use super::listing::{As, Limit, to_json};
use super::output::{self, plain};
use crate::admin::{Admin, AdminError};
use crate::domain::{self, Clock, SessionId, SystemClock, Timestamp};
use crate::store::{Page, SessionFilter};

#[derive(Debug, Subcommand)]
pub(super) enum Session {
    /// Lists sessions with a live token, in the order of their ids
    List(List),
    /// Ends a session, or all sessions of a user or a client
    End(End),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Lists only sessions of the user with this name or id
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Lists only sessions of the client with this id
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    #[command(flatten)]
    limit: Limit,
    /// Starts after the session with this id
    #[arg(long, value_name = "ID")]
    after: Option<SessionId>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["id", "user", "client"]))]
pub(super) struct End {
    /// Session id
    id: Option<String>,
    /// Ends all sessions of the user with this name or id
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Ends all sessions of the client with this id
    #[arg(long, value_name = "ID")]
    client: Option<String>,
}

impl Session {
    pub(super) fn run(self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(global),
            Self::End(end) => end.run(global),
        }
    }
}

impl List {
    fn run(self, global: &Global) -> Result<(), Failure> {
        let now = SystemClock.now();
        let row = |session: &domain::Session| {
            let view = View::of(session, now);
            let user = view.username.unwrap_or("(the client itself)").to_owned();
            let client = view.client_id.to_owned();
            [view.id, user, client, view.scope, view.created_at, view.expires_at]
        };
        let view = |session: &domain::Session| to_json(&View::of(session, now));
        let heading = ["ID", "USER", "CLIENT", "SCOPE", "CREATED", "EXPIRES"];
        let to = As::wanted(global.json, view, heading, row);
        global.on_store(async |admin| {
            let filter = filter(admin, self.user.as_deref(), self.client.as_deref()).await?;
            let after = self.after.map(|id| id.to_string());
            let read = async |page: &Page| Ok(admin.live_sessions(&filter, page).await?);
            self.limit.print(after, read, |session| session.id.to_string(), to).await
        })
    }
}

impl End {
    fn run(&self, global: &Global) -> Result<(), Failure> {
        let ended = global.on_store(async |admin| match &self.id {
            Some(id) => end_one(admin, id).await,
            None => {
                let filter = filter(admin, self.user.as_deref(), self.client.as_deref()).await?;
                Ok(admin.end_sessions(&filter).await?)
            }
        })?;
        if global.json {
            return output::json(&serde_json::json!({ "ended": ended }));
        }
        let sessions = if ended == 1 { "session" } else { "sessions" };
        let whose = match (&self.user, &self.client) {
            (Some(user), _) => format!(" of user {}", plain(user)),
            (_, Some(client)) => format!(" of client {}", plain(client)),
            _ => String::new(),
        };
        output::line(format!("ended {ended} {sessions}{whose}"))
    }
}

async fn end_one(admin: &Admin, id: &str) -> Result<u64, Failure> {
    let parsed = id.parse().map_err(|_| AdminError::NotFound { what: "session", name: id.into() });
    admin.end_session(parsed?).await?;
    Ok(1)
}

/// Returns the filter of the options. Fails if the user or client does not exist, since that is a
/// misspelled name rather than an empty result.
async fn filter(
    admin: &Admin,
    user: Option<&str>,
    client: Option<&str>,
) -> Result<SessionFilter, Failure> {
    let mut filter = SessionFilter::default();
    if let Some(name) = user {
        filter.user = Some(admin.user(name).await?.id);
    }
    if let Some(id) = client {
        filter.client = Some(admin.client(id).await?.id);
    }
    Ok(filter)
}

/// Printed representation of a session, without digests of tokens.
#[derive(Serialize)]
struct View<'a> {
    id: String,
    /// Null, like `username`, for a client that acts on its own behalf.
    user_id: Option<String>,
    username: Option<&'a str>,
    client_id: &'a str,
    scope: String,
    created_at: String,
    /// End of the session, even if it is used.
    ends_at: String,
    /// End of the session unless it is used: the expiry of its last token.
    expires_at: String,
    /// Number of live access tokens.
    access_tokens: usize,
    refreshable: bool,
}

impl<'a> View<'a> {
    fn of(session: &'a domain::Session, now: Timestamp) -> Self {
        let user = session.user.as_ref();
        Self {
            id: session.id.to_string(),
            user_id: user.map(|user| user.id.to_string()),
            username: user.map(|user| user.username.as_str()),
            client_id: session.client_id.as_str(),
            scope: session.scope.to_string(),
            created_at: session.created_at.to_string(),
            ends_at: session.ends_at.to_string(),
            expires_at: session.expires_at().to_string(),
            access_tokens: session.access.iter().filter(|token| now < token.expires_at).count(),
            refreshable: session.refresh.as_ref().is_some_and(|chain| now < chain.idle_ends_at),
        }
    }
}
