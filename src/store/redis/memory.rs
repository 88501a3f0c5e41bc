//! Memory of the Redis server, and its policy for a full memory, as its last `INFO memory` said.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Divisor and dividend of the share of `maxmemory` above which no cache entry is filled: three
/// quarters. The rest is for published tokens, without which there are no logins.
const FILLED: (u64, u64) = (3, 4);
/// Policy (`maxmemory-policy`) with which a full Redis refuses writes and removes no keys.
const NO_EVICTION: &str = "noeviction";

/// Memory of the Redis server, as this process last read it.
#[derive(Debug, Default)]
pub(super) struct RedisMemory(Mutex<MemoryInfo>);

#[derive(Clone, Debug, Default)]
struct MemoryInfo {
    used: Option<u64>,
    /// Maximum in bytes; 0 if there is none.
    max: Option<u64>,
    policy: Option<String>,
    warned: bool,
}

impl RedisMemory {
    /// Records the answer to `INFO memory`.
    pub(super) fn update(&self, info: &str) {
        let field = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let number = |name| field(name)?.parse().ok();
        let policy = field("maxmemory_policy").map(str::to_owned);
        let mut memory = self.lock();
        let warned = memory.warned && memory.policy == policy;
        *memory =
            MemoryInfo { used: number("used_memory"), max: number("maxmemory"), policy, warned };
    }

    /// Returns the number of bytes that Redis uses.
    pub(super) fn used(&self) -> Option<u64> {
        self.lock().used
    }

    /// Returns the maximum number of bytes that Redis may use; 0 if there is no maximum.
    pub(super) fn max(&self) -> Option<u64> {
        self.lock().max
    }

    /// Returns whether Redis uses more of its memory than the cache may fill.
    pub(super) fn is_filled(&self) -> bool {
        let (part, whole) = FILLED;
        let memory = self.lock();
        let max = memory.max.filter(|max| *max > 0);
        memory.used.zip(max).is_some_and(|(used, max)| used / part > max / whole)
    }

    /// Returns the warning about a policy that removes published tokens, if Redis has one.
    pub(super) fn eviction_warning(&self) -> Option<String> {
        let policy = self.lock().policy.clone().filter(|policy| policy != NO_EVICTION)?;
        Some(format!(
            "Redis has maxmemory-policy {policy}: when its memory is full, it removes published \
             tokens, which resource servers that read Redis then refuse, and the lists by which the \
             tokens of an ended session are found; set maxmemory-policy {NO_EVICTION}, or \
             redis.publish_tokens = false if no resource server reads Redis"
        ))
    }

    /// Logs the warning of [`Self::eviction_warning`], once for each policy.
    pub(super) fn warn_about_eviction(&self) {
        if let Some(warning) = self.eviction_warning()
            && !std::mem::replace(&mut self.lock().warned, true)
        {
            tracing::warn!("{warning}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, MemoryInfo> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(info: &str) -> RedisMemory {
        let memory = RedisMemory::default();
        memory.update(info);
        memory
    }

    #[test]
    fn cache_may_fill_three_quarters_of_maxmemory() {
        for (used, max, is_filled) in
            [(750, 1000, false), (760, 1000, true), (u64::MAX, 0, false), (u64::MAX, 1, true)]
        {
            let memory = read(&format!("# Memory\r\nused_memory:{used}\r\nmaxmemory:{max}\r\n"));
            assert_eq!((memory.used(), memory.max()), (Some(used), Some(max)));
            assert_eq!(memory.is_filled(), is_filled, "{used} of {max}");
        }
        assert!(!read("").is_filled());
    }

    #[test]
    fn every_policy_except_noeviction_is_warned_about() {
        for policy in ["volatile-lru", "allkeys-lfu", "volatile-ttl"] {
            let warning = read(&format!("maxmemory_policy:{policy}\r\n")).eviction_warning();
            assert!(warning.unwrap().contains(policy));
        }
        assert_eq!(read("maxmemory_policy:noeviction\r\n").eviction_warning(), None);
        assert_eq!(read("").eviction_warning(), None);
    }
}
