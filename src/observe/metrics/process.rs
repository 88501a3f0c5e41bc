//! Metrics of the process, named as in Prometheus' own client libraries. Those that are read from
//! `/proc` exist on Linux only.
//!
//! The `process` feature of the prometheus crate is not used: it needs `/proc/stat` for the start
//! time, which the systemd unit hides, and counts processor time in whole seconds.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Registry};
use rustix::process::Resource;
use rustix::time::ClockId;

use super::registry::{pull, register};

pub(super) fn register_all(registry: &Registry) {
    let gauge = |name, help, read: fn() -> Option<u64>| {
        if read().is_some() {
            pull(registry, name, help, Box::new(move || read().map_or(f64::NAN, |now| now as f64)));
        }
    };
    gauge("process_resident_memory_bytes", "Resident memory.", || memory(1));
    gauge("process_virtual_memory_bytes", "Virtual memory.", || memory(0));
    gauge("process_open_fds", "Open files and sockets.", open_files);
    gauge("process_max_fds", "Maximum number of open files and sockets.", || {
        rustix::process::getrlimit(Resource::Nofile).current
    });
    let help = "Processor time, user and system.";
    register(registry, Counter::new("process_cpu_seconds_total", help).map(ProcessorTime));
}

/// Returns a memory size of the process in bytes: the field of proc_pid_statm(5) with this index.
fn memory(field: usize) -> Option<u64> {
    let fields = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = fields.split_whitespace().nth(field)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn open_files() -> Option<u64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // Reading the directory opens one descriptor.
    u64::try_from(open.saturating_sub(1)).ok()
}

/// Counter that is set to the processor time of the process at each scrape.
#[derive(Clone)]
struct ProcessorTime(Counter);

impl Collector for ProcessorTime {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let time = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
        let now = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
        self.0.inc_by((now - self.0.get()).max(0.0));
        self.0.collect()
    }
}
