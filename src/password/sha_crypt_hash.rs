//! SHA-crypt of `crypt(3)` (`$5$…` with SHA-256, `$6$…` with SHA-512), for verifying hashes of
//! other servers. New hashes never use it.
//!
//! The string is `$6$[rounds=<rounds>$]<salt>$<output>`, with 5000 rounds by default. It is stored
//! as it is imported.

use super::error::HashError;
use super::phc::number;
use sha_crypt::{Params, PasswordHashRef, PasswordVerifier as _, ShaCrypt};

/// Maximum number of rounds of a stored hash: less than a second of one core with a short password,
/// and some seconds with the longest. passlib uses 656,000.
const MAX_ROUNDS: u32 = 1_000_000;

/// Maximum number of bytes of a password, as in libxcrypt. Each round hashes the whole password, so
/// that a longer one would make a login arbitrarily slow.
const MAX_PASSWORD: usize = 512;

/// Maximum number of characters of the salt, as in `crypt(3)`.
const MAX_SALT: usize = 16;

/// A SHA-crypt string whose parameters are within their limits.
pub(super) struct ShaCryptHash(String);

impl ShaCryptHash {
    /// Parses a SHA-crypt string.
    pub(super) fn parse(encoded: &str) -> Result<Self, HashError> {
        const EXPECTED: HashError =
            HashError::Malformed("$6$rounds=…$ or $6$, a salt of 1 to 16 characters and a result");
        let fields: Vec<&str> = encoded.split('$').collect();
        let (id, rounds, salt, output) = match fields[..] {
            ["", id, salt, output] => (id, Params::RECOMMENDED_ROUNDS, salt, output),
            ["", id, rounds, salt, output] => {
                let rounds = rounds.strip_prefix("rounds=").and_then(number).ok_or(EXPECTED)?;
                (id, rounds, salt, output)
            }
            _ => return Err(EXPECTED),
        };
        let length = match id {
            "5" => 43,
            "6" => 86,
            _ => return Err(EXPECTED),
        };
        let is_encoded = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte))
        };
        let has_lengths = (1..=MAX_SALT).contains(&salt.len()) && output.len() == length;
        if !has_lengths || !is_encoded(salt) || !is_encoded(output) || rounds < Params::ROUNDS_MIN {
            return Err(EXPECTED);
        }
        if rounds > MAX_ROUNDS {
            return Err(HashError::TooCostly("at most a million rounds of SHA-crypt"));
        }
        PasswordHashRef::new(encoded).map_err(|_| EXPECTED)?;
        Ok(Self(encoded.to_owned()))
    }

    /// Returns whether the password matches this hash. A password that is too long takes as long as
    /// the longest that is not, and never matches.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let used = password.get(..MAX_PASSWORD).unwrap_or(password);
        let is_right = PasswordHashRef::new(&self.0)
            .is_ok_and(|hash| ShaCrypt::default().verify_password(used, hash).is_ok());
        is_right && password.len() <= MAX_PASSWORD
    }
}
