//! Reference model of the session rules, which keeps every token ever issued in plain text.

use std::collections::BTreeSet;
use std::time::Duration;

use sentinel::oauth::ErrorCode::{self, InvalidClient, InvalidGrant, InvalidScope};

use super::world::{LIFETIMES, Pair};

type Scopes = BTreeSet<String>;

/// Expected result of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ExpectedResponse {
    /// A new pair with this scope and this lifetime of the access token.
    New(String, Duration),
    /// The given pair again.
    Same(Pair),
    Refused(ErrorCode),
}

/// Session that one login started, with all of its tokens.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) client: usize,
    scope: Scopes,
    ends_at: Duration,
    over: bool,
    /// Access tokens that are not revoked or dropped, whether or not expired: at most 16, oldest
    /// first.
    live_access: Vec<Access>,
    /// All refresh tokens ever issued; only the last one is active.
    pub(super) refresh: Vec<String>,
    idle_ends_at: Duration,
    /// Time at which the last refresh token but one was used, and the pair that it returned.
    used: Option<(Duration, Pair)>,
    /// All access tokens ever issued.
    pub(super) access: Vec<String>,
}

#[derive(Clone, Debug)]
struct Access {
    token: String,
    scope: String,
    ends_at: Duration,
}

#[derive(Debug)]
pub(super) struct Model {
    /// Time since the start.
    pub(super) now: Duration,
    pub(super) logins: Vec<Login>,
    pub(super) clients_enabled: [bool; 2],
    pub(super) user_enabled: bool,
    pub(super) user_limited_to: Option<&'static str>,
    /// Number of password changes.
    pub(super) password: usize,
    /// Number of access tokens that were dropped in favor of a newer one.
    pub(super) dropped: usize,
}

pub(super) fn scopes(text: &str) -> Scopes {
    text.split_whitespace().map(str::to_owned).collect()
}

fn text(scopes: &Scopes) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            now: Duration::ZERO,
            logins: Vec::new(),
            clients_enabled: [true; 2],
            user_enabled: true,
            user_limited_to: None,
            password: 0,
            dropped: 0,
        }
    }

    pub(super) fn login(
        &self,
        client: usize,
        right: bool,
        asked: Option<&str>,
    ) -> ExpectedResponse {
        if !self.clients_enabled[client] {
            return ExpectedResponse::Refused(InvalidClient);
        }
        if !right || !self.user_enabled {
            return ExpectedResponse::Refused(InvalidGrant);
        }
        match asked.map(scopes) {
            None => self.new_pair(&self.allowed(&scopes("read write")), LIFETIMES.session),
            Some(asked) if asked == self.allowed(&asked) => {
                self.new_pair(&asked, LIFETIMES.session)
            }
            Some(_) => ExpectedResponse::Refused(InvalidScope),
        }
    }

    /// Expected result of a refresh. `login` is the one that the token belongs to, if any.
    pub(super) fn refresh(
        &mut self,
        client: usize,
        login: Option<usize>,
        token: &str,
        asked: Option<&str>,
    ) -> ExpectedResponse {
        if !self.clients_enabled[client] {
            return ExpectedResponse::Refused(InvalidClient);
        }
        let Some(login) = login else { return ExpectedResponse::Refused(InvalidGrant) };
        let of = &self.logins[login];
        if of.over || of.client != client || self.now >= of.idle_ends_at {
            return ExpectedResponse::Refused(InvalidGrant);
        }
        let allowed = self.allowed(&of.scope);
        let asked = asked.map_or_else(|| allowed.clone(), scopes);
        let age = of.refresh.iter().rev().position(|other| other == token);
        let in_grace = |at: Duration| self.now < at + LIFETIMES.refresh_grace;
        match (age, &of.used) {
            (Some(0), _) if asked.is_subset(&allowed) => {
                self.new_pair(&asked, of.ends_at - self.now)
            }
            (Some(1), Some((at, pair))) if in_grace(*at) && asked.is_subset(&allowed) => {
                ExpectedResponse::Same(pair.clone())
            }
            (Some(0), _) => ExpectedResponse::Refused(InvalidScope),
            (Some(1), Some((at, _))) if in_grace(*at) => ExpectedResponse::Refused(InvalidScope),
            (Some(_), _) => {
                self.logins[login].over = true;
                ExpectedResponse::Refused(InvalidGrant)
            }
            // An access token.
            (None, _) => ExpectedResponse::Refused(InvalidGrant),
        }
    }

    /// Expected result of a revocation. `None` if the session has ended: the store may have deleted
    /// it.
    pub(super) fn revoke(
        &mut self,
        client: usize,
        login: Option<usize>,
        token: &str,
    ) -> Option<Result<(), ErrorCode>> {
        if !self.clients_enabled[client] {
            return Some(Err(InvalidClient));
        }
        let Some(login) = login else { return Some(Ok(())) };
        let now = self.now;
        let of = &mut self.logins[login];
        let forgotten = of.over || now >= of.idle_ends_at;
        if of.client != client {
            return (!forgotten).then_some(Err(InvalidGrant));
        }
        if of.refresh.iter().any(|other| other == token) {
            of.over = true;
        }
        of.live_access.retain(|access| access.token != token);
        Some(Ok(()))
    }

    /// Records a successful login.
    pub(super) fn started(&mut self, client: usize, pair: &Pair) {
        self.logins.push(Login {
            client,
            scope: scopes(&pair.scope),
            ends_at: self.now + LIFETIMES.session,
            over: false,
            live_access: Vec::new(),
            refresh: Vec::new(),
            idle_ends_at: Duration::ZERO,
            used: None,
            access: Vec::new(),
        });
        self.issued(self.logins.len() - 1, pair);
    }

    /// Records a refresh that returned a new pair.
    pub(super) fn rotated(&mut self, login: usize, pair: &Pair) {
        self.logins[login].used = Some((self.now, pair.clone()));
        self.issued(login, pair);
    }

    fn issued(&mut self, login: usize, pair: &Pair) {
        let now = self.now;
        let of = &mut self.logins[login];
        of.live_access.retain(|access| now < access.ends_at);
        if of.live_access.len() == 16 {
            of.live_access.remove(0);
            self.dropped += 1;
        }
        let (token, scope) = (pair.access.clone(), pair.scope.clone());
        let ends_at = of.ends_at.min(now + LIFETIMES.access_token);
        of.live_access.push(Access { token, scope, ends_at });
        of.access.push(pair.access.clone());
        of.refresh.push(pair.refresh.clone());
        of.idle_ends_at = of.ends_at.min(now + LIFETIMES.refresh_idle);
    }

    pub(super) fn end_all(&mut self, client: Option<usize>) {
        for login in &mut self.logins {
            login.over |= client.is_none_or(|client| client == login.client);
        }
    }

    /// Returns scope and expiry of an active token.
    pub(super) fn look_at(&self, login: usize, token: &str) -> Option<(String, Duration)> {
        let of = &self.logins[login];
        if of.over {
            return None;
        }
        if of.refresh.last().is_some_and(|current| current == token) {
            return (self.now < of.idle_ends_at).then(|| (text(&of.scope), of.idle_ends_at));
        }
        let access = of.live_access.iter().find(|access| access.token == token);
        let access = access.filter(|access| self.now < access.ends_at);
        access.map(|access| (access.scope.clone(), access.ends_at))
    }

    fn allowed(&self, scope: &Scopes) -> Scopes {
        match self.user_limited_to {
            Some(limit) => scope.intersection(&scopes(limit)).cloned().collect(),
            None => scope.clone(),
        }
    }

    fn new_pair(&self, scope: &Scopes, session_lasts: Duration) -> ExpectedResponse {
        ExpectedResponse::New(text(scope), LIFETIMES.access_token.min(session_lasts))
    }
}
