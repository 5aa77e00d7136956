//! The `kakehi` program.

/// A cycle makes and drops a great many small values, batch after batch. glibc's allocator spends a
/// fifth of the CPU time of a first synchronization on that, this one a fraction of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    kakehi::cli::main()
}
