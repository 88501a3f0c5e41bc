//! Which processor core does what: the last one makes the load, the first one serves.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that this process was given.
fn available() -> Result<(usize, usize)> {
    // Read from the process's first thread, whose own set may have been narrowed: so from the start.
    static FOUND: std::sync::OnceLock<Option<(usize, usize)>> = std::sync::OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let set = sched_getaffinity(None).ok()?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core));
        let first = cores.next()?;
        Some((first, cores.next_back()?))
    });
    found.context("the measurements need two processor cores")
}

fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Puts this thread, and what it starts from now on, where the load is made.
pub fn to_load() -> Result<()> {
    pin(available()?.1)
}

/// Puts this thread, and what it starts from now on, where the servers run.
pub fn to_server() -> Result<()> {
    pin(available()?.0)
}

/// Runs `start` so that the processes and threads that it starts run where the servers do.
pub fn on_server<T>(start: impl FnOnce() -> Result<T>) -> Result<T> {
    to_server()?;
    let result = start();
    to_load()?;
    result
}
