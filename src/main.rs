//! The `sentinel` binary; see [`sentinel::cli`].

use std::process::ExitCode;

/// Allocator of the process. An introspection makes some dozens of allocations; mimalloc shortens
/// it by a tenth.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sentinel::cli::main()
}
