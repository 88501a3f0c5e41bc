//! The operator who changes users, clients or sessions, as named in the audit events of all such
//! changes.

use std::future::Future;

tokio::task_local! {
    static CURRENT_ACTOR: Actor;
}

/// Interface through which an operator makes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// The management page.
    Page,
    /// The management API.
    Api,
    /// The command line.
    CommandLine,
}

/// Actor of an audit event: the operator who makes a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Interface through which the change is made.
    pub via: Interface,
    /// Authenticated user name of the operator; `None` on the command line.
    pub operator: Option<String>,
    /// Network address of the operator; `None` on the command line.
    pub address: Option<String>,
}

impl Interface {
    /// Returns the name of the interface in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Api => "api",
            Self::CommandLine => "command line",
        }
    }
}

impl Actor {
    /// Actor that audit events name for all changes made on the command line.
    pub const COMMAND_LINE: Self =
        Self { via: Interface::CommandLine, operator: None, address: None };

    /// Runs `future` with this actor, so that audit events of changes in `future` name the actor.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT_ACTOR.scope(self, future)
    }

    /// Returns the actor (operator who makes changes) of the current task; `None` for requests of
    /// clients and for background tasks.
    pub fn current() -> Option<Self> {
        CURRENT_ACTOR.try_with(Clone::clone).ok()
    }
}
