//! Hashing and verifying passwords, without ever doing it on an I/O thread.
//!
//! - [`Policy`]: how new hashes are made, and which stored ones are too weak to stay ([`needs_upgrade`]);
//! - [`Hasher`]: the work itself, synchronous, for one thread; the CLI uses it directly;
//! - [`PasswordPool`]: the bounded workers that the server uses, which also keep an unknown user from answering faster
//!   than a wrong password does.
//!
//! Schemes are argon2id (RFC 9106, as PHC strings that any other tool can verify) and bcrypt; argon2i, argon2d, scrypt
//! and PBKDF2 are verified and replaced, and [`foreign_hash`] reads what other frameworks write. Not here: who the user is, how often one may guess (the throttles), where hashes are kept
//! (the stores), and client secrets, which are random and need no slow hash.

mod argon2_hash;
mod bcrypt_hash;
mod error;
mod floor;
mod foreign;
mod hasher;
mod memory;
mod pbkdf2_hash;
mod phc;
mod policy;
mod pool;
mod random;
mod scrypt_hash;
mod stored;
mod verdict;
mod worker;

pub use error::{HashError, PolicyError, PoolError, StartError};
pub use floor::KINDS as MOST_HASH_KINDS;
pub use foreign::{ForeignHashError, foreign_hash};
pub use hasher::Hasher;
pub use policy::{Policy, Scheme, needs_upgrade};
pub use pool::PasswordPool;
pub use stored::kind as hash_kind;
pub use verdict::Verdict;
