//! [`GrantName`], the grants that can be enabled.

use std::fmt;

use super::keyword::Keyword;

/// Grant type that can be enabled, named as in the parameter `grant_type` (RFC 6749).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantName {
    /// Resource owner password credentials grant (RFC 6749 §4.3).
    Password,
    /// Refresh token grant (RFC 6749 §6).
    RefreshToken,
    /// Client credentials grant (RFC 6749 §4.4).
    ClientCredentials,
}

impl GrantName {
    /// Returns the grant type as the value of the parameter `grant_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

impl fmt::Display for GrantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Keyword for GrantName {
    const KEYWORDS: &'static [(&'static str, Self)] = &[
        (Self::Password.as_str(), Self::Password),
        (Self::RefreshToken.as_str(), Self::RefreshToken),
        (Self::ClientCredentials.as_str(), Self::ClientCredentials),
    ];
}
