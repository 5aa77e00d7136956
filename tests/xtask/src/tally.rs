//! Counting tests. In: the lines that `cargo test` prints. Out: how many passed, failed, were
//! ignored, in how many suites, and what those that failed said.

/// Lines kept of what failed tests said: room for several assertions, not for a flood.
const COMPLAINT_LINES_MAX: usize = 200;

#[derive(Debug, Default, PartialEq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
    /// Test binaries and crates with documentation tests that had at least one test.
    pub suites: u64,
    pub failed_names: Vec<String>,
    /// Output of failed tests, in the order they were reported.
    pub complaints: Vec<String>,
    in_complaint: bool,
}

impl Tally {
    /// Takes one line of output; lines that say nothing of a result are passed over.
    pub fn read(&mut self, line: &str) {
        // A suite shows what its failed tests printed, then lists them under a line of its own.
        self.in_complaint = match line {
            "failures:" => false,
            line => self.in_complaint || line.starts_with("---- "),
        };
        if self.in_complaint && self.complaints.len() < COMPLAINT_LINES_MAX {
            self.complaints.push(line.to_owned());
        }
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.add(counts);
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failed_names.push(name.to_owned());
        }
    }

    /// Adds `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`.
    fn add(&mut self, counts: &str) {
        let count = |word: &str| {
            counts
                .split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(word)?.trim_end().parse::<u64>().ok())
                .unwrap_or(0)
        };
        let (passed, failed, ignored) = (count("passed"), count("failed"), count("ignored"));
        self.passed += passed;
        self.failed += failed;
        self.ignored += ignored;
        self.suites += u64::from(passed + failed + ignored > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_suites_are_added_and_empty_suites_do_not_count() {
        let output = "\
running 3 tests
test flow::tests::a ... ok
test flow::tests::b ... FAILED
test flow::tests::c ... ignored

failures:

---- flow::tests::b stdout ----
assertion failed: wins

failures:
    flow::tests::b

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 1.25s
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        assert_eq!(
            tally,
            Tally {
                passed: 13,
                failed: 1,
                ignored: 1,
                suites: 2,
                failed_names: vec!["flow::tests::b".into()],
                complaints: vec![
                    "---- flow::tests::b stdout ----".into(),
                    "assertion failed: wins".into(),
                    String::new(),
                ],
                in_complaint: false,
            }
        );
    }
}
