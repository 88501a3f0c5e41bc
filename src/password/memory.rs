//! The memory that argon2 works in, kept from one hash to the next.
//!
//! Fresh memory costs nearly as much as the hash itself, in page faults. It is not wiped between hashes, which would
//! cost a twentieth of the rate: the blocks tell nothing without as many guesses as the stored hash needs too.

use super::error::HashError;
use argon2::Block;

/// The least that is reserved, in blocks of 1 KiB. glibc maps an allocation of more than 32 MiB on its own and unmaps
/// it when freed; a smaller one, after the first, it keeps for itself, and an idle server would never shrink. The part
/// that is reserved but not used is address space only.
const RESERVE: usize = 33 * 1024;

/// Blocks for one hash at a time.
pub(super) struct Memory {
    blocks: Vec<Block>,
    keep: usize,
}

impl Memory {
    /// Nothing yet. What is allocated later is kept if it is at most `keep` blocks.
    pub(super) fn keeping(keep: usize) -> Self {
        Self { blocks: Vec::new(), keep }
    }

    /// Lends as many blocks as asked for, with whatever the last hash left in them.
    pub(super) fn lend<T>(
        &mut self,
        count: usize,
        work: impl FnOnce(&mut [Block]) -> T,
    ) -> Result<T, HashError> {
        if self.blocks.len() < count {
            // First out with the old, so that the two are never held together.
            self.release();
            self.blocks
                .try_reserve_exact(count.max(RESERVE))
                .map_err(|_| HashError::OutOfMemory { kib: count })?;
            self.blocks.resize(count, Block::new());
        }
        let result = match self.blocks.get_mut(..count) {
            Some(blocks) => work(blocks),
            None => return Err(HashError::OutOfMemory { kib: count }),
        };
        if self.blocks.len() > self.keep {
            self.release();
        }
        Ok(result)
    }

    /// Gives everything back to the operating system.
    pub(super) fn release(&mut self) {
        self.blocks = Vec::new();
    }

    /// How much is held between hashes, in KiB.
    pub(super) fn kept_kib(&self) -> usize {
        self.blocks.len()
    }
}
