//! One hashing thread: takes jobs until there is nobody left to send any.

use super::hasher::Hasher;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

/// What a worker does: anything that needs a hasher. It sends its result itself.
pub(super) type Job = Box<dyn FnOnce(&mut Hasher) + Send>;

/// How far below the I/O threads a worker is, in steps of `nice`, where the system refuses the better way.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Starts the thread "hash-N". It ends by itself when the senders of `jobs` are gone and the queue is empty.
pub(super) fn spawn(
    index: usize,
    hasher: Hasher,
    jobs: flume::Receiver<Job>,
    idle: Duration,
) -> io::Result<()> {
    thread::Builder::new()
        .name(format!("hash-{index}"))
        .spawn(move || {
            lower_priority();
            work(hasher, &jobs, idle);
        })
        .map(drop)
}

fn work(mut hasher: Hasher, jobs: &flume::Receiver<Job>, idle: Duration) {
    while let Some(job) = next(&mut hasher, jobs, idle) {
        // The hasher may be used again after a panic: its memory is scratch space, and is given back here in case the
        // panic came from there. The caller learns of it by its reply channel, which the unwinding dropped.
        if catch_unwind(AssertUnwindSafe(|| job(&mut hasher))).is_err() {
            hasher.release();
            tracing::error!("a password job panicked; its worker goes on");
        }
    }
}

/// The next job; none when the pool is gone. After some time without one the hasher's memory is given back.
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

/// Puts the calling thread behind the I/O threads, where the system allows it for one thread alone.
///
/// `SCHED_IDLE` (sched(7)): a thread that wakes up takes the core from such a one at once. With `nice` alone it waits
/// for the end of a slice: the p99 of introspection in a storm of logins was 1.9 ms, and is 0.7 ms so (`make bench`,
/// medians of three runs in turn). The price: a flood of introspections that leaves no core idle starves logins.
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
            tracing::warn!(%error, "a hashing thread keeps the priority of the I/O threads");
        }
    }
}
