//! The `bascule` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    bascule::cli::main()
}
