//! Cases for every implementation of `RateLimitStore`, in memory and over Redis.

use std::sync::Arc;
use std::time::Duration;

use sentinel::domain::{Bucket, RateLimitKey, RateLimitKeyKind, Timestamp};
use sentinel::settings::{Settings, Sources};
use sentinel::store::{MemoryRateLimitStore, RateLimitStore, redis as store_redis};

use crate::helpers::redis::Redis;
use crate::helpers::{START, all};

const WINDOW: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Bucket {
    Bucket::at(moment(seconds), WINDOW)
}

fn moment(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn address(name: &str) -> RateLimitKey {
    RateLimitKey::new(RateLimitKeyKind::Address, &[name.as_bytes()])
}

fn name(name: &str) -> RateLimitKey {
    RateLimitKey::new(RateLimitKeyKind::Name, &[name.as_bytes()])
}

/// Opens counters over Redis, as a separate process would.
pub(crate) fn over(url: &str) -> Arc<dyn RateLimitStore> {
    let overrides = vec![("redis.url".to_owned(), url.to_owned())];
    let settings = Settings::load(&Sources { overrides, ..Sources::default() }).unwrap();
    store_redis::rate_limit_store(&settings.redis, None).unwrap()
}

/// Counters as two processes see them.
struct Pair {
    one: Arc<dyn RateLimitStore>,
    other: Arc<dyn RateLimitStore>,
    _redis: Option<Redis>,
}

/// Creates counters of each kind.
fn each() -> [Pair; 2] {
    let memory: Arc<dyn RateLimitStore> = Arc::new(MemoryRateLimitStore::new());
    let redis = Redis::start();
    let (one, other) = (over(&redis.url), over(&redis.url));
    [
        Pair { one: Arc::clone(&memory), other: memory, _redis: None },
        Pair { one, other, _redis: Some(redis) },
    ]
}

#[tokio::test]
async fn failures_are_counted_per_key_within_the_window() {
    for Pair { one, other, _redis } in each() {
        for second in [0, 10, 40] {
            assert!(one.add(address("a"), 10, at(second)).await.counted);
        }
        other.add(name("a"), 10, at(40)).await;
        let keys = [address("a"), name("a"), address("b")];
        let totals = async |second| {
            let counters = other.recent(&keys, at(second)).await;
            counters.iter().map(|counter| counter.total()).collect::<Vec<_>>()
        };
        assert_eq!(totals(40).await, [3, 1, 0]);
        assert_eq!(totals(299).await, [3, 1, 0]);
        assert_eq!(totals(300).await, [1, 1, 0]);
        assert_eq!(totals(330).await, [0, 0, 0]);
        // Old failures are dropped and do not count again.
        assert_eq!(one.add(address("a"), 10, at(330)).await.counter.total(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_failures_are_counted_up_to_the_budget() {
    for Pair { one, other, _redis } in each() {
        let adds = (0..40).map(|number| {
            let store = Arc::clone(if number % 2 == 0 { &one } else { &other });
            async move { store.add(address("a"), 7, at(0)).await.counted }
        });
        let counted = all(adds).await.into_iter().filter(|counted| *counted).count();
        assert_eq!(counted, 7);
        let added = one.add(address("a"), 7, at(1)).await;
        assert_eq!((added.counted, added.counter.total()), (false, 7));
        assert!(other.add(address("a"), 7, at(300)).await.counted);
    }
}

#[tokio::test]
async fn slots_are_reserved_once_and_only_within_the_maximum_wait() {
    for Pair { one, other, _redis } in each() {
        let reserve = async |store: &Arc<dyn RateLimitStore>, second| {
            let wait = store.reserve(name("a"), 2 * SECOND, 4 * SECOND, at(second)).await;
            wait.map(|wait| wait.as_secs())
        };
        assert_eq!(reserve(&one, 0).await, Some(0));
        assert_eq!(reserve(&other, 0).await, Some(2));
        assert_eq!(reserve(&one, 0).await, Some(4));
        assert_eq!(reserve(&other, 0).await, None);
        assert_eq!(reserve(&other, 1).await, None);
        assert_eq!(reserve(&one, 3).await, Some(3));
        assert_eq!(reserve(&other, 20).await, Some(0));
        // Failures and reservations are counted independently.
        assert_eq!(one.add(name("a"), 9, at(20)).await.counter.total(), 1);
        assert_eq!(reserve(&one, 20).await, Some(2));
    }
}

/// The clock of one server is ahead, or a clock is set back.
#[tokio::test]
async fn clock_skew_does_not_extend_waits() {
    for ahead in [5, 17, 60, 600, 86_400] {
        for Pair { one, other, _redis } in each() {
            let reserve = async |store: &Arc<dyn RateLimitStore>, second| {
                let wait = store.reserve(name("a"), 4 * SECOND, 15 * SECOND, at(second)).await;
                wait.map(|wait| wait.as_secs())
            };
            // No wait is longer than after four reservations made just before.
            assert_eq!(reserve(&one, ahead).await, Some(0));
            assert_eq!(reserve(&other, 0).await, Some(4));
            assert_eq!(reserve(&other, 0).await, Some(8));
            assert!(reserve(&one, ahead).await.is_some_and(|wait| wait <= 12), "{ahead}");
            // When all slots are reserved, the next is free once they are over, by the clock of
            // that server.
            let mut taken = 0;
            while reserve(&one, ahead).await.is_some() {
                taken += 1;
                assert!(taken < 5, "{ahead}");
            }
            assert_eq!(reserve(&other, 1).await, None);
            assert!(reserve(&other, 9).await.is_some(), "{ahead}");
        }
    }
}

#[tokio::test]
async fn cleared_counters_count_from_zero() {
    for Pair { one, other, _redis } in each() {
        let keys = [address("a"), address("b"), name("a")];
        let count = async || {
            for key in keys {
                one.add(key, 10, at(0)).await;
            }
            totals(&one, &keys).await
        };
        assert_eq!(count().await, [1, 1, 1]);
        // In the process that counted, the counters in its memory are cleared too.
        one.clear(Some(&[address("a"), name("a")])).await.unwrap();
        assert_eq!(totals(&one, &keys).await, [0, 1, 0]);
        assert_eq!(totals(&other, &keys).await, [0, 1, 0]);
        assert_eq!(count().await, [1, 2, 1]);
        one.clear(None).await.unwrap();
        assert_eq!(totals(&one, &keys).await, [0, 0, 0]);
        assert_eq!(totals(&other, &keys).await, [0, 0, 0]);
    }
}

async fn totals(store: &Arc<dyn RateLimitStore>, keys: &[RateLimitKey]) -> Vec<u32> {
    store.recent(keys, at(0)).await.iter().map(|counter| counter.total()).collect()
}

#[tokio::test]
async fn key_flood_uses_bounded_memory_and_keeps_high_counts() {
    let memory = MemoryRateLimitStore::new();
    let (busy, attacked) = (address("busy"), name("attacked"));
    for _ in 0..20 {
        memory.add(busy, 20, at(0)).await;
        memory.add(attacked, u32::MAX, at(0)).await;
    }
    for number in 0..4 * MemoryRateLimitStore::CAPACITY {
        let text = number.to_string();
        memory.add(address(&text), 20, at(1)).await;
        memory.add(name(&text), u32::MAX, at(1)).await;
        let known = RateLimitKey::new(RateLimitKeyKind::KnownDevice, &[text.as_bytes()]);
        memory.add(known, u32::MAX, at(1)).await;
    }
    for kind in [RateLimitKeyKind::Address, RateLimitKeyKind::Name, RateLimitKeyKind::KnownDevice] {
        let len = memory.len(kind);
        assert!(len <= MemoryRateLimitStore::CAPACITY, "{len}");
        assert!(len > MemoryRateLimitStore::CAPACITY / 2, "{len}");
    }
    let counters = memory.recent(&[busy, attacked], at(1)).await;
    assert!(counters.iter().all(|counter| counter.total() == 20));
    // New keys are still counted at full capacity.
    assert_eq!(memory.add(address("new"), 20, at(2)).await.counter.total(), 1);
    assert_eq!(memory.add(address("new"), 20, at(2)).await.counter.total(), 2);
    // Entries outside the window are evicted first.
    for number in 0..4 * MemoryRateLimitStore::CAPACITY {
        memory.add(address(&number.to_string()), 20, at(301)).await;
    }
    assert_eq!(memory.recent(&[busy], at(301)).await[0].total(), 0);
    assert!(memory.len(RateLimitKeyKind::Address) <= MemoryRateLimitStore::CAPACITY);
}
