//! What one password hash may cost at most, as the settings offer it and as hashing holds stored ones to it.

use std::ops::RangeInclusive;

/// The memory of one argon2 hash, in KiB: up to 1 GiB. A stored hash is data, and must not be able to make the server
/// allocate at will. RFC 9106 §3.1: at least 8 for each lane.
pub const ARGON2_MEMORY_KIB: RangeInclusive<u32> = 8..=1 << 20;

/// argon2's lanes. RFC 9106 §3.1 has up to 2^24-1; more memory is what makes a hash strong, and nobody runs 255 lanes
/// for one login.
pub const ARGON2_LANES: RangeInclusive<u32> = 1..=255;

/// The costs of bcrypt, from the least that it defines itself. Each step doubles the time: 16 is some four seconds,
/// and 31, which the format allows, days.
pub const BCRYPT_COST: RangeInclusive<u32> = 4..=16;
