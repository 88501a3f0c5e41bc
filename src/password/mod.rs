//! Password hashing and verification. Neither runs on an I/O thread.
//!
//! - [`HashPolicy`]: the parameters of new hashes, and which stored hashes are too weak
//!
//! New hashes are argon2id (RFC 9106, as PHC strings that other tools can verify) or bcrypt. Hashes
//! of argon2i, argon2d, scrypt, PBKDF2, SHA-crypt and of bcrypt of a digest are verified and
//! replaced at the next login.
//! [`import_hash`] reads the formats of other frameworks. Not here: looking up users and rate
//! limiting (`oauth`), storing hashes (`store`), and client secrets, which are random and need no
//! slow hash.

mod argon2_hash;
mod bcrypt_hash;
mod error;
mod firebase_scrypt;
mod hasher;
mod import_formats;
mod memory;
mod parsed_hash;
mod pbkdf2_hash;
mod phc;
mod policy;
mod pool;
mod prehashed_bcrypt;
mod scrypt_hash;
mod sha_crypt_hash;
mod timing_equalizer;
mod verdict;
mod worker;

pub use crate::domain::hash_limits::HashScheme;
pub use error::{HashError, PolicyError, PoolError, PoolStartError};
pub use hasher::Hasher;
pub use import_formats::{ImportHashError, import_hash};
pub use parsed_hash::{needs_upgrade, parameters_prefix};
pub use policy::HashPolicy;
pub use pool::PasswordPool;
pub use timing_equalizer::MAX_KINDS;
pub use verdict::Verdict;
