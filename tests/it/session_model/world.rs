//! Providers on a shared store, and the operations of a history.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use sentinel::admin::{Admin, ClientChange, NewClient, NewUser, UserChange, Versions};
use sentinel::domain::{
    Client, Clock, Grant, IssuedTokens, Lifetimes, ManualClock, Session, Token, UserId,
};
use sentinel::oauth::{
    self, ActiveToken, Authorization, Error, Introspection, Params, Provider, Request,
};
use sentinel::password::{self, HashScheme, PasswordPool};
use sentinel::rate_limit::{RateLimitPolicy, RateLimiter};
use sentinel::store::Stores;

use crate::helpers::START;
use crate::store_contract::Backend;

/// Short lifetimes, so that a history crosses all of them.
pub(super) const LIFETIMES: Lifetimes = Lifetimes {
    access_token: Duration::from_secs(20),
    refresh_idle: Duration::from_secs(60),
    session: Duration::from_secs(150),
    refresh_grace: Duration::from_secs(5),
};

const HASHING: password::HashPolicy = password::HashPolicy {
    scheme: HashScheme::Argon2id,
    memory_kib: 8,
    iterations: 1,
    parallelism: 1,
    bcrypt_cost: 4,
};

/// Token response as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) access: String,
    pub(super) refresh: String,
    pub(super) scope: String,
    pub(super) expires_in: Duration,
}

/// Two processes on one store, with two public clients and a user `alice`.
pub(super) struct World {
    pub(super) backend: Backend,
    pub(super) clock: Arc<ManualClock>,
    pub(super) clients: [Client; 2],
    pub(super) user: UserId,
    providers: [Provider; 2],
    passwords: PasswordPool,
    admin: Admin,
    judge: Client,
    judge_secret: String,
}

fn app() -> NewClient {
    NewClient {
        scopes: "read write admin".parse().unwrap(),
        default_scopes: "read write".parse().unwrap(),
        ..NewClient::default()
    }
}

impl World {
    pub(super) async fn on(backend: Backend) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let passwords = PasswordPool::start(HASHING, 1, 64).unwrap();
        let provider = |stores: &Stores| {
            let clock = Arc::clone(&clock) as Arc<dyn Clock>;
            let grants = BTreeSet::from(Grant::ALL);
            let rate_limits = RateLimitPolicy {
                enabled: false,
                failures_per_address: 1,
                failures_per_user: 1,
                window: Duration::from_secs(1),
            };
            let limiter = RateLimiter::new(
                Arc::clone(&stores.rate_limits),
                Arc::clone(&stores.rate_limit_records),
                Arc::clone(&clock),
                rate_limits,
                None,
            );
            let policy = oauth::OAuthPolicy { grants, lifetimes: LIFETIMES, issuer: None };
            Provider::new(stores.clone(), passwords.clone(), clock, policy, limiter)
        };
        let providers = [provider(&backend.stores), provider(&backend.other)];
        let admin = Admin::new(backend.stores.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        let judge = NewClient {
            confidential: true,
            introspection: true,
            introspect_refresh_tokens: true,
            ..NewClient::default()
        };
        let (judge, secret) = admin.add_client(judge).await.unwrap();
        let clients =
            [admin.add_client(app()).await.unwrap().0, admin.add_client(app()).await.unwrap().0];
        let password = passwords.hash("password-0".into()).await.unwrap();
        let user = NewUser { username: "alice".into(), password, scopes: None, enabled: true };
        Self {
            clients,
            user: admin.add_user(user).await.unwrap().id,
            backend,
            clock,
            providers,
            passwords,
            admin,
            judge,
            judge_secret: secret.unwrap().expose_secret().to_owned(),
        }
    }

    /// Returns one of the two processes.
    pub(super) fn process(&self, turn: usize) -> Process {
        Process(self.providers[turn % 2].clone())
    }

    /// Introspects a token. Returns `None` if it is inactive.
    pub(super) async fn look_at(&self, turn: usize, token: &str) -> Option<ActiveToken> {
        let (id, secret) = (self.judge.id.as_str(), self.judge_secret.as_str());
        let body = form(&[("client_id", id), ("client_secret", secret), ("token", token)]);
        let params = Params::parse(body.as_bytes()).unwrap();
        let request =
            Request { authorization: &Authorization::missing(), params: &params, address: None };
        match self.providers[turn % 2].introspect(&request).await.unwrap() {
            Introspection::Active(active) => Some(*active),
            Introspection::Inactive => None,
        }
    }

    pub(super) async fn is_active(&self, token: &str) -> bool {
        self.look_at(0, token).await.is_some()
    }

    /// Finds the session of a token.
    pub(super) async fn session_of(&self, token: &str) -> Option<Session> {
        let id = Token::parse(token).unwrap().session_id();
        self.backend.stores.sessions.find(id).await.unwrap()
    }

    /// Logs in with the correct password through the first client.
    pub(super) async fn login(&self) -> Pair {
        self.process(0).login(&self.clients[0], "password-0", None).await.unwrap()
    }

    pub(super) async fn change_user(&self, change: UserChange) {
        self.admin.edit_user(self.user, &change).await.unwrap();
    }

    pub(super) async fn set_password(&self, password: &str) {
        let password = self.passwords.hash(password.into()).await.unwrap();
        self.change_user(UserChange { password: Some(password), ..UserChange::default() }).await;
    }

    pub(super) async fn set_client_enabled(&self, client: usize, enabled: bool) {
        let change = ClientChange { enabled: Some(enabled), ..ClientChange::default() };
        self.admin.edit_client(&self.clients[client].id, &change).await.unwrap();
    }

    /// Deletes a client and adds another one in its place.
    pub(super) async fn replace_client(&mut self, client: usize) {
        self.admin.delete_client(&self.clients[client].id, &Versions::Any).await.unwrap();
        self.clients[client] = self.admin.add_client(app()).await.unwrap().0;
    }
}

/// One process, which can be moved to another thread.
pub(super) struct Process(Provider);

impl Process {
    pub(super) async fn login(
        &self,
        client: &Client,
        password: &str,
        scope: Option<&str>,
    ) -> Result<Pair, Error> {
        let named = [("username", "alice"), ("password", password)];
        self.token("password", client, &named, scope).await
    }

    pub(super) async fn refresh(
        &self,
        client: &Client,
        token: &str,
        scope: Option<&str>,
    ) -> Result<Pair, Error> {
        self.token("refresh_token", client, &[("refresh_token", token)], scope).await
    }

    pub(super) async fn revoke(&self, client: &Client, token: &str) -> Result<(), Error> {
        let body = form(&[("client_id", client.id.as_str()), ("token", token)]);
        let params = Params::parse(body.as_bytes()).unwrap();
        self.0
            .revoke(&Request {
                authorization: &Authorization::missing(),
                params: &params,
                address: None,
            })
            .await
    }

    async fn token(
        &self,
        grant: &str,
        client: &Client,
        more: &[(&str, &str)],
        scope: Option<&str>,
    ) -> Result<Pair, Error> {
        let mut fields = vec![("grant_type", grant), ("client_id", client.id.as_str())];
        fields.extend_from_slice(more);
        fields.extend(scope.map(|scope| ("scope", scope)));
        let body = form(&fields);
        let params = Params::parse(body.as_bytes()).unwrap();
        let request =
            Request { authorization: &Authorization::missing(), params: &params, address: None };
        self.0.token(&request).await.map(|tokens| pair(&tokens))
    }
}

fn pair(tokens: &IssuedTokens) -> Pair {
    let text = |token: &Token| token.to_secret().expose_secret().to_owned();
    Pair {
        access: text(&tokens.access),
        refresh: tokens.refresh.as_ref().map(text).unwrap(),
        scope: tokens.scope.to_string(),
        expires_in: tokens.expires_in,
    }
}

/// Encodes a form body. The values used here contain no special characters but spaces.
fn form(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+")));
    fields.collect::<Vec<_>>().join("&")
}
