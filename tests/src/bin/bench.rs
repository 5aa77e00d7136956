//! The benchmark command: in a command line, out a table, a file of figures and an exit code.

use std::process::ExitCode;

/// The product's allocator, so that what is measured in this process is what the product does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kakehi_tests::bench::main(std::env::args().skip(1))
}
