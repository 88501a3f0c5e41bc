//! Endpoints and commands with which a client connects to the server, for the page of the client.

use serde::Serialize;

use super::page_context::PageContext;
use super::urls::encoded;
use crate::domain::{Client, Grant};

/// Endpoints and commands of one client. The commands use only what the client may use.
#[derive(Debug, Default, Serialize)]
pub(super) struct ConnectView {
    /// URL of the token endpoint; `None` if it is switched off, as of the other endpoints.
    pub(super) token: Option<String>,
    pub(super) introspection: Option<String>,
    pub(super) revocation: Option<String>,
    pub(super) verify: Option<String>,
    /// Whether the URLs begin with the server's public URL, and not with the host of this request.
    pub(super) public: bool,
    pub(super) commands: Vec<CommandView>,
}

/// Command line for a shell, with words in capital letters to be replaced.
#[derive(Debug, Serialize)]
pub(super) struct CommandView {
    pub(super) title: &'static str,
    pub(super) line: String,
}

impl ConnectView {
    pub(super) fn of(client: &Client, context: &PageContext) -> Self {
        let routes = context.routes();
        let url =
            |path: &Option<String>| path.as_ref().map(|path| format!("{}{path}", context.origin()));
        let view = Self {
            token: url(&routes.token),
            introspection: url(&routes.introspection),
            revocation: url(&routes.revocation),
            verify: url(&routes.verify),
            public: context.has_public_url(),
            commands: Vec::new(),
        };
        let has = |grant| client.grants.contains(&grant) && context.supports(grant);
        Self { commands: view.commands(client, has), ..view }
    }

    fn commands(&self, client: &Client, has: impl Fn(Grant) -> bool) -> Vec<CommandView> {
        let (id, is_confidential) = (encoded(client.id.as_str()), client.is_confidential());
        // RFC 6749 §2.3.1: the client id and secret are encoded as a form in HTTP Basic too.
        let sender = if is_confidential {
            format!("-u {id}:CLIENT_SECRET")
        } else {
            format!("-d client_id={id}")
        };
        let to = |url: &str, form: &str| format!("curl {} {sender} {form}", quoted(url));
        let mut commands = Vec::new();
        let mut add = |title, url: &Option<String>, form: &str| {
            commands.extend(url.as_ref().map(|url| CommandView { title, line: to(url, form) }));
        };
        if has(Grant::Password) {
            let form = "-d grant_type=password -d username=USERNAME -d password=PASSWORD";
            add("Log a user in", &self.token, form);
        }
        if has(Grant::Password) && has(Grant::RefreshToken) {
            let form = "-d grant_type=refresh_token -d refresh_token=REFRESH_TOKEN";
            add("Refresh the tokens", &self.token, form);
        }
        if has(Grant::ClientCredentials) && is_confidential {
            add(
                "Get a token for the client itself",
                &self.token,
                "-d grant_type=client_credentials",
            );
        }
        if client.introspection && is_confidential {
            add("Introspect an access token", &self.introspection, "-d token=ACCESS_TOKEN");
        }
        if has(Grant::Password) || has(Grant::ClientCredentials) {
            add("Revoke a token", &self.revocation, "-d token=TOKEN");
        }
        commands
    }
}

/// Quotes a text for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotation_mark_in_url_does_not_end_the_word() {
        assert_eq!(quoted("https://a.example/it's"), r"'https://a.example/it'\''s'");
    }
}
