//! The entry point: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;

/// DuckDB allocates through it too: a project of many small models spends a fifth of its time there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // clap itself ends with 0 after help and with 2 after a command line that it cannot follow.
    kiln::commands::execute(&kiln::cli::Cli::parse())
}
