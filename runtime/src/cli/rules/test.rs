//! `kakehi rules test`.

use std::io::Write;
use std::path::Path;

use kakehi_host::Host;
use serde_json::{Value as Json, json};

use super::{FAILED, Meant, heed, no_host};
use crate::authoring::bless::{Blessing, bless};
use crate::authoring::object::{Seen, see};
use crate::authoring::select::{Selection, no_rule};
use crate::authoring::test::{RuleReport, Wanted, run, shuffle};
use crate::authoring::{Notebook, Refusal, Trouble, words};
use crate::cli::{Error, Outcome};
use crate::manifest::generation::alone::{Book, Ready};
use crate::service::clock::SystemClock;
use crate::service::failure::{Failure, Kind};
use crate::service::{Clock as _, world};

#[derive(clap::Args)]
pub struct Test {
    /// A rule of the installation, a file of rules or its folder; otherwise all rules
    #[arg(value_name = "RULE|FILE|DIR")]
    rules: Option<String>,
    /// Only this case: its number, counted from 1, or its name
    #[arg(long, value_name = "N|NAME")]
    case: Option<String>,
    /// Show the rule a real object instead: a DN, an anchor, a login name, a mail address
    #[arg(long, value_name = "KEY", conflicts_with_all = ["case", "shuffle", "bless"])]
    object: Option<String>,
    /// Also ask the cases in many orders, to find what the rule keeps between objects
    #[arg(long, value_name = "SEED")]
    shuffle: Option<u64>,
    /// Rewrite files of test cases with what the rule answers now
    #[arg(long)]
    bless: bool,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Test {
    pub fn execute(self, config: &Path) -> Outcome {
        if let Some(key) = &self.object {
            return self.on_object(key, config);
        }
        let meant = Meant::new(self.rules.as_deref(), config)?;
        let opened = meant.selection.open(&meant.manifest);
        let (mut book, findings) = opened.map_err(Failure::of_findings)?;
        heed(findings)?;
        let picked = meant.selection.pick(&book).map_err(Trouble::from)?;
        let wanted = Wanted(self.case.as_deref());
        let sheets: Vec<_> = picked.iter().map(|index| &book.sheets[*index]).collect();
        if let Some(refusal) = wanted.missing(&sheets) {
            return Err(Trouble::from(refusal).into());
        }
        let notebook = Notebook::default();
        let host = meant.setting.host(Some(&notebook)).map_err(|error| no_host(&error))?;
        let (mut reports, mut findings) = (vec![], vec![]);
        for index in picked {
            let (ready, found) = load(&mut book, index, &host, &meant);
            findings.extend(found);
            let Some(ready) = ready else { continue };
            let sheet = &book.sheets[index];
            let mut report = run(sheet, &ready, wanted, &notebook);
            if let Some(seed) = self.shuffle {
                shuffle(&mut report, sheet, &ready, seed);
            }
            if wanted.0.is_none() || !report.cases.is_empty() {
                reports.push(report);
            }
        }
        heed(findings)?;
        let blessing = match self.bless {
            true => Some(bless(&reports).map_err(Trouble::from)?),
            false => None,
        };
        let mut out = anstream::stdout().lock();
        self.print(&reports, blessing.as_ref(), &mut out).map_err(Error::Output)?;
        let failed = match &blessing {
            Some(blessing) => {
                !blessing.left.is_empty() || reports.iter().any(|rule| !rule.remembered.is_empty())
            }
            None => reports.iter().any(|report| !report.passed()),
        };
        Ok(if failed { FAILED } else { 0 })
    }

    fn print(
        &self,
        reports: &[RuleReport],
        blessing: Option<&Blessing>,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let cases: usize = reports.iter().map(|report| report.cases.len()).sum();
        let failed: usize = reports.iter().map(RuleReport::failed).sum();
        if self.json {
            let body = json!({
                "rules": reports.iter().map(RuleReport::to_json).collect::<Vec<_>>(),
                "cases": cases,
                "failed": failed,
                "blessed": blessing.map(|blessing| &blessing.files),
                "left": blessing.map(|blessing| &blessing.left),
            });
            return writeln!(out, "{body:#}");
        }
        // Of a whole installation, those that have something to tell.
        let told = |report: &&RuleReport| {
            self.rules.is_some() || !report.cases.is_empty() || !report.passed()
        };
        for report in reports.iter().filter(told) {
            report.print(out)?;
        }
        let all = words::counted(cases, "case");
        writeln!(out, "{all}: {} ok, {failed} failed", cases - failed)?;
        let Some(Blessing { files, left }) = blessing else { return Ok(()) };
        for (path, names) in files {
            writeln!(out, "rewritten in {}: {}", path.display(), names.join(", "))?;
        }
        for (name, why) in left {
            writeln!(out, "not rewritten: {name}: {why}")?;
        }
        Ok(())
    }

    fn on_object(&self, key: &str, config: &Path) -> Outcome {
        let meant = Meant::new(self.rules.as_deref(), config)?;
        let Selection::Rule(name) = &meant.selection else {
            return Err(Trouble::from(Refusal {
                usage: true,
                code: "K0926",
                message: "`--object` needs one rule of the installation".into(),
                hint: "`kakehi rules test RULE --object KEY`".into(),
            })
            .into());
        };
        let world = world::load(config)?;
        let rules = &world.generation.rules;
        if !rules.rules.iter().any(|rule| rule.name == *name) {
            let known = rules.rules.iter().map(|rule| rule.name.as_str());
            return Err(Trouble::from(no_rule(name, known)).into());
        }
        let store = world.read_only()?;
        let found = store.explain(key)?;
        if found.is_empty() {
            let message = format!("nothing is known of `{key}`");
            let hint = "name it by DN, anchor, id at the target, login name or mail address";
            return Err(Failure::new(Kind::Usage, "K0901", message).hint(hint).into());
        }
        let opened = meant.selection.open(&meant.manifest);
        let (mut book, _) = opened.map_err(Failure::of_findings)?;
        let notebook = Notebook::default();
        let host = meant.setting.host(Some(&notebook)).map_err(|error| no_host(&error))?;
        let mut seen = vec![];
        for index in meant.selection.pick(&book).map_err(Trouble::from)? {
            let (ready, findings) = load(&mut book, index, &host, &meant);
            heed(findings)?;
            if let Some(ready) = ready {
                let now = SystemClock.now();
                seen.extend(see(&*store, &found, rules, &ready, now, &notebook)?);
            }
        }
        let mut out = anstream::stdout().lock();
        match self.json {
            true => {
                let all: Json = seen.iter().map(Seen::to_json).collect();
                writeln!(out, "{all:#}")
            }
            false if seen.is_empty() => writeln!(out, "# `{name}` is for other objects"),
            false => seen.iter().try_for_each(|seen| seen.print(name, &mut out)),
        }
        .map_err(Error::Output)?;
        Ok(0)
    }
}

/// On the engine that counts fuel.
fn load(
    book: &mut Book,
    index: usize,
    host: &Host,
    meant: &Meant,
) -> (Option<Ready>, Vec<crate::config::finding::Finding>) {
    book.load(index, host, &meant.setting.admission, meant.setting.metered())
}
