//! Rate limit counters shared by all servers: `sentinel:throttle:<kind>:<digest>`.
//!
//! Each key is a Redis hash (field map) with a field for each bucket of the sliding window. Two
//! more fields contain the time of the next permitted attempt and the time at which it was
//! recorded. Every counted failure is counted in memory as well. So a server that cannot reach
//! Redis continues with its own counts, and a flush of Redis does not clear them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Script, cmd, pipe};

use super::connections::{CallConnection, Connections, RedisCallError};
use crate::domain::{Bucket, RateLimitKey, WindowCounter};
use crate::store::{AddResult, MemoryRateLimitStore, RateLimitStore, StoreError};

/// Prefix of the Redis keys of all counters.
const PREFIX: &str = "sentinel:throttle:";

/// Script that counts a failed authentication attempt on a rate limit key unless the limit is
/// reached, and removes the buckets (time steps) that have left the sliding window.
static ADD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local total, all = 0, redis.call('HGETALL', KEYS[1])
         for i = 1, #all, 2 do
             local step = tonumber(all[i])
             if step and step < tonumber(ARGV[2]) then
                 redis.call('HDEL', KEYS[1], all[i])
             elseif step then
                 total = total + all[i + 1]
             end
         end
         local counted = total < tonumber(ARGV[3])
         if counted then
             redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
             redis.call('PEXPIRE', KEYS[1], ARGV[4])
         end
         return {counted and 1 or 0, redis.call('HGETALL', KEYS[1])}",
    )
});

/// Script that reserves the time of the next permitted authentication attempt on a rate limit key,
/// unless that time is too far in the future.
///
/// All times come from the servers' clocks, which may differ. A reservation recorded at a time that
/// is still in the future comes from a server whose clock is ahead; the script treats it as
/// recorded now. So the server whose clock is behind waits for attempts of the other server as if
/// they had just been made, and neither waits longer than for attempts of its own. The clock of
/// Redis would be common to all servers, but tests could not set it.
static RESERVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local now = tonumber(ARGV[1])
         local free = tonumber(redis.call('HGET', KEYS[1], 'next') or 0)
         local noted = tonumber(redis.call('HGET', KEYS[1], 'noted') or 0)
         if noted > now then free = free - noted + now end
         local wait = math.max(free - now, 0)
         local given = wait <= tonumber(ARGV[3])
         if given then free = now + wait + ARGV[2] end
         redis.call('HSET', KEYS[1], 'next', string.format('%.0f', free),
                    'noted', string.format('%.0f', now))
         redis.call('PEXPIRE', KEYS[1], ARGV[4])
         return given and wait or -1",
    )
});

/// [`RateLimitStore`] that servers share over Redis, with counters in memory as a fallback.
pub(super) struct RedisRateLimitStore {
    connections: Arc<Connections>,
    local: MemoryRateLimitStore,
}

impl RedisRateLimitStore {
    pub(super) fn new(connections: Arc<Connections>) -> Self {
        Self { connections, local: MemoryRateLimitStore::new() }
    }

    /// Deletes all shared counters.
    async fn clear_shared(&self) -> Result<(), RedisCallError> {
        let mut cursor = 0_u64;
        loop {
            let (next, keys): (u64, Vec<String>) = self
                .connections
                .call(async |call| {
                    let mut scan = cmd("SCAN");
                    scan.arg(cursor).arg("MATCH").arg(format!("{PREFIX}*")).arg("COUNT").arg(1000);
                    scan.query_async(&mut call.connection).await
                })
                .await?;
            if !keys.is_empty() {
                self.connections
                    .call(async |call| {
                        cmd("DEL").arg(&keys).query_async::<()>(&mut call.connection).await
                    })
                    .await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn shared(
        &self,
        keys: &[RateLimitKey],
        now: Bucket,
    ) -> Result<Vec<WindowCounter>, RedisCallError> {
        let found: Vec<HashMap<String, String>> = self
            .connections
            .call(async |call| {
                let mut all = pipe();
                for key in keys {
                    all.cmd("HGETALL").arg(redis_key(key));
                }
                all.query_async(&mut call.connection).await
            })
            .await?;
        Ok(found.iter().map(|fields| window_counter(fields, now)).collect())
    }
}

#[async_trait]
impl RateLimitStore for RedisRateLimitStore {
    async fn recent(&self, keys: &[RateLimitKey], now: Bucket) -> Vec<WindowCounter> {
        let local = self.local.recent(keys, now).await;
        match self.shared(keys, now).await {
            Ok(shared) => {
                local.iter().zip(&shared).map(|(local, shared)| local.max(shared)).collect()
            }
            Err(failure) => {
                log_fallback(&failure);
                local
            }
        }
    }

    async fn add(&self, key: RateLimitKey, limit: u32, now: Bucket) -> AddResult {
        let shared: Result<(bool, HashMap<String, String>), _> = self
            .connections
            .call_once(async |call| {
                let mut script = ADD.key(redis_key(&key));
                script.arg(now.index).arg(now.oldest()).arg(limit).arg(millis(now.window()));
                script.invoke_async(&mut call.connection).await
            })
            .await;
        match shared {
            // A failure that Redis did not count is not counted here, or the counter in memory
            // would exceed the shared one.
            Ok((false, fields)) => {
                let local = self.local.recent_of(&key, now);
                AddResult { counted: false, counter: window_counter(&fields, now).max(&local) }
            }
            Ok((true, fields)) => {
                let local = self.local.add(key, limit, now).await;
                AddResult { counter: window_counter(&fields, now).max(&local.counter), ..local }
            }
            Err(failure) => {
                log_fallback(&failure);
                self.local.add(key, limit, now).await
            }
        }
    }

    async fn reserve(
        &self,
        key: RateLimitKey,
        pause: Duration,
        max_wait: Duration,
        now: Bucket,
    ) -> Option<Duration> {
        let shared: Result<i64, _> = self
            .connections
            .call_once(async |call| {
                let mut script = RESERVE.key(redis_key(&key));
                let keep = now.window().saturating_add(max_wait).saturating_add(pause);
                script.arg(now.time.as_millis()).arg(millis(pause)).arg(millis(max_wait));
                script.arg(millis(keep)).invoke_async(&mut call.connection).await
            })
            .await;
        match shared {
            Ok(wait) => u64::try_from(wait).ok().map(Duration::from_millis),
            Err(failure) => {
                log_fallback(&failure);
                self.local.reserve(key, pause, max_wait, now).await
            }
        }
    }

    async fn clear(&self, keys: Option<&[RateLimitKey]>) -> Result<(), StoreError> {
        self.local.clear(keys).await?;
        let Some(keys) = keys else { return Ok(self.clear_shared().await?) };
        let keys: Vec<String> = keys.iter().map(redis_key).collect();
        if !keys.is_empty() {
            let call = async |call: &mut CallConnection| {
                cmd("DEL").arg(&keys).query_async::<()>(&mut call.connection).await
            };
            self.connections.call(call).await?;
        }
        Ok(())
    }
}

fn redis_key(key: &RateLimitKey) -> String {
    let digest = hex::encode(key.as_bytes());
    format!("{PREFIX}{}:{digest}", key.kind().as_str())
}

fn window_counter(fields: &HashMap<String, String>, now: Bucket) -> WindowCounter {
    let counts = fields.iter().filter_map(|(index, count)| {
        let (index, count) = (index.parse().ok()?, count.parse().ok()?);
        (index >= now.oldest()).then_some((index, count))
    });
    WindowCounter::from_buckets(counts, now)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(i64::MAX as u64)
}

/// Logs a failed Redis call at debug level only: the component that detected the outage has logged
/// the outage as an error.
fn log_fallback(failure: &RedisCallError) {
    tracing::debug!(error = %failure, "Redis failed: rate limits use the counters in the memory of this server");
}
