//! What can go wrong, from one hash up to the whole pool. No message holds a password or a hash.

use std::io;

/// Why a password could not be hashed, or a stored hash not be used. A wrong password is not among them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// The stored text is not a hash in any scheme that is verified here.
    #[error("the stored hash is malformed: expected {0}")]
    Malformed(&'static str),
    /// The stored hash asks for so much memory or time that computing it would be an attack on the server.
    #[error("the stored hash is too costly: expected {0}")]
    TooCostly(&'static str),
    /// bcrypt reads 72 bytes, and a new hash must stand for the whole password.
    #[error("the password is too long for bcrypt: expected at most 72 bytes")]
    TooLong,
    /// bcrypt takes a NUL for the end of the password, so that `a` and `a\0a` would be one and the same.
    #[error("the password has a NUL in it: expected none under bcrypt")]
    HasNul,
    /// The memory that argon2 works in could not be had.
    #[error("expected {kib} KiB of memory to hash in")]
    OutOfMemory {
        /// How much was asked for.
        kib: usize,
    },
    /// The operating system gave no random bytes for a salt.
    #[error("expected random bytes from the operating system")]
    Random(#[source] rand::rngs::SysError),
    /// The argon2 crate refused input that was checked before; only a defect can cause this.
    #[error("argon2 refused its input")]
    Argon2(#[source] argon2::Error),
}

impl HashError {
    /// Whether another password would do, so that it is the person at the keyboard who should be told.
    pub fn is_about_the_password(&self) -> bool {
        matches!(self, Self::TooLong | Self::HasNul)
    }
}

/// Settings that no hash could be made with, or that our own limits would refuse to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// `parallelism` is out of range.
    #[error("password parallelism: expected 1 to {max}, got {got}")]
    Parallelism {
        /// The most that is allowed.
        max: u32,
        /// What was configured.
        got: u32,
    },
    /// `memory_kib` is out of range.
    #[error("password memory_kib: expected {min} (8 for each lane) to {max}, got {got}")]
    Memory {
        /// The least that argon2 can work in.
        min: u32,
        /// The most that is allowed.
        max: u32,
        /// What was configured.
        got: u32,
    },
    /// `iterations` is out of range.
    #[error("password iterations: expected 1 to {max} with this much memory, got {got}")]
    Iterations {
        /// The most that is allowed with the configured memory.
        max: u32,
        /// What was configured.
        got: u32,
    },
    /// `bcrypt_cost` is out of range.
    #[error("password bcrypt_cost: expected {min} to {max}, got {got}")]
    BcryptCost {
        /// The least that bcrypt allows.
        min: u32,
        /// The most that is allowed.
        max: u32,
        /// What was configured.
        got: u32,
    },
}

/// Why the pool did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The policy is not one to work with.
    #[error("the password policy cannot be used")]
    Policy(#[from] PolicyError),
    /// The dummy hash for unknown users could not be made.
    #[error("the hash for unknown users could not be made")]
    Dummy(#[from] HashError),
    /// The operating system refused a thread.
    #[error("a hashing thread could not be started")]
    Thread(#[source] io::Error),
}

/// Why the pool gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The queue is full. Over HTTP this is a 503 with `Retry-After`.
    #[error("expected a free place in the password queue")]
    Busy,
    /// The job ended without a result: it panicked, which is logged by the worker.
    #[error("expected the password worker to finish its job")]
    Lost,
    /// The job ran, and failed.
    #[error("the password job failed")]
    Hash(#[from] HashError),
}
