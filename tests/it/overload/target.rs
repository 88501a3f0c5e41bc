//! The server that has too much to do, in a process of its own, with one I/O thread: what holds it up
//! holds up everybody.

use crate::helpers::{PASSWORD, Peer, Process, Servers};

use super::wire::{basic, post};

pub struct Target {
    servers: Servers,
    /// A token that is alive.
    pub token: String,
}

impl Target {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let servers = Servers::start(1, &settings).await;
        let token = servers.peers[0].login().await.access_token();
        Self { servers, token }
    }

    pub fn process(&self) -> &Process {
        &self.servers.processes[0]
    }

    pub fn peer(&self) -> &Peer {
        &self.servers.peers[0]
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.process().address
    }

    /// An introspection by who may, of a token that is alive.
    pub fn introspection(&self) -> Vec<u8> {
        let (name, secret) = &self.peer().backend;
        post("/oauth/introspect", &basic(name, secret), &[("token", &self.token)])
    }

    /// A login of `alice`.
    pub fn login(&self, password: &str) -> Vec<u8> {
        self.token_request(&[
            ("grant_type", "password"),
            ("username", "alice"),
            ("password", password),
        ])
    }

    /// A login that works.
    pub fn right_login(&self) -> Vec<u8> {
        self.login(PASSWORD)
    }

    pub fn refresh(&self, token: &str) -> Vec<u8> {
        self.token_request(&[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    fn token_request(&self, fields: &[(&str, &str)]) -> Vec<u8> {
        let client = [("client_id", self.peer().client.as_str())];
        post("/oauth/token", "", &[&client[..], fields].concat())
    }
}
