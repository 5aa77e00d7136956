//! What a program costs. In: a command. Out: its seconds, its processor time and its peak memory,
//! read from the kernel's own figures of that process.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{BenchError, Result};

/// How often the end of a program is looked for: small beside what is measured, cheap beside it
/// too.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Memory is sampled every so many looks: ten times a second and more (PF-07).
const LOOKS_PER_SAMPLE: u64 = 20;

/// Length of a tick in `/proc/PID/stat`: Linux tells programs 100 ticks a second, whatever it uses.
const TICK: Duration = Duration::from_millis(10);

/// What one run of a program cost.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cost {
    pub wall_ms: f64,
    /// User and system time; the kernel tells it in steps of 10 ms.
    pub cpu_ms: f64,
    /// Largest anonymous memory that was seen.
    pub anonymous_bytes_max: u64,
}

/// A finished program.
pub struct Finished {
    pub cost: Cost,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Errors: the program did not end well.
    pub fn expect_success(self, program: &str) -> Result<Finished> {
        if self.status.success() {
            return Ok(self);
        }
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        Err(BenchError::Ended {
            program: program.to_owned(),
            status: self.status.to_string(),
            said: said.trim().to_owned(),
        })
    }
}

/// Runs a command to its end, with its outputs in files, so that nobody has to read them meanwhile.
pub fn run(command: &mut Command) -> Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    let broken = |error| BenchError::io(format!("run `{program}`"), error);
    let stdout = tempfile::NamedTempFile::new().map_err(broken)?;
    let stderr = tempfile::NamedTempFile::new().map_err(broken)?;
    command.stdin(Stdio::null());
    command.stdout(stdout.reopen().map_err(broken)?);
    command.stderr(stderr.reopen().map_err(broken)?);
    let began = Instant::now();
    let mut child = command.spawn().map_err(broken)?;
    let cost = watch(&child, began);
    let status = child.wait().map_err(broken)?;
    Ok(Finished {
        cost,
        status,
        stdout: fs::read_to_string(stdout.path()).map_err(broken)?,
        stderr: fs::read_to_string(stderr.path()).map_err(broken)?,
    })
}

/// Processor time of a running process until now.
pub fn cpu_ms(process: u32) -> f64 {
    stat(process).map_or(0.0, |stat| stat.cpu_ms)
}

/// Waits for the end of a child without taking its last figures away: a process that ended keeps
/// them until its parent asks for its exit code.
fn watch(child: &Child, began: Instant) -> Cost {
    let mut cost = Cost::default();
    for look in 0.. {
        let Some(stat) = stat(child.id()) else { break };
        cost.cpu_ms = stat.cpu_ms;
        if stat.ended {
            break;
        }
        if look % LOOKS_PER_SAMPLE == 0 {
            let now = anonymous_bytes(child.id());
            cost.anonymous_bytes_max = cost.anonymous_bytes_max.max(now);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    cost.wall_ms = began.elapsed().as_secs_f64() * 1000.0;
    cost
}

struct Stat {
    ended: bool,
    cpu_ms: f64,
}

fn stat(process: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// The line of `/proc/PID/stat` (proc_pid_stat(5)). The name in brackets may hold anything, so the
/// fields are counted from behind it: state is the first, utime and stime the 12th and 13th.
fn parse_stat(line: &str) -> Option<Stat> {
    let (_, fields) = line.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u32>().ok();
    let spent = TICK * ticks(11)? + TICK * ticks(12)?;
    Some(Stat { ended: fields.first() == Some(&"Z"), cpu_ms: spent.as_secs_f64() * 1000.0 })
}

/// `RssAnon` and not `VmHWM`, which counts mapped files (PF-07).
pub fn anonymous_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let line = "42 (a) b) Z 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0";
        let stat = parse_stat(line).unwrap();
        assert!(stat.ended);
        assert_eq!(stat.cpu_ms, 2_000.0);
    }

    #[test]
    fn outputs_and_the_end_of_a_program_are_seen() {
        let finished = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 1"]));
        let finished = finished.unwrap();
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
        let error = finished.expect_success("sh").err().unwrap().to_string();
        assert_eq!(error, "`sh` ended with exit status: 1: err");
    }
}
