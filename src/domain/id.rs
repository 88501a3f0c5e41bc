//! Identifiers of users, sessions and clients. They are safe to show and to log.

use std::fmt;
use std::str::FromStr;

use super::{Clock, RandomError, base62, random_bytes};

/// Error returned for a text that is not a valid user, session or client identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct InvalidId(&'static str);

/// Defines an id type of 12 bytes, formatted as 24 lower-case hex digits like a MongoDB ObjectId.
/// All stores use this format.
macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 12]);

        impl $name {
            /// Creates an id from its 12 bytes, as a store holds them.
            pub const fn from_bytes(bytes: [u8; 12]) -> Self {
                Self(bytes)
            }

            /// Returns the 12 bytes of the id, which a store holds.
            pub const fn as_bytes(&self) -> &[u8; 12] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0u8; 24];
                hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
                f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0u8; 12];
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| InvalidId("24 hexadecimal digits"))?;
                Ok(Self(bytes))
            }
        }
    };
}

object_id! {
    /// User id, which never changes, because resource servers identify users by it.
    UserId
}

object_id! {
    /// Session id: first 96 bits of SHA-256 of the selector (random bits in the session's tokens).
    ///
    /// The selector cannot be derived from the id, so the id can be logged and used in URLs.
    SessionId
}

impl UserId {
    /// Generates a user id laid out as an ObjectId: the seconds of `clock`, then 64 random bits.
    ///
    /// # Errors
    /// [`RandomError`] if the operating system supplies no random bytes.
    pub fn generate(clock: &dyn Clock) -> Result<Self, RandomError> {
        let seconds = u32::try_from(clock.now().as_seconds()).unwrap_or(u32::MAX);
        let random: [u8; 8] = random_bytes()?;
        let mut bytes = [0u8; 12];
        for (to, from) in bytes.iter_mut().zip(seconds.to_be_bytes().into_iter().chain(random)) {
            *to = from;
        }
        Ok(Self(bytes))
    }
}

/// Client identifier (RFC 6749 §2.2): 40 letters and digits if Sentinel generated it.
///
/// Other texts are valid too, because a client migrated from another server keeps its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(String);

impl ClientId {
    const LENGTH: usize = 40;
    const MAX_BYTES: usize = 255;

    /// Generates a client identifier of 40 random letters and digits.
    ///
    /// # Errors
    /// [`RandomError`] if the operating system supplies no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        let mut digits = String::new();
        base62::encode(&random_bytes::<32>()?, &mut digits);
        // Not all digits are equally likely at the first places of the number.
        Ok(Self(digits.split_off(digits.len().saturating_sub(Self::LENGTH))))
    }

    /// Returns the client identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = InvalidId;

    /// Parses a client identifier: 1 to 255 of the characters `VSCHAR` (RFC 6749 Appendix A.1).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let printable = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        if text.is_empty() || text.len() > Self::MAX_BYTES || !printable {
            return Err(InvalidId("1 to 255 printable ASCII characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
