//! The entry point: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // clap itself ends with 0 after help and with 2 after a command line that it cannot follow.
    kiln::commands::execute(&kiln::cli::Cli::parse())
}
