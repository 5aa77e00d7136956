//! What a rule is: its file and its module flow in; form, hash, pin, imports, contract and limits
//! flow out (rules.md 5.2, steps 1 to 8).

use std::io::{self, Write};

use kakehi_engine::rule::Contract;
use kakehi_host::{Anatomy, Host, Limits};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::{Setting, words};
use crate::config::finding::Finding;
use crate::manifest::ModuleSource;
use crate::manifest::generation::alone::Book;

/// How a module stands to the hash in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinState {
    /// Part of the program.
    Builtin,
    Fits,
    Missing,
    Differs,
}

/// Everything known of one rule; what could not be found out is told by the findings.
#[derive(Debug)]
pub struct Facts {
    pub name: String,
    pub place: String,
    pub enabled: bool,
    pub module: String,
    pub pin: PinState,
    pub bytes: Option<usize>,
    pub sha256: Option<String>,
    pub anatomy: Option<Anatomy>,
    pub contract: Option<Contract>,
    pub limits: Limits,
    pub cases: usize,
}

/// Looks at one rule. Gives what it is, and what is wrong with it.
pub fn facts(
    book: &mut Book,
    index: usize,
    host: &Host,
    setting: &Setting,
) -> (Facts, Vec<Finding>) {
    let bytes = book.bytes(index).ok();
    let (ready, findings) = book.load(index, host, &setting.admission, setting.limits);
    let sheet = &book.sheets[index];
    let (pinned, api) = match sheet.module() {
        ModuleSource::Builtin(_) => (None, None),
        ModuleSource::File { sha256, api, .. } => (sha256.as_deref(), api.as_deref()),
    };
    let sha256 = bytes.as_ref().map(|bytes| -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    });
    let pin = match (sheet.module(), pinned, &sha256) {
        (ModuleSource::Builtin(_), ..) => PinState::Builtin,
        (_, Some(pinned), Some(found)) if pinned.eq_ignore_ascii_case(found) => PinState::Fits,
        (_, Some(_), _) => PinState::Differs,
        (_, None, _) => PinState::Missing,
    };
    let origin = sheet.origin();
    let facts = Facts {
        name: sheet.name().to_owned(),
        place: format!("{}:{}", origin.file.display(), origin.mark.line),
        enabled: sheet.enabled,
        module: sheet.module().to_string(),
        pin,
        bytes: bytes.as_ref().map(|bytes| bytes.len()),
        sha256,
        anatomy: bytes.and_then(|bytes| kakehi_host::anatomy(&bytes, api).ok()),
        contract: ready.map(|ready| ready.rule.contract),
        limits: sheet.limits(setting.limits),
        cases: sheet.cases().len(),
    };
    (facts, findings)
}

// === impl PinState ===

impl PinState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "built in",
            Self::Fits => "pinned",
            Self::Missing => "not pinned",
            Self::Differs => "not what is pinned",
        }
    }
}

// === impl Facts ===

impl Facts {
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let disabled = if self.enabled { "" } else { ", disabled" };
        writeln!(out, "{}  {}{disabled}", self.name, self.place)?;
        let mut module = vec![self.module.clone()];
        module.extend(self.bytes.map(words::size));
        if let Some(anatomy) = &self.anatomy {
            module.push(anatomy.form.to_owned());
            module.push(format!("interface {}", anatomy.interface));
            if anatomy.stubbed {
                module.push("WASI calls end in a powerless stub".to_owned());
            }
        }
        writeln!(out, "{}", words::listed("module", &module))?;
        let sha256 = self.sha256.as_deref().unwrap_or("-");
        writeln!(out, "{}", words::listed("sha256", &[sha256.into(), self.pin.as_str().into()]))?;
        let imports = self.anatomy.as_ref().map_or(&[][..], |anatomy| &anatomy.imports);
        writeln!(out, "{}", words::listed("imports", imports))?;
        if let Some(contract) = &self.contract {
            for (heading, names) in lists(contract) {
                writeln!(out, "{}", words::listed(heading, &names))?;
            }
            let volatile = if contract.volatile { "yes" } else { "no" };
            writeln!(out, "{}", words::listed("volatile", &[volatile.into()]))?;
        }
        writeln!(out, "{}", words::listed("limits", &[words::limits(&self.limits)]))?;
        writeln!(out, "{}", words::listed("test cases", &[self.cases.to_string()]))
    }

    pub fn to_json(&self) -> Json {
        let anatomy = self.anatomy.as_ref();
        let contract = self.contract.as_ref().map(|contract| {
            let mut body: serde_json::Map<String, Json> = lists(contract)
                .into_iter()
                .map(|(name, names)| (name.into(), json!(names)))
                .collect();
            body.insert("volatile".into(), json!(contract.volatile));
            body
        });
        json!({
            "rule": self.name,
            "place": self.place,
            "enabled": self.enabled,
            "module": self.module,
            "pin": self.pin.as_str(),
            "bytes": self.bytes,
            "sha256": self.sha256,
            "form": anatomy.map(|anatomy| anatomy.form),
            "stubbed": anatomy.map(|anatomy| anatomy.stubbed),
            "interface": anatomy.map(|anatomy| anatomy.interface),
            "imports": anatomy.map(|anatomy| &anatomy.imports),
            "contract": contract,
            "limits": limits_json(&self.limits),
            "cases": self.cases,
        })
    }
}

pub fn limits_json(limits: &Limits) -> Json {
    json!({
        "memory_bytes": limits.memory_bytes,
        "time_ms": u64::try_from(limits.time.as_millis()).unwrap_or(u64::MAX),
        "output_bytes": limits.output_bytes,
        "fuel": limits.fuel,
    })
}

fn lists(contract: &Contract) -> [(&'static str, Vec<String>); 4] {
    let names = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>();
    [
        ("reads", names(&mut contract.reads.iter().map(ToString::to_string))),
        ("imported", names(&mut contract.reads_imported.iter().map(ToString::to_string))),
        ("parameters", names(&mut contract.parameters.iter().cloned())),
        ("writes", names(&mut contract.writes.keys().map(ToString::to_string))),
    ]
}
