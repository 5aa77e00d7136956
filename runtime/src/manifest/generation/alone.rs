//! Rules one by one, for their authors: the files of a manifest, or a file of rules without any
//! installation, flow in; each rule flows out with its module, loaded apart from the others.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kakehi_engine::rule::{Direction, OnDelete, Rule};
use kakehi_engine::scope::Scope;
use kakehi_host::{Host, Limits, LoadError, LoadedModule};

use super::module::{self, Modules};
use super::{Admission, PURPOSE, Surroundings, engine_rule};
use crate::config::finding::{Finding, Findings};
use crate::manifest::cases::Case;
use crate::manifest::files::Files;
use crate::manifest::rule::{ModuleSource, Origin, RuleDraft};
use crate::manifest::{ManifestRule, read};

/// Stands for the connector where a rule is looked at without any.
const NO_CONNECTOR: &str = "alone";

/// Rules by themselves.
pub struct Book {
    files: Files,
    pub sheets: Vec<Sheet>,
}

/// One rule as it stands in its file.
pub struct Sheet {
    rule: ManifestRule,
    /// Whether its parameters are whatever its module asks for: there are no connectors to have
    /// any.
    foreign: bool,
    pub enabled: bool,
}

/// A rule and its module, ready to be asked.
pub struct Ready {
    pub rule: Rule,
    pub module: Arc<LoadedModule>,
}

// === impl Book ===

impl Book {
    /// The rules of an installation's manifest, each on the first of its connectors.
    ///
    /// Errors: every fault of the manifest itself.
    pub fn of_manifest(path: &Path) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let mut files = Files::of(path);
        let (manifest, findings) = crate::manifest::load(&mut files)?;
        let mut sheets: Vec<Sheet> = vec![];
        for rule in manifest.rules {
            if !sheets.iter().any(|known| known.rule.draft.origin == rule.draft.origin) {
                sheets.push(Sheet { rule, foreign: false, enabled: true });
            }
        }
        Ok((Self { files, sheets }, findings))
    }

    /// The rules of a file, which may be a manifest with everything it includes; whatever a
    /// configuration would have to say is left open.
    ///
    /// Errors: every fault of the rules themselves.
    pub fn alone(path: &Path) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let mut files = Files::of(path);
        let mut findings = Findings::new(path, PURPOSE);
        let located = read::alone(&mut files, &mut findings).unwrap_or_default();
        let mut sheets = vec![];
        if !findings.has_errors() {
            for located in &located {
                let draft = RuleDraft::new(located, &mut findings);
                let rule = ManifestRule {
                    draft,
                    connector: NO_CONNECTOR.into(),
                    order: 1,
                    precedence: 1,
                    scope: Scope::default(),
                    parameters: BTreeMap::new(),
                    idle: false,
                };
                sheets.push(Sheet { rule, foreign: true, enabled: located.raw.enabled });
            }
        }
        match findings.has_errors() {
            true => Err(findings.into_sorted()),
            false => Ok((Self { files, sheets }, findings.into_sorted())),
        }
    }

    /// Loads one rule: steps 1 to 8 of rules.md 5.2.
    ///
    /// Gives: the rule and its warnings; nothing where an error is among the findings. `admission`:
    /// whether its module must be pinned.
    pub fn load(
        &mut self,
        index: usize,
        host: &Host,
        admission: &Admission,
        limits: Limits,
    ) -> (Option<Ready>, Vec<Finding>) {
        let sheet = &self.sheets[index];
        let mut rule = sheet.rule.clone();
        let mut findings = Findings::new(self.files.main(), PURPOSE);
        let surroundings = Surroundings {
            connectors: &[],
            classes: &BTreeMap::new(),
            taken: &BTreeMap::new(),
            thresholds: &BTreeMap::new(),
            admission,
            limits,
        };
        let mut modules = Modules::new(&mut self.files, host, &surroundings);
        let ready = modules.load_once(&rule.draft, &mut findings).and_then(|module| {
            if sheet.foreign {
                let asked = module.contract.parameters.iter();
                rule.parameters = asked.map(|name| (name.clone(), String::new())).collect();
            }
            let contract = module::contract(&rule, &module, &mut findings)?;
            if rule.draft.direction == Direction::Outbound && !rule.idle {
                super::paths(&rule, &contract, &mut findings);
            }
            let rule = engine_rule(&rule, OnDelete::Keep, contract, &module);
            Some(Ready { rule, module })
        });
        (ready.filter(|_| !findings.has_errors()), findings.into_sorted())
    }

    /// The module of a rule, whatever it is worth.
    pub fn bytes(&mut self, index: usize) -> Result<Arc<[u8]>, LoadError> {
        let draft = &self.sheets[index].rule.draft;
        match &draft.module {
            ModuleSource::Builtin(name) => Ok(module::builtin_bytes(name).into()),
            ModuleSource::File { path, .. } => self.files.module(&draft.origin.file, path),
        }
    }
}

// === impl Sheet ===

impl Sheet {
    pub fn name(&self) -> &str {
        &self.rule.draft.name
    }

    pub fn origin(&self) -> &Origin {
        &self.rule.draft.origin
    }

    pub fn module(&self) -> &ModuleSource {
        &self.rule.draft.module
    }

    /// The configuration of its module, as JSON.
    pub fn config(&self) -> &str {
        &self.rule.draft.config
    }

    pub fn cases(&self) -> &Arc<[Case]> {
        &self.rule.draft.cases
    }

    pub fn direction(&self) -> Direction {
        self.rule.draft.direction
    }

    /// Object types: what is read, what is written.
    pub fn classes(&self) -> (&str, &str) {
        let RuleDraft { cs_class, mv_class, .. } = &self.rule.draft;
        match self.direction() {
            Direction::Inbound => (cs_class, mv_class),
            Direction::Outbound => (mv_class, cs_class),
        }
    }

    /// What the rule may take, with what holds for all where it says nothing.
    pub fn limits(&self, default: Limits) -> Limits {
        module::limits(&self.rule.draft, default)
    }
}
