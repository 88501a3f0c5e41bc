//! Hash functions of new password hashes, and limits on the cost of one hash. The limits apply to
//! the settings and to stored hashes.

use std::ops::RangeInclusive;

/// Hash function of new password hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashScheme {
    /// argon2id (RFC 9106).
    #[default]
    Argon2id,
    /// bcrypt, in the format `$2b$`.
    Bcrypt,
}

/// Accepted memory of one argon2 hash, in KiB; the maximum is 1 GiB. A stored hash is untrusted
/// data and must not cause arbitrary allocations. RFC 9106 §3.1 requires at least 8 KiB per lane.
pub const ARGON2_MEMORY_KIB: RangeInclusive<u32> = 8..=1 << 20;

/// Accepted work of one argon2 hash (memory times iterations), in KiB; the maximum, 4 GiB, takes
/// some seconds of one core. Limiting the product instead of the iterations permits hashes with
/// little memory and many iterations, which some servers use.
pub const ARGON2_WORK_KIB: RangeInclusive<u64> = 8..=1 << 22;

/// Accepted number of lanes of one argon2 hash. RFC 9106 §3.1 allows up to 2^24-1, but memory is
/// what strengthens a hash, and no login needs 255 lanes.
pub const ARGON2_LANES: RangeInclusive<u32> = 1..=255;

/// Accepted bcrypt cost (binary logarithm of the rounds). The minimum is bcrypt's own. Each step
/// doubles the time: cost 16 takes about four seconds, and 31, the maximum of the format, takes
/// more than a day.
pub const BCRYPT_COST: RangeInclusive<u32> = 4..=16;
