//! Processor cores: the servers run on the first one, the load on the last one.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Returns the first and the last core that this process may use.
fn available() -> Result<(usize, usize)> {
    // Read once: later, the affinity of the calling thread may be narrowed to one core.
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

/// Pins this thread, and the processes and threads that it starts later, to the load's core.
pub fn pin_to_load_core() -> Result<()> {
    pin(available()?.1)
}

/// Pins this thread, and the processes and threads that it starts later, to the servers' core.
pub fn pin_to_server_core() -> Result<()> {
    pin(available()?.0)
}

/// Runs `start`, whose processes and threads are pinned to the servers' core.
pub fn start_on_server_core<T>(start: impl FnOnce() -> Result<T>) -> Result<T> {
    pin_to_server_core()?;
    let result = start();
    pin_to_load_core()?;
    result
}
