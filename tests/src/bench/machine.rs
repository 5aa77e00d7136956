//! The machine a figure was made on. In: the kernel's files and a folder on the disk that counts.
//! Out: facts to stand beside every table (performance.md 9, rule 3).

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{BenchError, Result, slapd};

/// Enough writes for a steady middle, few enough for a slow disk.
const SYNCS: usize = 200;

const BLOCK_BYTES: usize = 4 * 1024;

#[derive(Debug, Serialize)]
pub struct Machine {
    pub cores: usize,
    pub processor: String,
    pub kernel: String,
    pub load_average: String,
    /// Median of appending 4 KiB and making it durable.
    pub fdatasync_us: u64,
    pub slapd: String,
    /// Whether this command, and so most likely the product beside it, was built for speed.
    pub optimised: bool,
}

/// Looks at the machine; `folder` is on the disk that the product will use.
pub fn look(folder: &Path) -> Result<Machine> {
    let processor = first_after("/proc/cpuinfo", "model name\t: ");
    let version = slapd::slapd("slapd").arg("-VV").output();
    let version = version.map_err(|error| BenchError::io("start slapd", error))?;
    let version = String::from_utf8_lossy(&version.stderr).into_owned();
    Ok(Machine {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        processor,
        kernel: read("/proc/sys/kernel/osrelease"),
        load_average: read("/proc/loadavg"),
        fdatasync_us: fdatasync(folder)
            .map_err(|error| BenchError::io("write a file", error))?
            .as_micros() as u64,
        slapd: version
            .split_whitespace()
            .skip_while(|word| *word != "slapd")
            .nth(1)
            .map_or_else(|| "unknown".to_owned(), str::to_owned),
        optimised: !cfg!(debug_assertions),
    })
}

fn fdatasync(folder: &Path) -> std::io::Result<Duration> {
    let path = folder.join("fdatasync");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[0; BLOCK_BYTES])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn first_after(path: &str, prefix: &str) -> String {
    let text = read(path);
    text.lines().find_map(|line| line.strip_prefix(prefix)).unwrap_or("unknown").to_owned()
}
