//! Types of the values in bodies, each with its validation and its OpenAPI schema.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::domain::{self, LIFETIME_SECONDS, Scope, UnknownGrant, check_username, is_login_text};

/// Deserializes a member that is present. `null` is a value and differs from a missing member.
pub(super) fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// User name: 1 to 255 bytes of UTF-8, without control characters, and without white space at
/// either end. It must not be 24 hexadecimal digits, which are a user id.
#[derive(Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    value_type = String,
    format = "username",
    min_length = 1,
    max_length = 255,
    pattern = r"^(?![0-9A-Fa-f]{24}$)[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000](?:[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])?$",
    example = "alice"
)]
pub(super) struct Username(pub(super) String);

impl TryFrom<String> for Username {
    type Error = domain::InvalidUsername;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        check_username(&text)?;
        Ok(Self(text))
    }
}

/// Password of at least `password.min_length` characters, without control characters except tab.
#[derive(Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    value_type = String,
    min_length = 1,
    pattern = r"^[^\u0000-\u0008\u000a-\u001f\u007f]+$",
    example = "correct horse battery staple"
)]
pub(super) struct Password(pub(super) SecretString);

impl TryFrom<String> for Password {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // The token endpoint accepts no other passwords (RFC 6749 §3.2, Appendix A).
        if text.is_empty() || !is_login_text(&text) {
            return Err("expected a password with no control characters");
        }
        Ok(Self(SecretString::from(text)))
    }
}

/// One scope token (RFC 6749 §3.3).
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = r"^[\u0021\u0023-\u005b\u005d-\u007e]+$", example = "read")]
pub(super) struct ScopeToken(String);

impl TryFrom<String> for ScopeToken {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let one = !text.is_empty() && !text.contains(' ') && text.parse::<Scope>().is_ok();
        one.then_some(Self(text))
            .ok_or("expected one scope: printable ASCII without space, `\"` and `\\`")
    }
}

/// Returns the scope with these tokens.
pub(super) fn scope(tokens: &[ScopeToken]) -> Scope {
    tokens.iter().map(|token| token.0.as_str()).collect()
}

/// Returns the tokens of a scope.
pub(super) fn tokens(scope: &Scope) -> Vec<ScopeToken> {
    scope.iter().map(|token| ScopeToken(token.to_owned())).collect()
}

/// Grant type (RFC 6749 §1.3).
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String", rename_all = "snake_case")]
pub(super) enum Grant {
    Password,
    RefreshToken,
    ClientCredentials,
}

impl From<domain::Grant> for Grant {
    fn from(grant: domain::Grant) -> Self {
        match grant {
            domain::Grant::Password => Self::Password,
            domain::Grant::RefreshToken => Self::RefreshToken,
            domain::Grant::ClientCredentials => Self::ClientCredentials,
        }
    }
}

impl From<Grant> for domain::Grant {
    fn from(grant: Grant) -> Self {
        match grant {
            Grant::Password => Self::Password,
            Grant::RefreshToken => Self::RefreshToken,
            Grant::ClientCredentials => Self::ClientCredentials,
        }
    }
}

impl TryFrom<String> for Grant {
    type Error = UnknownGrant;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse::<domain::Grant>().map(Self::from)
    }
}

/// Grant types; at least one.
#[derive(Deserialize, ToSchema)]
#[serde(try_from = "Vec<Grant>")]
#[schema(min_items = 1)]
pub(super) struct Grants(Vec<Grant>);

impl Grants {
    pub(super) fn iter(&self) -> impl Iterator<Item = domain::Grant> {
        self.0.iter().copied().map(domain::Grant::from)
    }

    pub(super) fn to_set(&self) -> BTreeSet<domain::Grant> {
        self.iter().collect()
    }
}

impl TryFrom<Vec<Grant>> for Grants {
    type Error = &'static str;

    fn try_from(grants: Vec<Grant>) -> Result<Self, Self::Error> {
        if grants.is_empty() { Err("expected at least one grant") } else { Ok(Self(grants)) }
    }
}

/// Lifetime in whole seconds.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "f64")]
#[schema(value_type = u64, minimum = 1, maximum = 3_153_600_000u64, example = 3600)]
pub(super) struct Seconds(u64);

impl Seconds {
    pub(super) const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

/// Converts a number without a fraction. JSON has one type of number, so 3600.0 equals 3600.
impl TryFrom<f64> for Seconds {
    type Error = &'static str;

    fn try_from(seconds: f64) -> Result<Self, Self::Error> {
        let whole = seconds.fract() == 0.0;
        let duration = Duration::try_from_secs_f64(seconds).ok().filter(|_| whole);
        let fits = duration.filter(|duration| LIFETIME_SECONDS.contains(&duration.as_secs()));
        fits.map(|duration| Self(duration.as_secs()))
            .ok_or("expected 1 to 3153600000 whole seconds")
    }
}
