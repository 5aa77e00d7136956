//! A rule on an author's desk: a module in text, its file, its cases.

use std::fs;
use std::path::PathBuf;

use kakehi_host::Host;

use super::test::{RuleReport, Wanted, run};
use super::{Notebook, Setting};
use crate::manifest::generation::alone::{Book, Ready};

/// Reads `dn`, writes `displayName` (rules.md 11).
const MODULE: &str = include_str!("../../tests/manifest/display_name.wat");

/// The same, but once it has seen an object with two values it forbids every value.
pub fn remembering() -> String {
    let store = "    (i32.store (i32.const 300)";
    let remember = "    (i32.store (i32.const 296) (global.get $seen))\n    \
         (if (i32.eq (i32.load offset=12 (local.get 2)) (i32.const 2))\n      \
         (then (global.set $seen (i32.const 2))))\n";
    let wat =
        MODULE.replacen("(global $top", "(global $seen (mut i32) (i32.const 0)) (global $top", 1);
    wat.replacen(store, &format!("{remember}{store}"), 1)
}

/// The same, but it logs the name of what it writes.
pub fn saying() -> String {
    let import = "(module\n  (import \"kakehi:rules/host@0.1.0\" \"log\" \
         (func $log (param i32 i32 i32)))\n";
    let store = "    (i32.store (i32.const 300)";
    let said = "    (call $log (i32.const 1) (i32.const 32) (i32.const 11))\n";
    let wat = MODULE.replacen("(module\n", import, 1);
    wat.replacen(store, &format!("{said}{store}"), 1)
}

pub struct Desk {
    pub folder: tempfile::TempDir,
    pub notebook: Notebook,
    host: Host,
}

// === impl Desk ===

impl Desk {
    /// Takes the value of `tests`, and a file of cases.
    pub fn new(tests: &str, cases: &str) -> Self {
        Self::with_module(MODULE, tests, cases)
    }

    pub fn with_module(wat: &str, tests: &str, cases: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let rule = format!(
            "rules:\n  - {{name: names, precedence: 1, connector: a, direction: inbound,\n     \
             from: user, to: person, link: join, module: {{path: rule.wat}}, tests: {tests}}}\n"
        );
        for (name, text) in [("rule.wat", wat), ("rule.yml", &rule), ("cases.yml", cases)] {
            fs::write(folder.path().join(name), text).expect("the folder takes files");
        }
        let notebook = Notebook::default();
        let host = Setting::alone().host(Some(&notebook)).expect("there is an engine");
        Self { folder, notebook, host }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn cases(&self) -> String {
        fs::read_to_string(self.path("cases.yml")).expect("it was written")
    }

    pub fn open(&self) -> (Book, Ready) {
        let (mut book, findings) = Book::alone(&self.path("rule.yml"))
            .unwrap_or_else(|findings| panic!("{}", findings[0]));
        assert_eq!(findings, []);
        let setting = Setting::alone();
        let (ready, findings) = book.load(0, &self.host, &setting.admission, setting.metered());
        assert_eq!(findings, []);
        (book, ready.expect("nothing was found"))
    }

    pub fn report(&self) -> RuleReport {
        let (book, ready) = self.open();
        run(&book.sheets[0], &ready, Wanted(None), &self.notebook)
    }

    /// Every difference of every case, broken so that it fits on a page.
    pub fn differences(&self) -> String {
        let told = self.report().cases.into_iter().flat_map(|case| {
            let name = case.case.name;
            let line = move |difference| {
                let told = format!("{name}: {difference}\n");
                told.replace(", got ", ",\n  got ").replace("; did", ";\n  did")
            };
            case.result.differences.into_iter().map(line).collect::<Vec<_>>()
        });
        told.collect()
    }
}
