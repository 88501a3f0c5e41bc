//! Metrics of the process, named as in Prometheus' own client libraries. Those that are read from
//! `/proc` exist on Linux only.

use super::text::Text;

pub(super) fn write(text: &mut Text, started: u64) {
    let name = "process_start_time_seconds";
    text.family(name, "gauge", "When the process started, since the Unix epoch.");
    text.sample(name, &[], started);
    let mut gauge = |name: &str, help: &str, value: Option<u64>| {
        if let Some(value) = value {
            text.family(name, "gauge", help);
            text.sample(name, &[], value);
        }
    };
    let page = rustix::param::page_size() as u64;
    let memory = |field| Some(field_of("/proc/self/statm", field)? * page);
    gauge("process_resident_memory_bytes", "Memory that is in use.", memory(1));
    gauge("process_virtual_memory_bytes", "Memory that is mapped.", memory(0));
    gauge("process_open_fds", "Files and sockets that are open.", open_files());
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    gauge("process_max_fds", "How many may be.", limit);
    if let Some(seconds) = processor_time() {
        let name = "process_cpu_seconds_total";
        text.family(name, "counter", "Processor time, of the user and the system.");
        text.sample(name, &[], seconds);
    }
}

fn field_of(path: &str, field: usize) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.split_whitespace().nth(field)?.parse().ok()
}

fn open_files() -> Option<u64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // Reading the directory opens one descriptor.
    u64::try_from(open.saturating_sub(1)).ok()
}

/// Returns the CPU time in seconds, from fields 14 and 15 of proc_pid_stat(5). The second field may
/// contain spaces within its parentheses.
fn processor_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let ticks = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    Some((f64::from(user) + f64::from(system)) / f64::from(ticks))
}
