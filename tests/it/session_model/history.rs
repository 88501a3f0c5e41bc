//! A history of steps that runs against the providers and the model side by side.

use sentinel::admin::UserChange;
use sentinel::domain::{Clock, TokenKind};
use sentinel::oauth::{Error, ErrorCode, GrantFailure};

use super::model::{ExpectedResponse, Model};
use super::steps::{Step, TokenChoice};
use super::world::{Pair, World};
use crate::helpers::START;

/// Number of events of each kind, so that the test fails if too few of them occurred.
#[derive(Debug, Default)]
pub(super) struct EventCounts {
    pub(super) rotated: usize,
    pub(super) repeated: usize,
    pub(super) replayed: usize,
    pub(super) too_wide: usize,
    pub(super) dropped: usize,
    pub(super) alive: usize,
    pub(super) dead: usize,
}

pub(super) struct History {
    world: World,
    model: Model,
    turn: usize,
    tally: EventCounts,
}

impl EventCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.rotated += other.rotated;
        self.repeated += other.repeated;
        self.replayed += other.replayed;
        self.too_wide += other.too_wide;
        self.dropped += other.dropped;
        self.alive += other.alive;
        self.dead += other.dead;
    }
}

impl History {
    /// Creates an empty history.
    pub(super) fn new(world: World) -> Self {
        Self { world, model: Model::new(), turn: 0, tally: EventCounts::default() }
    }

    /// Runs the steps and compares every token after each of them.
    pub(super) async fn live(mut self, steps: Vec<Step>) -> EventCounts {
        for step in steps {
            self.take(step).await;
            self.compare_all().await;
            self.turn += 1;
        }
        self.tally.dropped = self.model.dropped;
        self.tally
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Login { client, right, asked } => self.login(client, right, asked).await,
            Step::Refresh { token, own_client, asked } => {
                self.refresh(&token, own_client, asked).await;
            }
            Step::Chain { login, length } => {
                for _ in 0..length {
                    self.refresh(&TokenChoice::Refresh(login, 0), true, None).await;
                }
            }
            Step::Revoke { token, own_client } => self.revoke(&token, own_client).await,
            Step::Wait(time) => {
                self.world.clock.advance(time);
                self.model.now += time;
            }
            Step::EnableUser(enabled) => {
                let change = UserChange { enabled: Some(enabled), ..UserChange::default() };
                self.world.change_user(change).await;
                self.model.user_enabled = enabled;
                if !enabled {
                    self.model.end_all(None);
                }
            }
            Step::NewPassword => {
                self.model.password += 1;
                self.world.set_password(&format!("password-{}", self.model.password)).await;
                self.model.end_all(None);
            }
            Step::LimitUser(limit) => {
                let scopes = Some(limit.map(|limit| limit.parse().unwrap()));
                self.world.change_user(UserChange { scopes, ..UserChange::default() }).await;
                self.model.user_limited_to = limit;
            }
            Step::EnableClient(client, enabled) => {
                self.world.set_client_enabled(client, enabled).await;
                self.model.clients_enabled[client] = enabled;
                if !enabled {
                    self.model.end_all(Some(client));
                }
            }
            Step::ReplaceClient(client) => {
                self.world.replace_client(client).await;
                self.model.clients_enabled[client] = true;
                self.model.end_all(Some(client));
            }
            Step::Purge => {
                let now = self.world.clock.now();
                self.world.backend.other.sessions.purge(now, 1000).await.unwrap();
            }
        }
    }

    async fn login(&mut self, client: usize, right: bool, asked: Option<&'static str>) {
        let password = if right { self.model.password } else { self.model.password + 1 };
        let expected = self.model.login(client, right, asked);
        let process = self.world.process(self.turn);
        let password = format!("password-{password}");
        let answer = process.login(&self.world.clients[client], &password, asked).await;
        if let Some(pair) = self.agree(expected, answer) {
            self.model.started(client, &pair);
        }
    }

    async fn refresh(
        &mut self,
        token: &TokenChoice,
        own_client: bool,
        asked: Option<&'static str>,
    ) {
        let (login, token) = self.find(token);
        let client = self.client_of(login, own_client);
        let expected = self.model.refresh(client, login, &token, asked);
        let process = self.world.process(self.turn);
        let answer = process.refresh(&self.world.clients[client], &token, asked).await;
        if matches!(&answer, Err(Error::InvalidGrant(GrantFailure::Replayed))) {
            self.tally.replayed += 1;
        }
        if let (Some(pair), Some(login)) = (self.agree(expected, answer), login) {
            self.model.rotated(login, &pair);
        }
    }

    async fn revoke(&mut self, token: &TokenChoice, own_client: bool) {
        let (login, token) = self.find(token);
        let client = self.client_of(login, own_client);
        let expected = self.model.revoke(client, login, &token);
        let process = self.world.process(self.turn);
        let answer = process.revoke(&self.world.clients[client], &token).await;
        let answer = answer.map_err(|error| error.code());
        match expected {
            Some(expected) => assert_eq!(answer, expected),
            None => assert!(matches!(answer, Ok(()) | Err(ErrorCode::InvalidGrant)), "{answer:?}"),
        }
    }

    /// Returns the login that the token belongs to, and the token.
    fn find(&self, pick: &TokenChoice) -> (Option<usize>, String) {
        const GARBAGE: &str =
            "snr_7777777777777777777777777777777777777777777777777777777777777777";
        let logins = &self.model.logins;
        if logins.is_empty() {
            return (None, GARBAGE.to_owned());
        }
        let (login, token) = match pick {
            TokenChoice::Refresh(login, age) => {
                let login = logins.len().saturating_sub(1 + login);
                (login, logins[login].refresh.iter().rev().nth(*age))
            }
            TokenChoice::AnyRefresh(login, token) => {
                let login = login.index(logins.len());
                (login, Some(token.get(&logins[login].refresh)))
            }
            TokenChoice::Access(login, token) => {
                let login = login.index(logins.len());
                (login, Some(token.get(&logins[login].access)))
            }
            TokenChoice::Garbage => (0, None),
        };
        token.map_or((None, GARBAGE.to_owned()), |token| (Some(login), token.clone()))
    }

    fn client_of(&self, login: Option<usize>, own: bool) -> usize {
        let client = login.map_or(0, |login| self.model.logins[login].client);
        if own { client } else { 1 - client }
    }

    /// Asserts that the answer is the expected one. Returns the pair if it is new.
    #[track_caller]
    fn agree(&mut self, expected: ExpectedResponse, answer: Result<Pair, Error>) -> Option<Pair> {
        match (expected, answer) {
            (ExpectedResponse::New(scope, expires_in), Ok(pair)) => {
                assert_eq!((&pair.scope, pair.expires_in), (&scope, expires_in));
                for login in &self.model.logins {
                    assert!(!login.access.contains(&pair.access), "an old access token");
                    assert!(!login.refresh.contains(&pair.refresh), "an old refresh token");
                }
                self.tally.rotated += 1;
                Some(pair)
            }
            (ExpectedResponse::Same(before), Ok(again)) => {
                assert_eq!((again.access, again.refresh), (before.access, before.refresh));
                self.tally.repeated += 1;
                None
            }
            (ExpectedResponse::Refused(code), Err(error)) => {
                assert_eq!(error.code(), code, "{error:?}");
                self.tally.too_wide += usize::from(code == ErrorCode::InvalidScope);
                None
            }
            (expected, answer) => panic!("expected {expected:?}, got {answer:?}"),
        }
    }

    /// Asserts that introspection of every token ever issued matches the model.
    async fn compare_all(&mut self) {
        for (number, login) in self.model.logins.iter().enumerate() {
            for token in login.access.iter().chain(&login.refresh) {
                let introspected = self.world.look_at(self.turn + 1, token).await;
                let kind =
                    if token.starts_with("sna_") { TokenKind::Access } else { TokenKind::Refresh };
                assert!(introspected.as_ref().is_none_or(|introspected| introspected.kind == kind));
                let introspected = introspected
                    .map(|introspected| (introspected.scope.to_string(), introspected.expires_at));
                let expected = self.model.look_at(number, token);
                let expected = expected.map(|(scope, end)| (scope, START.plus(end)));
                assert_eq!(introspected, expected, "login {number}, {kind:?} token");
                self.tally.alive += usize::from(introspected.is_some());
                self.tally.dead += usize::from(introspected.is_none());
            }
        }
    }
}
