//! Working memory of argon2, reused for successive hashes.
//!
//! Page faults in newly allocated memory cost nearly as much as the hash itself. The memory is not
//! wiped between hashes, which would reduce the hash rate by a twentieth. The blocks do not help an
//! attacker: recovering a password from them takes as many guesses as from the stored hash.

use super::error::HashError;
use argon2::Block;

/// Minimum reservation of working memory, in blocks of 1 KiB. glibc maps an allocation of more than
/// 32 MiB separately and unmaps it when it is freed. A smaller allocation, after the first one,
/// stays in the heap when freed, so an idle server would not shrink. The reserved but unused part
/// is only address space.
const RESERVE: usize = 33 * 1024;

/// Working memory of argon2, in blocks of 1 KiB, for one hash at a time.
pub(super) struct Memory {
    blocks: Vec<Block>,
    keep: usize,
}

impl Memory {
    /// Creates an empty working memory. Between hashes, at most `keep` KiB stay allocated.
    pub(super) fn keeping(keep: usize) -> Self {
        Self { blocks: Vec::new(), keep }
    }

    /// Calls `work` with `count` blocks of 1 KiB, possibly with old data, and returns the result.
    pub(super) fn lend<T>(
        &mut self,
        count: usize,
        work: impl FnOnce(&mut [Block]) -> T,
    ) -> Result<T, HashError> {
        if self.blocks.len() < count {
            // Release the old blocks first, so that old and new ones are never held together.
            self.release();
            self.blocks
                .try_reserve_exact(count.max(RESERVE))
                .map_err(|_| HashError::OutOfMemory { kib: count })?;
            self.blocks.resize(count, Block::new());
        }
        let result = work(self.blocks.split_at_mut(count).0);
        if self.blocks.len() > self.keep {
            self.release();
        }
        Ok(result)
    }

    /// Returns all blocks of the working memory to the operating system.
    pub(super) fn release(&mut self) {
        self.blocks = Vec::new();
    }

    /// Returns the working memory held between hashes, in KiB.
    pub(super) fn kept_kib(&self) -> usize {
        self.blocks.len()
    }
}
