//! The benchmark command: in a command line, out a table, a file of figures and an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    kakehi_tests::bench::main(std::env::args().skip(1))
}
