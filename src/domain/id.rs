//! Identifiers: safe to show and to log.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;

use super::{Clock, Selector};
use sha2::{Digest as _, Sha256};

/// The text is not an identifier of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct InvalidId(&'static str);

/// 24 lower-case hex digits, the form of a MongoDB ObjectId, for ids of any store.
macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 12]);

        impl $name {
            /// An id that was read from a store.
            pub const fn from_bytes(bytes: [u8; 12]) -> Self {
                Self(bytes)
            }

            /// The 12 bytes, for a store to keep.
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
    /// Names a user, for good: resource servers know users by it.
    UserId
}

object_id! {
    /// Names a session: the first 96 bits of SHA-256 of the selector in its tokens.
    ///
    /// The selector cannot be found from it, so a session's id can be logged and put into a URL.
    SessionId
}

impl UserId {
    /// A new id, built as an ObjectId is: the seconds of `clock`, then 64 random bits.
    pub fn generate(clock: &dyn Clock) -> Self {
        let seconds = u32::try_from(clock.now().as_seconds()).unwrap_or(u32::MAX);
        let random: [u8; 8] = rand::random();
        let mut bytes = [0u8; 12];
        for (to, from) in bytes.iter_mut().zip(seconds.to_be_bytes().into_iter().chain(random)) {
            *to = from;
        }
        Self(bytes)
    }
}

impl SessionId {
    /// The id of the session whose tokens carry `selector`.
    pub fn of(selector: &Selector) -> Self {
        let digest = Sha256::digest(selector.as_bytes());
        let mut bytes = [0u8; 12];
        for (to, from) in bytes.iter_mut().zip(digest) {
            *to = from;
        }
        Self(bytes)
    }
}

/// Names a client (RFC 6749 §2.2): 40 letters and digits when made here.
///
/// Other texts are accepted from a store, since a migrated client keeps its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(String);

impl ClientId {
    const LENGTH: usize = 40;
    const MAX_BYTES: usize = 255;

    /// A new id of 40 letters and digits.
    pub fn generate() -> Self {
        let mut rng = rand::rng();
        Self((0..Self::LENGTH).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = InvalidId;

    /// Takes what RFC 6749 Appendix A.1 allows (`*VSCHAR`), up to 255 characters.
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
