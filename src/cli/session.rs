//! `sentinel session`: lists and ends sessions.

use clap::{ArgGroup, Args, Subcommand};

use super::Global;
use super::failure::Failure;
use super::listing::{ListLimit, OutputFormat};
use super::output::{self, plain};
use crate::admin::json::{EndedSessions, SessionJson};
use crate::admin::{Admin, AdminError};
use crate::domain::{self, Clock, SessionId, SystemClock};
use crate::store::{OpenMode, Page};

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// Lists sessions with a live token, in the order of their ids
    List(ListSessions),
    /// Ends a session, or all sessions of a user or a client
    End(EndSessions),
}

#[derive(Debug, Args)]
pub(super) struct ListSessions {
    /// Lists only sessions of the user with this name or id
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Lists only sessions of the client with this id
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    #[command(flatten)]
    limit: ListLimit,
    /// Starts after the session with this id
    #[arg(long, value_name = "ID")]
    after: Option<SessionId>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["id", "user", "client"]))]
pub(super) struct EndSessions {
    /// Session id
    id: Option<String>,
    /// Ends all sessions of the user with this name or id
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Ends all sessions of the client with this id
    #[arg(long, value_name = "ID")]
    client: Option<String>,
}

impl SessionCommand {
    pub(super) fn run(self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(global),
            Self::End(end) => end.run(global),
        }
    }
}

impl ListSessions {
    fn run(self, global: &Global) -> Result<(), Failure> {
        let now = SystemClock.now();
        let row = |session: &domain::Session| {
            let user = session.user.as_ref().map(|user| user.username.clone());
            [
                session.id.to_string(),
                user.unwrap_or_else(|| "(the client itself)".to_owned()),
                session.client_id.to_string(),
                session.scope.to_string(),
                session.created_at.to_string(),
                session.expires_at().to_string(),
            ]
        };
        let json = |session: &domain::Session| SessionJson::of(session, now);
        let heading = ["ID", "USER", "CLIENT", "SCOPES", "CREATED", "EXPIRES"];
        let to = OutputFormat::of(global.json, json, heading, row);
        global.on_store(OpenMode::Read, async |admin| {
            let (user, client) = (self.user.as_deref(), self.client.as_deref());
            let filter = admin.session_filter(user, client).await?;
            let after = self.after.map(|id| id.to_string());
            let read = async |page: &Page| admin.live_sessions(&filter, page).await;
            self.limit.print(after, read, to).await
        })
    }
}

impl EndSessions {
    fn run(&self, global: &Global) -> Result<(), Failure> {
        let ended = global.on_store(OpenMode::Write, async |admin| match &self.id {
            Some(id) => end_one(admin, id).await,
            None => {
                let (user, client) = (self.user.as_deref(), self.client.as_deref());
                let filter = admin.session_filter(user, client).await?;
                Ok(admin.end_sessions(&filter).await?)
            }
        })?;
        if global.json {
            return output::of_change(output::json(&EndedSessions { ended }));
        }
        let sessions = if ended == 1 { "session" } else { "sessions" };
        let whose = match (&self.user, &self.client) {
            (Some(user), _) => format!(" of user {}", plain(user)),
            (_, Some(client)) => format!(" of client {}", plain(client)),
            _ => String::new(),
        };
        output::of_change(output::line(format!("ended {ended} {sessions}{whose}")))
    }
}

async fn end_one(admin: &Admin, id: &str) -> Result<u64, Failure> {
    let parsed = id.parse().map_err(|_| AdminError::NotFound { what: "session", name: id.into() });
    admin.end_session(parsed?).await?;
    Ok(1)
}
