//! The scope that is granted for a request (RFC 6749 §3.3).

use super::{Error, Params};
use crate::domain::{Client, Scope};

/// Returns the `scope` parameter of a request, or `None` if it was not sent or is blank.
///
/// # Errors
/// [`Error::InvalidScope`] when the parameter is malformed.
pub(super) fn requested(params: &Params<'_>) -> Result<Option<Scope>, Error> {
    let scope: Result<Option<Scope>, _> = params.get("scope").map(str::parse).transpose();
    // A value of spaces alone names no scope and counts as omitted.
    scope.map(|scope| scope.filter(|scope| !scope.is_empty())).map_err(|_| Error::InvalidScope)
}

/// Checks that the client may be granted the requested scope. The check reveals nothing about a
/// user, so it runs before the password is verified.
pub(super) fn check_client(requested: Option<&Scope>, client: &Client) -> Result<(), Error> {
    match requested {
        Some(scope) if !scope.is_subset(&client.scopes) => Err(Error::InvalidScope),
        _ => Ok(()),
    }
}

/// Returns the granted scope: the requested one, or else the client's default scope limited to
/// `user`, the scope that the user may be granted (`None`: no limit beside the client's).
///
/// RFC 6749 §3.3: "If the client omits the scope parameter when requesting authorization, the
/// authorization server MUST either process the request using a pre-defined default value or fail
/// the request indicating an invalid scope."
pub(super) fn granted(
    requested: Option<Scope>,
    client: &Client,
    user: Option<&Scope>,
) -> Result<Scope, Error> {
    let allowed = limit(&client.scopes, user);
    match requested {
        Some(scope) if scope.is_subset(&allowed) => Ok(scope),
        Some(_) => Err(Error::InvalidScope),
        None => Ok(client.default_scopes.intersection(&allowed)),
    }
}

/// Returns `scope` limited to `user`, the scope that a user may be granted (`None`: no limit).
pub(super) fn limit(scope: &Scope, user: Option<&Scope>) -> Scope {
    user.map_or_else(|| scope.clone(), |user| scope.intersection(user))
}
