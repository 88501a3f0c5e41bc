//! Random bytes and choices.
//!
//! They come from the operating system by one call each. The generators of the crate `rand`, which
//! are faster, panic if the operating system supplies no random bytes.

use rand::TryRng;
use rand::rngs::{SysError, SysRng};

/// Error returned if the operating system supplies no random bytes.
#[derive(Debug, thiserror::Error)]
#[error(
    "the operating system supplies no random bytes (getrandom), which tokens, secrets and ids need"
)]
pub struct RandomError(#[source] SysError);

/// Returns `N` random bytes.
///
/// # Errors
/// [`RandomError`] if the operating system supplies none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(RandomError)?;
    Ok(bytes)
}

/// Returns a random index below `len`, all equally likely. Returns 0 if `len` is 0, or if the
/// operating system supplies no random bytes.
pub fn random_index(len: usize) -> usize {
    let random = random_bytes().map_or(0, usize::from_le_bytes);
    random.checked_rem(len).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_index_returns_every_index_below_len_and_no_other() {
        let drawn: std::collections::BTreeSet<usize> = (0..1000).map(|_| random_index(5)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!((random_index(1), random_index(0)), (0, 0));
    }

    #[test]
    fn random_bytes_differ_at_each_call() {
        assert_ne!(random_bytes::<16>().unwrap(), random_bytes::<16>().unwrap());
    }
}
