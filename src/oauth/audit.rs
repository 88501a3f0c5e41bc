//! Audit events of the protocol: logins, refreshes, reuse of refresh tokens, revocations and failed
//! client authentication.

use std::net::IpAddr;

use super::{ClientFailure, GrantFailure};
use crate::domain::{Client, ClientId, Session, SessionId};
use crate::observe::audit::{Outcome, TARGET, format_address};
use crate::observe::log::ANY_CALLER;

/// Writes an audit event, at `$level` if the outcome of the operation is `Ok`, else as a warning.
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
        username = user.map(|user| user.username.as_str()), address = format_address(address),
    );
}

pub(super) fn login_failed(
    client: &Client,
    username: &str,
    why: GrantFailure,
    address: Option<IpAddr>,
) {
    // An unknown user name may be a password typed into the wrong field, so it is not logged.
    let username = (why != GrantFailure::UnknownUser).then_some(username);
    tracing::warn!(
        name: ANY_CALLER, target: TARGET, event = "login", outcome = "failed", why = %why,
        client = %client.id, username, address = format_address(address),
    );
}

/// Writes the audit event of a failed client authentication. `client` is the client that the
/// request names, if one exists.
pub(super) fn client_refused(
    client: Option<&ClientId>,
    why: ClientFailure,
    address: Option<IpAddr>,
) {
    tracing::warn!(
        name: ANY_CALLER, target: TARGET, event = "client_authentication", outcome = "failed",
        why = %why, client = client.map(ClientId::as_str), address = format_address(address),
    );
}

pub(super) fn refreshed(session: &Session, outcome: Outcome, address: Option<IpAddr>) {
    event!(
        info, "refresh", outcome, session = %session.id, client = %session.client_id,
        address = format_address(address),
    );
}

pub(super) fn replayed(session: &Session, outcome: Outcome, address: Option<IpAddr>) {
    event!(
        warn, "replay", outcome, session = %session.id, client = %session.client_id,
        user = session.user.as_ref().map(|user| user.id.to_string()), address = format_address(address),
        "refresh token reuse detected: the session is ended",
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
        address = format_address(address),
    );
}
