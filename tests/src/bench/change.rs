//! `bench change`: what one change costs beside evaluating everything. In: how many users, how
//! large one group. Out: a table of the product's own stages and counters, ratios within the run;
//! an error if a count was wrong.
//!
//! The same is done with a tenth of the users, since a change must not cost more where more people
//! are who did not change.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::generate::{self, BIG_GROUP_DN, SUFFIX, Shape};
use super::product::Product;
use super::sink::Sink;
use super::slapd::Slapd;
use super::{BenchError, Result, end_to_end};

/// What `bench change` is to do.
#[derive(Debug, PartialEq)]
pub struct Wanted {
    pub users: usize,
    pub big_group: usize,
    /// The product's binary; `None`: the one built beside this command.
    pub kakehi: Option<PathBuf>,
}

/// Any seed would do; the same one makes runs comparable.
const SEED: u64 = 42;

/// The smaller directory has a tenth.
const SMALLER: usize = 10;

/// Aims of provisioning.md 16, as shown: they decide nothing.
const CHANGE_MS_MAX: f64 = 20.0;
const PRECEDENCE_PART_MAX: f64 = 0.05;

const EVERYTHING: &str = "everything";

/// Attributes that two rules give, and the first of them wins.
const COMMON: [&str; 14] = [
    "cn",
    "sn",
    "givenName",
    "displayName",
    "mail",
    "telephoneNumber",
    "mobile",
    "street",
    "l",
    "postalCode",
    "physicalDeliveryOfficeName",
    "preferredLanguage",
    "departmentNumber",
    "employeeType",
];

/// The rules; each variant differs in one aspect from the plain ones.
#[derive(Clone, Copy, Default)]
struct Variant {
    /// The two rules that give the same attributes change places.
    swapped: bool,
    /// The rule of one attribute computes it in another way, with the same result.
    retitled: bool,
}

// === impl Variant ===

impl Variant {
    fn manifest(self) -> String {
        let (first, second) = if self.swapped { (120, 110) } else { (110, 120) };
        let title = if self.retitled { "Trim([title] & \"\")" } else { "Trim([title])" };
        let common: String = COMMON
            .iter()
            .map(|name| format!("        - {{to: {name}, expr: 'Trim([{name}])'}}\n"))
            .collect();
        let inbound = |name: &str, precedence: u32, link: &str, flows: &str| {
            format!(
                "  - name: In from directory - {name}\n    precedence: {precedence}\n    \
                 connector: directory\n    direction: inbound\n    from: inetOrgPerson\n    \
                 to: person\n    link: {link}\n    module: builtin:declarative\n    \
                 config:\n      flows:\n{flows}"
            )
        };
        let join = "        - {to: uid, from: uid}\n        \
                    - {to: anchor, expr: 'ConvertToBase64([entryUUID])'}\n        \
                    - {to: employeeNumber, from: employeeNumber}\n";
        let join = inbound("User Join", 100, "provision", join).replacen(
            "    module:",
            "    join: [[{cs: employeeNumber, mv: employeeNumber}]]\n    module:",
            1,
        );
        let rules = [
            join,
            inbound("User Common", first, "join", &common),
            inbound("User Fallback", second, "join", &common),
            inbound("Title", 130, "join", &format!("        - {{to: title, expr: '{title}'}}\n")),
            inbound("Manager", 140, "join", "        - {to: manager, from: manager}\n"),
        ];
        format!("{HEAD}{}{TAIL}", rules.concat())
    }
}

const HEAD: &str = "version: 1
connectors:
  - {name: directory, kind: ldap, order: 1}
  - {name: sink, kind: scim, order: 2}
rules:
";

const TAIL: &str = r#"  - name: In from directory - Group Join
    precedence: 200
    connector: directory
    direction: inbound
    from: groupOfNames
    to: group
    link: provision
    module: builtin:declarative
    config:
      flows:
        - {to: anchor, expr: 'ConvertToBase64([entryUUID])'}
        - {to: displayName, expr: 'DNComponent(CRef([dn]), 1)'}
        - {to: member, from: member}
  - name: Out to sink - User
    precedence: 100
    connector: sink
    direction: outbound
    from: person
    to: User
    link: provision
    scope: [[{attr: anchor, op: ISNOTNULL}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: anchor}
        - {to: userName, from: uid}
        - {to: title, from: title}
  - name: Out to sink - User Common
    precedence: 110
    connector: sink
    direction: outbound
    from: person
    to: User
    link: join
    module: builtin:declarative
    config:
      flows:
        - {to: displayName, from: displayName}
        - {to: name.familyName, from: sn}
        - {to: name.givenName, from: givenName}
        - {to: 'emails[type eq "work"].value', from: mail}
        - {to: preferredLanguage, from: preferredLanguage}
        - {to: 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department',
           from: departmentNumber}
        - {to: 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager',
           from: manager}
  - name: Out to sink - Group
    precedence: 120
    connector: sink
    direction: outbound
    from: group
    to: Group
    link: provision
    scope: [[{attr: anchor, op: ISNOTNULL}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: anchor}
        - {to: displayName, from: displayName}
        - {to: members, from: member}
"#;

/// What one step cost, in the product's own words.
struct Step {
    name: &'static str,
    answer: Value,
    wall_ms: f64,
    /// Bytes of all requests.
    sent_bytes: u64,
    creates: u64,
    writes: u64,
}

// === impl Step ===

impl Step {
    fn stage(&self, stage: &str, figure: &str) -> f64 {
        self.answer["stages"][stage][figure].as_f64().unwrap_or(0.0)
    }

    /// From what was staged to the staged export.
    fn synchronize(&self, figure: &str) -> f64 {
        self.stage("synchronize", figure)
    }

    fn counter(&self, name: &str) -> u64 {
        self.answer[name].as_u64().unwrap_or(0)
    }

    fn calls(&self) -> u64 {
        let calls = self.answer["rule_calls"].as_object();
        calls.into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
    }
}

/// Runs both sizes and prints the table.
pub fn run(wanted: &Wanted) -> Result<()> {
    let binary = Product::binary(wanted.kakehi.as_deref())?;
    let folder = tempfile::Builder::new()
        .prefix("change-")
        .tempdir_in(end_to_end::results_folder()?)
        .map_err(|error| BenchError::io("make a folder", error))?;
    let small = Wanted {
        users: wanted.users / SMALLER,
        big_group: wanted.big_group / SMALLER,
        kakehi: None,
    };
    let mut wrong = vec![];
    let few = steps(&binary, &folder.path().join("small"), &small, &mut wrong)?;
    let many = steps(&binary, &folder.path().join("large"), wanted, &mut wrong)?;
    table(small.users, &few);
    table(wanted.users, &many);
    ratios(&few, &many);
    if wrong.is_empty() { Ok(()) } else { Err(BenchError::Counts(wrong)) }
}

fn steps(
    binary: &Path,
    folder: &Path,
    wanted: &Wanted,
    wrong: &mut Vec<String>,
) -> Result<Vec<Step>> {
    std::fs::create_dir_all(folder).map_err(|error| BenchError::io("make a folder", error))?;
    let shape = Shape { users: wanted.users, groups: 0, big_group: wanted.big_group, seed: SEED };
    let (source, _) = end_to_end::source(folder, shape)?;
    let sink = Sink::start()?;
    let rules = Variant::default().manifest();
    let product =
        Product::install_with(binary, &folder.join("product"), (&source, SUFFIX), &sink, &rules)?;
    let users = wanted.users as u64;
    let mut steps = vec![];
    let mut step = |name, expected: (u64, u64, u64)| -> Result<()> {
        let step = measured(name, &product, &sink)?;
        let found = (step.creates, step.writes - step.creates, step.calls());
        // How many managers are created after their people, the order of anchors decides.
        let found = if name == EVERYTHING { (found.0, 0, found.2) } else { found };
        if found != expected {
            wrong.push(format!(
                "{name}: (creates, other writes, module calls) {found:?} and not {expected:?}"
            ));
        }
        steps.push(step);
        Ok(())
    };
    // Five inbound rules and two outbound ones of a person; one of each of the group.
    step(EVERYTHING, (users + 1, 0, users * 7 + 2))?;
    changes(&source, wanted, &mut step)?;
    product.with_rules(&Variant { retitled: true, ..Variant::default() }.manifest())?;
    step("changed rule", (0, 0, users))?;
    product.with_rules(&Variant { retitled: true, swapped: true }.manifest())?;
    step("changed precedence", (0, 0, 0))?;
    Ok(steps)
}

fn changes(
    source: &Slapd,
    wanted: &Wanted,
    step: &mut impl FnMut(&'static str, (u64, u64, u64)) -> Result<()>,
) -> Result<()> {
    let person = generate::user_dn(wanted.users / 2);
    source.replace(&person, "title", "bench")?;
    step("one attribute", (0, 1, 2))?;
    source.add(BIG_GROUP_DN, "member", &generate::user_dn(wanted.users - 1))?;
    step("one member", (0, 1, 2))
}

fn measured(name: &'static str, product: &Product, sink: &Sink) -> Result<Step> {
    eprintln!("{name}");
    let before = sink.stats()?;
    let run = product.once(false)?;
    let seen = sink.stats()?.since(&before);
    Ok(Step {
        name,
        wall_ms: run.finished.cost.wall_ms,
        answer: run.answer,
        sent_bytes: seen.body_bytes,
        creates: seen.creates,
        writes: seen.writes(),
    })
}

fn table(users: usize, steps: &[Step]) {
    println!("\n{users} users");
    println!(
        "{:<20} {:>9} {:>9} {:>9} {:>8} {:>9} {:>9} {:>8} {:>8} {:>10}",
        "step",
        "import ms",
        "sync ms",
        "sync cpu",
        "total ms",
        "evaluated",
        "resolved",
        "calls",
        "writes",
        "sent bytes"
    );
    for step in steps {
        println!(
            "{:<20} {:>9.0} {:>9.0} {:>9.0} {:>8.0} {:>9} {:>9} {:>8} {:>8} {:>10}",
            step.name,
            step.stage("import", "wall_ms"),
            step.synchronize("wall_ms"),
            step.synchronize("cpu_ms"),
            step.wall_ms,
            step.counter("evaluated"),
            step.counter("resolved"),
            step.calls(),
            step.writes,
            step.sent_bytes,
        );
    }
}

fn ratios(few: &[Step], many: &[Step]) {
    let of = |steps: &[Step], name: &str, figure: &str| {
        steps.iter().find(|step| step.name == name).map_or(0.0, |step| step.synchronize(figure))
    };
    let full = of(many, EVERYTHING, "cpu_ms").max(1.0);
    println!();
    for name in ["changed rule", "changed precedence"] {
        let part = of(many, name, "cpu_ms") / full;
        println!("{name}: {:.1} % of the processor time of everything", part * 100.0);
    }
    println!("(aim for a changed precedence: {} %)", PRECEDENCE_PART_MAX * 100.0);
    for name in ["one attribute", "one member"] {
        let (here, there) = (of(many, name, "wall_ms"), of(few, name, "wall_ms"));
        println!(
            "{name}: {here:.0} ms to the staged export (aim {CHANGE_MS_MAX} ms), {there:.0} ms \
             with a tenth of the users"
        );
    }
}
