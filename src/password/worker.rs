//! A hashing thread, which runs jobs until the pool is dropped.

use super::hasher::Hasher;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

/// A job for a hashing thread. The job sends its result to the caller itself.
pub(super) type Job = Box<dyn FnOnce(&mut Hasher) + Send>;

/// Increment of the `nice` value of a hashing thread, used if the system refuses `SCHED_IDLE`.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Starts the hashing thread "hash-N", which ends when all senders of `jobs` are dropped and the
/// queue is empty.
pub(super) fn spawn(
    index: usize,
    mut hasher: Hasher,
    jobs: flume::Receiver<Job>,
    idle: Duration,
) -> io::Result<()> {
    thread::Builder::new()
        .name(format!("hash-{index}"))
        .spawn(move || {
            lower_priority();
            // The hasher can be used again after a panic, because its memory is scratch space. It
            // is released in case it caused the panic. The caller is notified by its reply channel,
            // which unwinding dropped.
            while catch_unwind(AssertUnwindSafe(|| work(&mut hasher, &jobs, idle))).is_err() {
                hasher.release();
                tracing::error!(
                    "a password job panicked, and its request gets 503; the worker continues"
                );
            }
        })
        .map(drop)
}

fn work(hasher: &mut Hasher, jobs: &flume::Receiver<Job>, idle: Duration) {
    while let Some(job) = next(hasher, jobs, idle) {
        job(hasher);
    }
}

/// Returns the next job, or `None` when the pool is gone. Releases the hasher's working memory if
/// no job arrives within `idle`.
fn next(hasher: &mut Hasher, jobs: &flume::Receiver<Job>, idle: Duration) -> Option<Job> {
    match jobs.recv_timeout(idle) {
        Ok(job) => Some(job),
        Err(flume::RecvTimeoutError::Disconnected) => None,
        Err(flume::RecvTimeoutError::Timeout) => {
            hasher.release();
            jobs.recv().ok()
        }
    }
}

/// Lowers the priority of the calling thread below that of the I/O threads, if the system supports
/// this for a single thread.
///
/// With `SCHED_IDLE` (sched(7)), a thread that wakes up preempts a worker at once. With `nice`
/// alone it waits for the end of a time slice. Under a flood of logins, the p99 of introspection
/// was 1.9 ms with `nice` and 0.7 ms with `SCHED_IDLE` (`make bench`, medians of three runs in
/// turn). As a trade-off, a flood of introspections that leaves no core idle starves logins.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let thread = thread_priority::thread_native_id();
        if thread_priority::set_thread_priority_and_policy(thread, ThreadPriority::Min, idle)
            .is_err()
            && let Err(error) = rustix::process::nice(NICENESS)
        {
            tracing::warn!(%error, "the priority of a hashing thread could not be lowered; logins may slow down other requests");
        }
    }
}
