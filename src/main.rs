//! The `sentinel` binary; see [`sentinel::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    sentinel::cli::main()
}
