//! The overloaded server, in a process of its own. It has one I/O thread unless set otherwise, so
//! that anything that blocks the thread blocks all clients.

use crate::helpers::{PASSWORD, Process, ServerClient, Servers};

use super::raw_connection::{RawConnection, Stream, basic, post, secured};

pub struct Target {
    servers: Servers,
    connector: Connector,
    /// An active access token.
    pub token: String,
}

/// Address and protocol for new connections.
#[derive(Clone)]
pub struct Connector {
    address: String,
    tls: bool,
}

impl Connector {
    pub async fn connect(&self) -> RawConnection<Box<dyn Stream>> {
        if self.tls {
            return RawConnection::new(Box::new(secured(&self.address, b"http/1.1").await));
        }
        RawConnection::new(Box::new(RawConnection::connect(&self.address).await.stream))
    }
}

impl Target {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let tls = settings.iter().any(|(key, mode)| key == "tls.mode" && mode != "off");
        let servers = Servers::start(1, &settings).await;
        let connector = Connector { address: servers.processes[0].address.clone(), tls };
        let mut target = Self { servers, connector, token: String::new() };
        target.token = target.log_in().await.0;
        target
    }

    pub fn process(&self) -> &Process {
        &self.servers.processes[0]
    }

    pub fn peer(&self) -> &ServerClient {
        &self.servers.peers[0]
    }

    pub fn connector(&self) -> Connector {
        self.connector.clone()
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.connector.address
    }

    /// Logs in and returns the access token and the refresh token.
    pub async fn log_in(&self) -> (String, String) {
        tokens(&self.connector.connect().await.ask(&self.right_login()).await.body)
    }

    /// An introspection of the active token by an authorized client.
    pub fn introspection(&self) -> Vec<u8> {
        let (name, secret) = &self.peer().backend;
        post("/oauth/introspect", &basic(name, secret), &[("token", &self.token)])
    }

    /// A login request of `alice`.
    pub fn login(&self, password: &str) -> Vec<u8> {
        let fields = [("grant_type", "password"), ("username", "alice"), ("password", password)];
        token_request(&self.peer().client, &fields)
    }

    /// A login request with the correct password.
    pub fn right_login(&self) -> Vec<u8> {
        self.login(PASSWORD)
    }
}

/// A refresh request of this client.
pub fn refresh(client: &str, token: &str) -> Vec<u8> {
    token_request(client, &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

/// Parses the access token and the refresh token of a response.
pub fn tokens(body: &str) -> (String, String) {
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    let token = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    (token("access_token"), token("refresh_token"))
}

fn token_request(client: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    post("/oauth/token", "", &[&[("client_id", client)], fields].concat())
}
