//! bcrypt and its string, `$2b$<cost>$<22 characters of salt><31 of output>`, in bcrypt's own
//! base64.
//!
//! bcrypt reads at most 72 bytes of a password. Imported hashes are verified with the same
//! truncation, because their users could not log in otherwise. Hashes that Sentinel computed cover
//! the whole password: a longer one is rejected when hashing and never matches when verifying.
//!
//! A password with a NUL byte is rejected and never matches either. bcrypt repeats the password
//! with a NUL in between, so `a` and `a\0a` have equal hashes. This locks out no imported user,
//! because the Python library of flask-sentinel rejected such passwords too. Verification computes
//! the hash in all of these cases, so its time does not distinguish them.

use super::error::HashError;
use crate::domain::hash_limits::BCRYPT_COST;
use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Maximum number of bytes of a password that bcrypt reads.
const MAX_PASSWORD: usize = 72;

/// Lengths of the salt and the output of a bcrypt hash, in bytes. bcrypt computes 24 bytes of
/// output, of which the format keeps 23.
pub(super) const SALT_LEN: usize = 16;
pub(super) const OUTPUT_LEN: usize = 23;

/// Number of characters of a bcrypt string that encode the salt. The output follows the salt.
const SALT_CHARS: usize = 22;

/// The base64 variant of bcrypt. Decoding ignores unused bits in the last character of the salt,
/// which some libraries set.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// A bcrypt hash, with its cost and salt.
pub(super) struct BcryptHash {
    cost: u32,
    salt: [u8; SALT_LEN],
    output: [u8; OUTPUT_LEN],
}

impl BcryptHash {
    /// Creates a bcrypt hash from its cost, salt and output.
    pub(super) fn new(cost: u32, salt: [u8; SALT_LEN], output: [u8; OUTPUT_LEN]) -> Self {
        Self { cost, salt, output }
    }

    /// Computes the bcrypt hash of a new password.
    ///
    /// # Errors
    /// [`HashError::TooLong`] or [`HashError::HasNul`] if bcrypt cannot hash the whole password.
    pub(super) fn compute(
        password: &[u8],
        cost: u32,
        salt: [u8; SALT_LEN],
    ) -> Result<Self, HashError> {
        if password.len() > MAX_PASSWORD {
            return Err(HashError::TooLong);
        }
        if password.contains(&0) {
            return Err(HashError::HasNul);
        }
        Ok(Self::new(cost, salt, derive(password, cost, salt)))
    }

    /// Returns whether the password matches this bcrypt hash. For an imported hash, only the first
    /// 72 bytes of the password are compared.
    pub(super) fn matches(&self, password: &[u8], imported: bool) -> bool {
        let derived = derive(password, self.cost, self.salt);
        let same: bool = derived.ct_eq(&self.output).into();
        same && (imported || password.len() <= MAX_PASSWORD) && !password.contains(&0)
    }

    /// Parses a bcrypt string (`$2b$…`). Rejects `$2x$`, which marks hashes of a library that
    /// misread non-ASCII passwords.
    pub(super) fn parse(encoded: &str) -> Result<Self, HashError> {
        const EXPECTED: HashError =
            HashError::Malformed("$2a$, $2b$ or $2y$, a cost and 53 characters");
        let mut fields = encoded.split('$').skip(1);
        if !matches!(fields.next(), Some("2a" | "2b" | "2y")) {
            return Err(EXPECTED);
        }
        let cost = fields
            .next()
            .filter(|digits| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|cost| cost >= BCRYPT_COST.start())
            .ok_or(EXPECTED)?;
        let (salt, output) =
            fields.next().and_then(|rest| rest.split_at_checked(SALT_CHARS)).ok_or(EXPECTED)?;
        if fields.next().is_some() {
            return Err(EXPECTED);
        }
        if cost > *BCRYPT_COST.end() {
            return Err(HashError::TooCostly("a bcrypt cost of at most 16"));
        }
        Ok(Self {
            cost,
            salt: decode(salt).ok_or(EXPECTED)?,
            output: decode(output).ok_or(EXPECTED)?,
        })
    }

    pub(super) fn cost(&self) -> u32 {
        self.cost
    }
}

/// Formats the bcrypt hash as a bcrypt string (`$2b$…`).
impl fmt::Display for BcryptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, output) = (BASE64.encode(self.salt), BASE64.encode(self.output));
        write!(f, "$2b${:02}${salt}{output}", self.cost)
    }
}

/// Computes the bcrypt output for the first 72 bytes of a password. The terminating NUL is part of
/// the key if there is room for it.
fn derive(password: &[u8], cost: u32, salt: [u8; SALT_LEN]) -> [u8; OUTPUT_LEN] {
    let mut key = Zeroizing::new([0; MAX_PASSWORD]);
    for (to, from) in key.iter_mut().zip(password) {
        *to = *from;
    }
    let used = (password.len() + 1).min(MAX_PASSWORD);
    let derived = bcrypt::bcrypt(cost, salt, key.split_at(used).0);
    let mut output = [0; OUTPUT_LEN];
    for (to, from) in output.iter_mut().zip(derived) {
        *to = from;
    }
    output
}

fn decode<const N: usize>(field: &str) -> Option<[u8; N]> {
    BASE64.decode(field).ok()?.try_into().ok()
}
