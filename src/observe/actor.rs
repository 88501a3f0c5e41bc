//! Who is changing users, clients and sessions: what the audit log says of every change, whatever it is of.

use std::future::Future;

tokio::task_local! {
    static ACTING: Actor;
}

/// By which way somebody changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The management page.
    Page,
    /// The management API.
    Api,
    /// A command, by whoever may run it.
    CommandLine,
}

/// Somebody who changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// How.
    pub via: Via,
    /// The name that they have proved to be theirs.
    pub operator: Option<String>,
    /// Where they are, for those who come over the network.
    pub address: Option<String>,
}

impl Via {
    /// As the log calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Api => "api",
            Self::CommandLine => "command line",
        }
    }
}

impl Actor {
    /// Whoever runs a command.
    pub const COMMAND_LINE: Self = Self { via: Via::CommandLine, operator: None, address: None };

    /// Makes this who does what `future` does.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        ACTING.scope(self, future)
    }

    /// Who does what is being done; `None` for what clients ask for, and what the server does by itself.
    pub fn current() -> Option<Self> {
        ACTING.try_with(Clone::clone).ok()
    }
}
