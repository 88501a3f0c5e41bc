//! Tests of properties that black-box tests cannot see: panicking jobs, released memory, ended
//! threads.

use super::*;
use crate::password::HashScheme;
use std::cell::RefCell;
use std::sync::mpsc;

const SMALL: HashPolicy = HashPolicy {
    scheme: HashScheme::Argon2id,
    memory_kib: 64,
    iterations: 1,
    parallelism: 1,
    bcrypt_cost: 4,
};

#[tokio::test]
#[allow(clippy::panic, reason = "the worker has to survive one")]
async fn panicking_job_is_reported_and_worker_continues() -> Result<(), PoolStartError> {
    let pool = PasswordPool::start(SMALL, 1, 4)?;
    let lost: Result<(), _> = pool.run(|_| panic!("on purpose")).await;
    assert!(matches!(lost, Err(PoolError::Lost)));
    assert!(pool.hash("correct horse".into()).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn worker_allocates_memory_when_needed_and_frees_it_when_idle() -> Result<(), PoolStartError>
{
    let pool = PasswordPool::start_with(SMALL, 1, 4, Duration::from_millis(300))?;
    let kept = async || pool.run(|hasher| Ok(hasher.kept_kib())).await.ok();
    assert_eq!(kept().await, Some(0));
    assert!(pool.hash("correct horse".into()).await.is_ok());
    assert_eq!(kept().await, Some(64));
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(kept().await, Some(0));
    assert!(pool.hash("correct horse".into()).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn job_of_cancelled_caller_still_runs() -> Result<(), PoolStartError> {
    let pool = PasswordPool::start(SMALL, 1, 4)?;
    let (open, gate) = mpsc::channel::<()>();
    let (done, was_done) = mpsc::channel::<()>();
    let blocker = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(move |_| Ok(gate.recv().is_ok())).await }
    });
    let impatient = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(move |_| Ok(done.send(()).is_ok())).await }
    });
    tokio::task::yield_now().await;
    impatient.abort();
    assert!(impatient.await.is_err_and(|error| error.is_cancelled()));
    assert!(open.send(()).is_ok());
    assert!(blocker.await.is_ok());
    assert!(was_done.recv_timeout(Duration::from_secs(10)).is_ok());
    Ok(())
}

#[tokio::test]
async fn worker_threads_end_when_last_handle_is_dropped() -> Result<(), PoolStartError> {
    thread_local! {
        // Dropped when the worker's thread ends, which disconnects the channel.
        static ALIVE: RefCell<Option<mpsc::Sender<()>>> = const { RefCell::new(None) };
    }
    let pool = PasswordPool::start(SMALL, 1, 4)?;
    let clone = pool.clone();
    let (alive, ended) = mpsc::channel();
    let set = pool
        .run(move |_| {
            ALIVE.set(Some(alive));
            Ok(())
        })
        .await;
    assert!(set.is_ok());
    drop(pool);
    let still = ended.recv_timeout(Duration::from_millis(100));
    assert_eq!(still, Err(mpsc::RecvTimeoutError::Timeout));
    drop(clone);
    let gone = ended.recv_timeout(Duration::from_secs(10));
    assert_eq!(gone, Err(mpsc::RecvTimeoutError::Disconnected));
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_worker_threads_have_lower_priority() -> Result<(), PoolStartError> {
    // Scheduling policy: field 41 of proc_pid_stat(5). The second field ends with the last `)` and
    // may contain spaces.
    let scheduling = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(41 - 3).map(str::to_owned)
    };
    let pool = PasswordPool::start(SMALL, 1, 4)?;
    let worker = pool.run(move |_| Ok(scheduling())).await.ok().flatten();
    assert_eq!(scheduling().as_deref(), Some("0"), "SCHED_OTHER");
    assert_eq!(worker.as_deref(), Some("5"), "SCHED_IDLE");
    Ok(())
}

#[tokio::test]
async fn kind_measured_as_too_slow_is_measured_again() -> Result<(), PoolStartError> {
    const BCRYPT: &str = "$2b$05$9TyagXFmUEREA9CweyhUjuH147b7pcb3FjmfJOcg62a87CuRwkjWu";
    let pool = PasswordPool::start(SMALL, 1, 4)?;
    let kinds = [PasswordHash::imported(BCRYPT.to_owned())];
    let equalizer = &pool.inner.equalizer;
    for _ in 0..8 {
        equalizer.record(kinds.first(), Duration::from_secs(60));
    }
    assert!(kinds.iter().all(|kind| equalizer.is_at_maximum(kind)));
    for _ in 0..8 {
        pool.measure_kinds(&kinds).await;
    }
    // Without a measurement there would be no delay at all.
    assert!(equalizer.minimum() > Duration::ZERO);
    assert!(equalizer.minimum() < Duration::from_secs(1), "{:?}", equalizer.minimum());
    Ok(())
}
