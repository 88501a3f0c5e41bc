//! The `sentinel` binary; see [`sentinel::cli`].

use std::process::ExitCode;

/// An introspection allocates some dozens of times; this takes a tenth of its time away.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sentinel::cli::main()
}
