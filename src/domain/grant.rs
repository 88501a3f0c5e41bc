//! The grant types that Sentinel supports.

use std::fmt;
use std::str::FromStr;

/// OAuth grant type (RFC 6749 §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// Resource owner password credentials grant (RFC 6749 §4.3).
    Password,
    /// Refresh token grant (RFC 6749 §6).
    RefreshToken,
    /// Client credentials grant (RFC 6749 §4.4), for confidential clients only.
    ClientCredentials,
}

impl Grant {
    /// All supported grant types, in display order.
    pub const ALL: [Self; 3] = [Self::Password, Self::RefreshToken, Self::ClientCredentials];

    /// Returns the grant type as the value of the `grant_type` parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Error returned for the name of an unsupported grant type.
#[derive(Debug, thiserror::Error)]
#[error("expected password, refresh_token or client_credentials")]
pub struct UnknownGrant;

impl FromStr for Grant {
    type Err = UnknownGrant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text).ok_or(UnknownGrant)
    }
}
