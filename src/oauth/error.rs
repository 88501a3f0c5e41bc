//! Why a request was refused: many reasons for the log, few codes on the wire.

use std::time::Duration;

use super::Throttled;
use crate::password::PoolError;
use crate::store::StoreError;

/// The error codes of RFC 6749 §5.2, and the one of §4.1.2.1 for a server that cannot answer now, or not
/// yet: §5.2 has none for either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// "The request is missing a required parameter, includes an unsupported parameter value (other
    /// than grant type), repeats a parameter, […] or is otherwise malformed."
    InvalidRequest,
    /// "Client authentication failed."
    InvalidClient,
    /// "The provided authorization grant […] or refresh token is invalid, expired, revoked […] or
    /// was issued to another client."
    InvalidGrant,
    /// "The authenticated client is not authorized to use this authorization grant type."
    UnauthorizedClient,
    /// "The authorization grant type is not supported by the authorization server."
    UnsupportedGrantType,
    /// "The requested scope is invalid, unknown, malformed, or exceeds the scope granted by the
    /// resource owner."
    InvalidScope,
    /// "The authorization server is currently unable to handle the request."
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::TemporarilyUnavailable,
    ];

    /// The value of the `error` parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

/// Why a client was not let in. All of them look the same from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientFailure {
    /// Nothing in the request says who the client is.
    #[error("no client named")]
    Missing,
    /// The `Authorization` header is not one that can be read.
    #[error("unreadable authorization header")]
    Unreadable,
    /// There is no such client.
    #[error("unknown client")]
    Unknown,
    /// It was disabled.
    #[error("disabled client")]
    Disabled,
    /// The secret is not the client's, is missing, or is one where the client has none.
    #[error("wrong secret")]
    WrongSecret,
    /// The endpoint is for confidential clients.
    #[error("public client")]
    Public,
}

/// Why a grant was refused. All of them look the same from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantFailure {
    /// There is no such user.
    #[error("unknown user")]
    UnknownUser,
    /// The password is not the user's.
    #[error("wrong password")]
    WrongPassword,
    /// The user was disabled.
    #[error("disabled user")]
    DisabledUser,
    /// The user or the client was disabled, or the password changed, while the login went on.
    #[error("changed during the login")]
    Changed,
    /// The user or the client was disabled, or the password changed, after the login.
    #[error("changed since the login")]
    Superseded,
    /// Not a refresh token of ours, or one whose session has ended.
    #[error("unknown refresh token")]
    UnknownToken,
    /// The token was issued to another client.
    #[error("token of another client")]
    OtherClient,
    /// The token or its session is over.
    #[error("expired refresh token")]
    Expired,
    /// The token was used before.
    #[error("replayed refresh token")]
    Replayed,
}

/// Why the server cannot answer now.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Passwords are not being verified.
    #[error(transparent)]
    Passwords(#[from] PoolError),
    /// Others kept changing the same session.
    #[error("the session changed too often")]
    Contended,
}

/// A request was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: the request is not one; what is wrong with it.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// 401: the client did not prove itself.
    #[error("client authentication failed")]
    InvalidClient(#[source] ClientFailure),
    /// 400: the user name and password, or the refresh token, are no good.
    #[error("{}", match self.grant_failure() {
        Some(GrantFailure::UnknownUser | GrantFailure::WrongPassword | GrantFailure::DisabledUser
            | GrantFailure::Changed) => "wrong user name or password",
        _ => "the token is invalid, expired, revoked, or was issued to another client",
    })]
    InvalidGrant(#[source] GrantFailure),
    /// 400: the client may not use this grant.
    #[error("the client may not use this grant type")]
    UnauthorizedClient,
    /// 403: the client may not introspect.
    #[error("the client may not introspect tokens")]
    IntrospectionForbidden,
    /// 400: no such grant, or it is switched off.
    #[error("the grant type is not supported")]
    UnsupportedGrantType,
    /// 400: the scope is malformed, or more than can be granted.
    #[error("the requested scope is malformed or exceeds what may be granted")]
    InvalidScope,
    /// 429 (RFC 6585 §4): too many have guessed.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// 503: try again.
    #[error("the server cannot answer now, try again shortly")]
    Unavailable(#[source] Unavailable),
}

impl Error {
    /// The code on the wire.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::InvalidClient(_) => ErrorCode::InvalidClient,
            Self::InvalidGrant(_) => ErrorCode::InvalidGrant,
            Self::UnauthorizedClient | Self::IntrospectionForbidden => {
                ErrorCode::UnauthorizedClient
            }
            Self::UnsupportedGrantType => ErrorCode::UnsupportedGrantType,
            Self::InvalidScope => ErrorCode::InvalidScope,
            Self::Throttled(_) | Self::Unavailable(_) => ErrorCode::TemporarilyUnavailable,
        }
    }

    /// How long to wait before trying again, for [`Error::Unavailable`] and [`Error::Throttled`].
    pub const fn retry_after(&self) -> Duration {
        match self {
            Self::Throttled(throttled) => throttled.retry_after,
            Self::Unavailable(Unavailable::Store(StoreError::Unavailable(_))) => {
                Duration::from_secs(5)
            }
            _ => Duration::from_secs(1),
        }
    }

    const fn grant_failure(&self) -> Option<GrantFailure> {
        match self {
            Self::InvalidGrant(failure) => Some(*failure),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(error.into())
    }
}
