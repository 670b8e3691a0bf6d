//! The `bascule` command.

use std::process::ExitCode;

/// A request makes and frees some fifty small pieces of memory, on a few threads. This allocator takes
/// about a third of the instructions for that which the system's takes, and gives back what a burst of
/// connections took (`docs/performance.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bascule::cli::main()
}
