//! The process after it was hardened; a binary of its own, since there is no way back (7.3).

use std::fs;

use kakehi_password::secret::{self, Hardening, Password};
use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
use zeroize::Zeroizing;

#[test]
fn m7_a_hardened_process_leaves_no_core_file() {
    let Hardening { failures } = secret::harden_process();
    assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    let core = getrlimit(Resource::Core);
    assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
    let about_the_process = |failure: &&String| failure.contains("core files stay");
    assert_eq!(failures.iter().find(about_the_process), None);

    // Passwords go on to be kept, and what is told of their memory is what the process was told.
    let password = Password::new(Zeroizing::new("after".to_owned()));
    assert!(password.expose() == "after");
    let memory = secret::memory();
    assert_eq!(memory.failures, failures);
    assert!(memory.cells_used > 0 && memory.outside_total == 0, "{memory:?}");
    let locked = fs::read_to_string("/proc/self/status").unwrap();
    let locked = locked.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    let kib: usize = locked.trim().trim_end_matches(" kB").parse().unwrap();
    let told = memory.failures.iter().any(|failure| failure.contains("not locked"));
    assert!(kib * 1024 >= memory.cells * secret::CELL_BYTES || told, "{kib} KiB are locked");
}
