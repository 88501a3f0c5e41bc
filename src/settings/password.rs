//! `[password]`: hashing of new passwords, and the hashing workers.

use super::keyword::Keyword;
use super::reader::Reader;
use crate::domain::hash_limits::{ARGON2_LANES, ARGON2_MEMORY_KIB, BCRYPT_COST, HashScheme};

/// Settings of password hashing. The parameters apply to new hashes; stored hashes contain theirs.
#[derive(Clone, Debug)]
pub struct PasswordSettings {
    /// Hash function of new password hashes.
    pub scheme: HashScheme,
    /// Minimum number of characters of a new password, 1 to 64.
    pub min_length: usize,
    /// Memory of one argon2id hash in KiB, at least 8 for each lane (RFC 9106 §3.1), within
    /// [`ARGON2_MEMORY_KIB`].
    pub memory_kib: u32,
    /// Number of passes of argon2id over its memory; at least 1.
    pub iterations: u32,
    /// Number of lanes of argon2id, within [`ARGON2_LANES`].
    pub parallelism: u32,
    /// Base-2 logarithm of the number of rounds of bcrypt, within [`BCRYPT_COST`].
    pub bcrypt_cost: u32,
    /// Number of hashing threads; 0 for one per core.
    pub workers: usize,
    /// Maximum number of jobs, such as logins, that wait for a hashing thread; at least 1.
    pub queue: usize,
}

impl Keyword for HashScheme {
    const KEYWORDS: &'static [(&'static str, Self)] =
        &[("argon2id", Self::Argon2id), ("bcrypt", Self::Bcrypt)];
}

impl PasswordSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let password = Self {
            scheme: reader.keyword("password.scheme"),
            // NIST SP 800-63B-4 §3.1.1.2: passwords of "at least 64 characters" have to be
            // permitted.
            min_length: reader.integer("password.min_length", 1..=64),
            memory_kib: reader.integer("password.memory_kib", ARGON2_MEMORY_KIB),
            iterations: reader.integer("password.iterations", 1..=u32::MAX),
            parallelism: reader.integer("password.parallelism", ARGON2_LANES),
            bcrypt_cost: reader.integer("password.bcrypt_cost", BCRYPT_COST),
            workers: reader.integer("password.workers", 0..=1024),
            queue: reader.integer("password.queue", 1..=1_000_000),
        };
        let least = 8 * password.parallelism;
        if password.memory_kib > 0 && password.memory_kib < least {
            reader.reject(format!(
                "password.memory_kib is {}, and argon2id needs at least {least}: 8 for each of \
                 password.parallelism",
                password.memory_kib
            ));
        }
        password
    }
}
