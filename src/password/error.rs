//! Errors of hashing and of the pool. No message contains a password or a hash.

use crate::domain::RandomError;
use std::io;

/// Error of hashing a password or of using a stored hash. A wrong password is not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// The stored text is not a hash of a supported scheme. Holds the expected format.
    #[error("the stored hash is malformed: expected {0}")]
    Malformed(&'static str),
    /// The parameters of the stored hash require so much memory or time that verifying the hash
    /// would endanger the server.
    #[error("the stored hash is too costly: expected {0}")]
    TooCostly(&'static str),
    /// The password exceeds 72 bytes. bcrypt would ignore the rest, but a new hash must cover the
    /// whole password.
    #[error("the password is too long for bcrypt: expected at most 72 bytes")]
    TooLong,
    /// The password contains a NUL byte. bcrypt repeats the password with a NUL in between, so `a`
    /// and `a\0a` would have equal hashes.
    #[error("the password contains a NUL character, which bcrypt does not support")]
    HasNul,
    /// The working memory of argon2 could not be allocated.
    #[error("cannot allocate {kib} KiB of memory for a password hash")]
    OutOfMemory {
        /// Memory that argon2 requested, in KiB.
        kib: usize,
    },
    /// The operating system supplies no random bytes for the salt.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The argon2 crate rejected input that was validated before, which indicates a defect in
    /// Sentinel.
    #[error("argon2 rejected its input")]
    Argon2(#[source] argon2::Error),
}

impl HashError {
    /// Returns whether the password caused the error, so that the user must choose another one.
    pub fn is_caused_by_password(&self) -> bool {
        matches!(self, Self::TooLong | Self::HasNul)
    }
}

/// Error returned for a policy (parameters of new hashes) that is unusable, or whose hashes exceed
/// the limits on stored ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// `parallelism`, the number of argon2 lanes, is out of range.
    #[error("password parallelism: expected 1 to {max}, got {got}")]
    Parallelism {
        /// Maximum number of argon2 lanes.
        max: u32,
        /// Configured number of argon2 lanes.
        got: u32,
    },
    /// `memory_kib`, the memory of one argon2 hash, is out of range.
    #[error("password memory_kib: expected {min} (8 for each lane) to {max}, got {got}")]
    Memory {
        /// Minimum memory of an argon2 hash with the configured number of lanes, in KiB.
        min: u32,
        /// Maximum memory of an argon2 hash, in KiB.
        max: u32,
        /// Configured memory of an argon2 hash, in KiB.
        got: u32,
    },
    /// `iterations`, the number of passes of argon2 over its memory, is out of range.
    #[error("password iterations: expected 1 to {max} with this much memory, got {got}")]
    Iterations {
        /// Maximum number of argon2 iterations for the configured memory.
        max: u32,
        /// Configured number of argon2 iterations.
        got: u32,
    },
    /// `bcrypt_cost`, the cost of new bcrypt hashes, is out of range.
    #[error("password bcrypt_cost: expected {min} to {max}, got {got}")]
    BcryptCost {
        /// Minimum bcrypt cost, which bcrypt defines.
        min: u32,
        /// Maximum bcrypt cost.
        max: u32,
        /// Configured bcrypt cost.
        got: u32,
    },
}

/// Error of starting the password pool (the threads that hash passwords).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolStartError {
    /// The policy (function and parameters of new password hashes) is invalid.
    #[error("the settings in [password] are invalid")]
    Policy(#[from] PolicyError),
    /// The dummy hash that logins of unknown users are verified against could not be made.
    #[error("cannot make the dummy hash for unknown users")]
    Dummy(#[from] HashError),
    /// The operating system did not start a hashing thread.
    #[error("cannot start a hashing thread")]
    Thread(#[source] io::Error),
}

/// Error of a hashing or verification job in the password pool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The queue of the password pool is full. The HTTP status is 503 with `Retry-After`.
    #[error("the password queue is full (password.queue)")]
    Busy,
    /// The hashing job ended without a result, usually because of a panic, which is logged.
    #[error("the password worker did not finish its job")]
    Lost,
    /// The hashing or verification job ran and failed.
    #[error("the password job failed")]
    Hash(#[from] HashError),
}
