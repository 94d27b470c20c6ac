//! The `dbqo` binary: reads the command line and does what it says.

use std::process::ExitCode;

use clap::Parser;

// glibc keeps the memory of a large read for good; jemalloc gives it back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match dbqo::cli::Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dbqo: {error}");
            ExitCode::FAILURE
        }
    }
}
