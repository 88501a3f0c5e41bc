//! Random bytes for salts, directly from the operating system. The system call costs little
//! compared with a hash, and there is no generator in the process that could be seeded wrong or
//! copied by a fork.

use super::error::HashError;
use rand::TryRng;
use rand::rngs::SysRng;

/// Returns `N` random bytes from the operating system.
pub(super) fn bytes<const N: usize>() -> Result<[u8; N], HashError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(HashError::Random)?;
    Ok(bytes)
}
