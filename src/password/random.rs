//! Random bytes for salts, straight from the operating system: next to a hash its call costs nothing, and no generator
//! of our own can be seeded wrong or copied by a fork.

use super::error::HashError;
use rand::TryRng;
use rand::rngs::SysRng;

/// Fresh random bytes.
pub(super) fn bytes<const N: usize>() -> Result<[u8; N], HashError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(HashError::Random)?;
    Ok(bytes)
}
