//! The `kakehi` program.

/// A cycle makes and drops a great many small values, batch after batch. In a profile of a first
/// synchronization glibc's allocator stood at the top, before SQLite and the rules.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    kakehi::cli::main()
}
