//! What is granted of what was asked (RFC 6749 §3.3).

use super::{Error, Params};
use crate::domain::{Client, Scope};

/// The `scope` parameter, if it was sent.
pub(super) fn requested(params: &Params<'_>) -> Result<Option<Scope>, Error> {
    let scope: Result<Option<Scope>, _> = params.get("scope").map(str::parse).transpose();
    // Nothing but spaces names no scope, and so asks for none.
    scope.map(|scope| scope.filter(|scope| !scope.is_empty())).map_err(|_| Error::InvalidScope)
}

/// Checks what was asked against the client alone, which needs no secret to be known.
pub(super) fn check_client(requested: Option<&Scope>, client: &Client) -> Result<(), Error> {
    match requested {
        Some(scope) if !scope.is_subset(&client.scopes) => Err(Error::InvalidScope),
        _ => Ok(()),
    }
}

/// What is granted to `client` for a user with these scopes (`None`: no limit of the user's own).
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

/// What is left of `scope` for a user with these scopes.
pub(super) fn limit(scope: &Scope, user: Option<&Scope>) -> Scope {
    user.map_or_else(|| scope.clone(), |user| scope.intersection(user))
}
