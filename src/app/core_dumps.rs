//! Keeps the memory of the process, which contains passwords and tokens, out of core dumps.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Disables core dumps of this process. Nor can another process of the same user read its memory or
/// trace it from then on (ptrace(2)).
pub fn disable_core_dumps() {
    // Giving up a permission and lowering a limit needs no privilege. If a sandbox forbids one of
    // them, the other one still has effect. Programs that take the dumps, such as systemd-coredump,
    // ignore the limit.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
