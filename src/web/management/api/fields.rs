//! Types of the values in bodies, each with its validation and its OpenAPI schema.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::admin::json::GrantJson;
use crate::domain::{Grant, InvalidUsername, LIFETIME_SECONDS, check_password, check_username};

/// Deserializes a JSON member that is present. `null` is a value and differs from a missing member.
pub(super) fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// User name: 1 to 255 bytes of UTF-8. Spaces at the ends are removed. The parts between single
/// spaces have letters, digits and ASCII punctuation, as the profile UsernameCaseMapped of RFC 8265
/// says; the pattern covers a part of it. Names are compared by that profile, so case does not
/// matter. A name must not be 24 hexadecimal digits, which are a user id.
#[derive(Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    value_type = String,
    format = "username",
    min_length = 1,
    max_length = 255,
    pattern = r"^(?! *[0-9A-Fa-f]{24} *$)(?! *[Hh][Tt][Tt][Pp][Ss]://)(?! *[Dd][Cc][Rr]-) *[^\u0000-\u0020\u007f-\u00a0\u00ad\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]+(?: [^\u0000-\u0020\u007f-\u00a0\u00ad\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]+)* *$",
    example = "alice"
)]
pub(super) struct Username(pub(super) String);

impl TryFrom<String> for Username {
    type Error = InvalidUsername;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        check_username(&text).map(|name| Self(name.to_owned()))
    }
}

/// Password of at least `password.min_length` characters, without control characters except tab.
#[derive(Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    value_type = String,
    min_length = 1,
    pattern = r"^[^\u0000-\u0008\u000a-\u001f\u007f-\u009f]+$",
    example = "correct horse battery staple"
)]
pub(super) struct Password(pub(super) SecretString);

impl TryFrom<String> for Password {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        check_password(&text, 0).map_err(|_| "expected a password without control characters")?;
        Ok(Self(SecretString::from(text)))
    }
}

/// Grant types of a client; at least one.
#[derive(Deserialize, ToSchema)]
#[serde(try_from = "Vec<GrantJson>")]
#[schema(min_items = 1)]
pub(super) struct Grants(Vec<GrantJson>);

impl Grants {
    pub(super) fn iter(&self) -> impl Iterator<Item = Grant> {
        self.0.iter().copied().map(Grant::from)
    }

    pub(super) fn to_set(&self) -> BTreeSet<Grant> {
        self.iter().collect()
    }
}

impl TryFrom<Vec<GrantJson>> for Grants {
    type Error = &'static str;

    fn try_from(grants: Vec<GrantJson>) -> Result<Self, Self::Error> {
        if grants.is_empty() { Err("expected at least one grant") } else { Ok(Self(grants)) }
    }
}

/// Lifetime of tokens or sessions, in whole seconds.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "f64")]
#[schema(value_type = u64, minimum = 1, maximum = 3_153_600_000u64, example = 3600)]
pub(super) struct Seconds(u64);

impl Seconds {
    pub(super) const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

/// Converts a whole JSON number to a lifetime. JSON has one number type, so 3600.0 equals 3600.
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
