//! Errors of the protocol. Many reasons for the log map to few error codes in the response.

use std::time::Duration;

use crate::domain::RandomError;
use crate::password::PoolError;
use crate::rate_limit::RateLimited;
use crate::store::StoreError;

/// The error codes of RFC 6749 §5.2, and `temporarily_unavailable` of §4.1.2.1. §5.2 has no code
/// for a server that is unavailable or refuses a request because of a rate limit.
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
    /// All error codes that a response may contain.
    pub const ALL: [Self; 7] = [
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::TemporarilyUnavailable,
    ];

    /// Returns the value of the `error` parameter in a response, such as `invalid_grant`.
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

/// Reasons for a failed client authentication, for the audit log. The response is the same for all
/// that depend on a client's secret or existence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientFailure {
    /// The request contains no client id.
    #[error("no client id")]
    Missing,
    /// The credentials in the Basic `Authorization` header cannot be decoded.
    #[error("unreadable authorization header")]
    Unreadable,
    /// No client has the client id in the request.
    #[error("unknown client")]
    Unknown,
    /// The client that the request names is disabled.
    #[error("disabled client")]
    Disabled,
    /// The client secret is wrong or missing, or was sent for a public client.
    #[error("wrong secret")]
    WrongSecret,
    /// The client is public, but the endpoint requires a confidential client.
    #[error("public client")]
    Public,
}

/// Reasons for a rejected grant, for the audit log. The response has the code `invalid_grant` for
/// all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantFailure {
    /// No user has the user name in the request.
    #[error("unknown user")]
    UnknownUser,
    /// The password in the request is not the user's.
    #[error("wrong password")]
    WrongPassword,
    /// The password is right, but the user is disabled.
    #[error("disabled user")]
    DisabledUser,
    /// The user or the client was disabled, or the password changed, during the login.
    #[error("user or client changed during the login")]
    AccountChangedDuringLogin,
    /// The user or the client was disabled, or the password changed, after the session's login.
    #[error("user or client changed since the login")]
    AccountChangedSinceLogin,
    /// The text in the request is not a refresh token of this server, or its session has ended.
    #[error("unknown refresh token")]
    UnknownToken,
    /// The token was issued to another client than the one that presents it.
    #[error("token of another client")]
    OtherClient,
    /// The refresh token or its session has expired.
    #[error("expired refresh token")]
    Expired,
    /// The refresh token was used before and may not be retried any more, so its session is ended.
    #[error("replayed refresh token")]
    Replayed,
}

/// Reasons why the server cannot answer the request now.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// A read or a write of the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue of passwords to be hashed is full, or hashing failed.
    #[error(transparent)]
    Passwords(#[from] PoolError),
    /// New tokens could not be generated.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Concurrent requests changed the session at each of the permitted attempts to write it.
    #[error("other requests kept changing the session")]
    Contended,
}

/// Errors of the protocol endpoints, with the HTTP status of each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: the request is malformed. The text describes the mistake.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// 401: client authentication failed.
    #[error("{}", match self.client_failure() {
        Some(ClientFailure::Missing) => {
            "no client id was sent: send client_id in the body, or id and secret by HTTP Basic"
        }
        Some(ClientFailure::Unreadable) => {
            "the Basic credentials are malformed: send id:secret in UTF-8, encoded as base64"
        }
        Some(ClientFailure::Public) => "a public client may not do this: use a confidential one",
        _ => "client authentication failed",
    })]
    InvalidClient(#[source] ClientFailure),
    /// 400: wrong user name or password, or an unusable refresh token.
    #[error("{}", match self.grant_failure() {
        Some(GrantFailure::UnknownUser | GrantFailure::WrongPassword | GrantFailure::DisabledUser
            | GrantFailure::AccountChangedDuringLogin) => "wrong user name or password",
        _ => "the token is invalid, expired, revoked, or was issued to another client",
    })]
    InvalidGrant(#[source] GrantFailure),
    /// 400: the client may not use this grant type.
    #[error("the client may not use this grant type")]
    UnauthorizedClient,
    /// 403: the client lacks the introspection permission.
    #[error("the client may not introspect tokens")]
    IntrospectionForbidden,
    /// 400: the grant type is unknown or switched off.
    #[error("the grant type is not supported")]
    UnsupportedGrantType,
    /// 400: the scope is malformed or exceeds what may be granted.
    #[error("the requested scope is malformed or exceeds what may be granted")]
    InvalidScope,
    /// 429 (RFC 6585 §4): a rate limit was exceeded.
    #[error(transparent)]
    RateLimited(#[from] RateLimited),
    /// 503: the server cannot answer now; the client may try again.
    #[error("the server cannot answer now, try again shortly")]
    Unavailable(#[source] Unavailable),
}

impl Error {
    /// Returns the error code (RFC 6749 §5.2) that the response contains.
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
            Self::RateLimited(_) | Self::Unavailable(_) => ErrorCode::TemporarilyUnavailable,
        }
    }

    /// Returns the time after which the client may try again, for the `Retry-After` header of
    /// [`Error::Unavailable`] and [`Error::RateLimited`].
    pub const fn retry_after(&self) -> Duration {
        match self {
            Self::RateLimited(limited) => limited.retry_after,
            Self::Unavailable(Unavailable::Store(StoreError::Unavailable(_))) => {
                Duration::from_secs(5)
            }
            _ => Duration::from_secs(1),
        }
    }

    const fn client_failure(&self) -> Option<ClientFailure> {
        match self {
            Self::InvalidClient(failure) => Some(*failure),
            _ => None,
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

impl From<RandomError> for Error {
    fn from(error: RandomError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(error.into())
    }
}
