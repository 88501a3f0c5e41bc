//! bcrypt and its string, `$2b$<cost>$<22 characters of salt><31 of result>`, in bcrypt's own base64.
//!
//! bcrypt reads at most 72 bytes, and takes a NUL for the end. Hashes made elsewhere are verified with the same cut,
//! or their users could not log in. Our own stand for the whole password, so a longer one is refused when hashing and
//! never matches when verifying.
//!
//! A password with a NUL in it never matches either, and none is hashed: the key is repeated with a NUL between, so `a`
//! and `a\0a` give one hash. Nobody is shut out by this, since the Python library behind flask-sentinel refused them
//! too. Whatever the answer, the full price is paid for it, so that time does not tell the cases apart.

use super::error::HashError;
use super::policy;
use crate::domain::hash_limits::BCRYPT_COST;
use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// How many bytes of a password bcrypt reads.
const MAX_PASSWORD: usize = 72;

/// The length of the salt and of the result. The function gives 24 bytes, and the format keeps 23 of them.
pub(super) const SALT_LEN: usize = 16;
pub(super) const OUTPUT_LEN: usize = 23;

/// The characters that the salt takes; the result takes the others.
const SALT_CHARS: usize = 22;

/// bcrypt's base64. Some libraries leave stray bits in the last character of the salt; they mean nothing.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// A bcrypt hash: the cost, the salt, the result.
pub(super) struct BcryptHash {
    cost: u32,
    salt: [u8; SALT_LEN],
    output: [u8; OUTPUT_LEN],
}

impl BcryptHash {
    /// A hash from its parts.
    pub(super) fn new(cost: u32, salt: [u8; SALT_LEN], output: [u8; OUTPUT_LEN]) -> Self {
        Self { cost, salt, output }
    }

    /// Hashes a password, which has to fit.
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

    /// Whether the password is the one that this hash was made of; of a hash made elsewhere, whether its first 72
    /// bytes are.
    pub(super) fn matches(&self, password: &[u8], imported: bool) -> bool {
        let derived = derive(password, self.cost, self.salt);
        let same: bool = derived.ct_eq(&self.output).into();
        same && (imported || password.len() <= MAX_PASSWORD) && !password.contains(&0)
    }

    /// Reads a bcrypt string. `$2x$` is refused: it marks hashes of a library that read non-ASCII wrongly.
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
        policy::check_stored_bcrypt(cost)?;
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

/// The bcrypt string.
impl fmt::Display for BcryptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, output) = (BASE64.encode(self.salt), BASE64.encode(self.output));
        write!(f, "$2b${:02}${salt}{output}", self.cost)
    }
}

/// Computes bcrypt of the first 72 bytes. The key is the password with its terminating NUL, if there is room for it.
fn derive(password: &[u8], cost: u32, salt: [u8; SALT_LEN]) -> [u8; OUTPUT_LEN] {
    let mut key = Zeroizing::new([0; MAX_PASSWORD]);
    for (to, from) in key.iter_mut().zip(password) {
        *to = *from;
    }
    let used = (password.len() + 1).min(MAX_PASSWORD);
    let derived = bcrypt::bcrypt(cost, salt, key.get(..used).unwrap_or(key.as_slice()));
    let mut output = [0; OUTPUT_LEN];
    for (to, from) in output.iter_mut().zip(derived) {
        *to = from;
    }
    output
}

fn decode<const N: usize>(field: &str) -> Option<[u8; N]> {
    BASE64.decode(field).ok()?.try_into().ok()
}
