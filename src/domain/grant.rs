//! The grant types that Sentinel knows.

use std::fmt;
use std::str::FromStr;

/// A way to get a token (RFC 6749 §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// Resource owner password credentials (RFC 6749 §4.3).
    Password,
    /// Refreshing an access token (RFC 6749 §6).
    RefreshToken,
    /// Client credentials (RFC 6749 §4.4); for confidential clients only.
    ClientCredentials,
}

impl Grant {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Password, Self::RefreshToken, Self::ClientCredentials];

    /// The value of the `grant_type` parameter.
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

/// The text is not a grant type that Sentinel knows.
#[derive(Debug, thiserror::Error)]
#[error("expected password, refresh_token or client_credentials")]
pub struct UnknownGrant;

impl FromStr for Grant {
    type Err = UnknownGrant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text).ok_or(UnknownGrant)
    }
}
