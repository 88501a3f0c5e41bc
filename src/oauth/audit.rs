//! The audit events of the protocol: who did what to whose tokens.

use std::net::IpAddr;

use super::{ClientFailure, GrantFailure};
use crate::domain::{Client, Session, SessionId};
use crate::observe::audit::{Outcome, TARGET, shown};

/// An event of this level, or a warning if it did not go as it should.
macro_rules! event {
    ($level:ident, $event:literal, $outcome:expr, $($fields:tt)*) => {
        let outcome = $outcome.as_str();
        if $outcome == Outcome::Ok {
            tracing::$level!(target: TARGET, event = $event, outcome, $($fields)*);
        } else {
            tracing::warn!(target: TARGET, event = $event, outcome, $($fields)*);
        }
    };
}

pub(super) fn login(session: &Session, outcome: Outcome, address: Option<IpAddr>) {
    let user = session.user.as_ref();
    event!(
        info, "login", outcome, session = %session.id,
        client = %session.client_id, user = user.map(|user| user.id.to_string()),
        username = user.map(|user| user.username.as_str()), address = shown(address),
    );
}

pub(super) fn login_failed(
    client: &Client,
    username: &str,
    why: GrantFailure,
    address: Option<IpAddr>,
) {
    // A name that nobody has may be a password typed into the wrong field: it is not written down.
    let username = (why != GrantFailure::UnknownUser).then_some(username);
    tracing::warn!(
        target: TARGET, event = "login", outcome = "failed", why = %why, client = %client.id, username,
        address = shown(address),
    );
}

/// `id`: of the client, if there is one; what else was sent as an id may be a secret.
pub(super) fn client_refused(id: &str, why: ClientFailure, address: Option<IpAddr>) {
    let is_known = match why {
        ClientFailure::Disabled | ClientFailure::WrongSecret | ClientFailure::Public => true,
        ClientFailure::Missing | ClientFailure::Unreadable | ClientFailure::Unknown => false,
    };
    tracing::warn!(
        target: TARGET, event = "client_authentication", outcome = "failed", why = %why,
        client = is_known.then_some(id), address = shown(address),
    );
}

/// Once, when the budget is spent, and not for each attempt that is refused for it.
pub(super) fn address_throttled(guessed: &str, address: IpAddr) {
    tracing::warn!(
        target: TARGET, event = "throttle", what = "address", guessed, address = %address,
        "too many attempts from here have failed: the address is refused for a while",
    );
}

/// Once, when the attempts on a name begin to be slowed.
pub(super) fn name_under_attack(guessed: &str, username: Option<&str>, address: Option<IpAddr>) {
    tracing::warn!(
        target: TARGET, event = "throttle", what = "name", guessed, username,
        address = shown(address),
        "too many attempts on a name have failed: they are slowed for a while",
    );
}

pub(super) fn refreshed(session: &Session, outcome: Outcome, address: Option<IpAddr>) {
    event!(
        info, "refresh", outcome, session = %session.id, client = %session.client_id,
        address = shown(address),
    );
}

/// What became of an earlier refresh that was unconfirmed; nobody's call is being answered.
pub(super) fn refresh_settled(session: &Session, outcome: Outcome) {
    event!(
        info, "refresh", outcome, session = %session.id, client = %session.client_id,
        "it is known now what became of a refresh that was unconfirmed",
    );
}

pub(super) fn replayed(session: &Session, outcome: Outcome, address: Option<IpAddr>) {
    event!(
        warn, "replay", outcome, session = %session.id, client = %session.client_id,
        user = session.user.as_ref().map(|user| user.id.to_string()), address = shown(address),
        "a used refresh token was presented again: its session ends",
    );
}

pub(super) fn revoked(
    session: SessionId,
    client: &Client,
    what: &str,
    outcome: Outcome,
    address: Option<IpAddr>,
) {
    event!(
        info, "revoke", outcome, what, session = %session, client = %client.id,
        address = shown(address),
    );
}
