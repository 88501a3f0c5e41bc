//! Rate limit counters shared by all servers: `sentinel:throttle:<kind>:<digest>`.
//!
//! Each is a hash with a field for each bucket of the sliding window. Two more fields contain the
//! time of the next permitted attempt and the time at which it was recorded. A known device has a
//! field with the time of its expiry. Every counted failure is counted in memory as well. So a
//! server that cannot reach Redis continues with its own counts, and a flush of Redis does not
//! clear them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Script, cmd, pipe};

use super::connections::{Connections, RedisCallError};
use crate::domain::{Slice, Subject, Tally};
use crate::store::{Added, AttemptStore, MemoryAttempts};

/// Counts a failed attempt unless the limit is reached, and removes the buckets that have left the
/// window.
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

/// Reserves the next permitted attempt, unless it is too far in the future.
///
/// Times are those of the servers' clocks, which may differ. A reservation recorded at a time that
/// is still in the future comes from a server whose clock is ahead; the script treats it as
/// recorded now. So the server whose clock is behind waits for attempts of the other as if they had
/// just been made, and neither waits longer than for attempts of its own. The clock of Redis would
/// be common to all servers, but tests could not set it.
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

/// [`AttemptStore`] over Redis, with counters in memory as a fallback.
pub(super) struct RedisAttempts {
    connections: Arc<Connections>,
    own: MemoryAttempts,
}

impl RedisAttempts {
    pub(super) fn new(connections: Arc<Connections>) -> Self {
        Self { connections, own: MemoryAttempts::new() }
    }

    async fn shared(&self, subjects: &[Subject], at: Slice) -> Result<Vec<Tally>, RedisCallError> {
        let found: Vec<HashMap<String, String>> = self
            .connections
            .call(async |call| {
                let mut all = pipe();
                for subject in subjects {
                    all.cmd("HGETALL").arg(key(subject));
                }
                all.query_async(&mut call.connection).await
            })
            .await?;
        Ok(found.iter().map(|fields| tally(fields, at)).collect())
    }
}

#[async_trait]
impl AttemptStore for RedisAttempts {
    async fn recent(&self, subjects: &[Subject], at: Slice) -> Vec<Tally> {
        let own = self.own.recent(subjects, at).await;
        match self.shared(subjects, at).await {
            Ok(shared) => own.iter().zip(&shared).map(|(own, shared)| own.max(shared)).collect(),
            Err(failure) => {
                passed_by(&failure);
                own
            }
        }
    }

    async fn add(&self, subject: Subject, limit: u32, at: Slice) -> Added {
        let shared: Result<(bool, HashMap<String, String>), _> = self
            .connections
            .call(async |call| {
                let mut script = ADD.key(key(&subject));
                script.arg(at.index).arg(at.oldest()).arg(limit).arg(millis(at.window()));
                script.invoke_async(&mut call.connection).await
            })
            .await;
        match shared {
            // A failure that Redis did not count is not counted here, or the counter in memory
            // would exceed the shared one.
            Ok((false, fields)) => {
                let own = self.own.recent_of(&subject, at);
                Added { counted: false, tally: tally(&fields, at).max(&own) }
            }
            Ok((true, fields)) => {
                let own = self.own.add(subject, limit, at).await;
                Added { tally: tally(&fields, at).max(&own.tally), ..own }
            }
            Err(failure) => {
                passed_by(&failure);
                self.own.add(subject, limit, at).await
            }
        }
    }

    async fn reserve(
        &self,
        subject: Subject,
        pause: Duration,
        patience: Duration,
        at: Slice,
    ) -> Option<Duration> {
        let shared: Result<i64, _> = self
            .connections
            .call(async |call| {
                let mut script = RESERVE.key(key(&subject));
                let keep = at.window().saturating_add(patience).saturating_add(pause);
                script.arg(at.now.as_millis()).arg(millis(pause)).arg(millis(patience));
                script.arg(millis(keep)).invoke_async(&mut call.connection).await
            })
            .await;
        match shared {
            Ok(wait) => u64::try_from(wait).ok().map(Duration::from_millis),
            Err(failure) => {
                passed_by(&failure);
                self.own.reserve(subject, pause, patience, at).await
            }
        }
    }

    async fn remember(&self, subject: Subject, time: Duration, at: Slice) {
        self.own.remember(subject, time, at).await;
        let until = at.now.plus(time).as_millis();
        let written: Result<(), _> = self
            .connections
            .call(async |call| {
                let (mut both, key) = (pipe(), key(&subject));
                both.cmd("HSET").arg(&key).arg("until").arg(until).ignore();
                both.cmd("PEXPIRE").arg(&key).arg(millis(time)).ignore();
                both.query_async(&mut call.connection).await
            })
            .await;
        written.unwrap_or_else(|failure| passed_by(&failure));
    }

    async fn is_remembered(&self, subject: Subject, at: Slice) -> bool {
        if self.own.is_remembered(subject, at).await {
            return true;
        }
        let until: Result<Option<i64>, _> = self
            .connections
            .call(async |call| {
                let mut get = cmd("HGET");
                get.arg(key(&subject)).arg("until");
                get.query_async(&mut call.connection).await
            })
            .await;
        until.ok().flatten().is_some_and(|until| until > at.now.as_millis())
    }
}

fn key(subject: &Subject) -> String {
    let digest = hex::encode(subject.as_bytes());
    format!("sentinel:throttle:{}:{digest}", subject.kind().as_str())
}

fn tally(fields: &HashMap<String, String>, at: Slice) -> Tally {
    let counts = fields.iter().filter_map(|(step, count)| {
        let (step, count) = (step.parse().ok()?, count.parse().ok()?);
        (step >= at.oldest()).then_some((step, count))
    });
    Tally::of(counts, at)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(i64::MAX as u64)
}

/// Logs a failure at debug level only: the component that detected the outage has logged it as an
/// error.
fn passed_by(failure: &RedisCallError) {
    tracing::debug!(error = %failure, "attempts are counted in memory alone");
}
