//! The modules of a manifest: each file is read once, each rule's module loaded once for all
//! connectors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::object::AttributeName;
use kakehi_engine::rule::Contract;
use kakehi_host::{Host, Limits, LoadError, LoadedModule, ModuleSpec};

use super::Surroundings;
use crate::config::finding::Findings;
use crate::config::yaml::Mark;
use crate::manifest::codes::{LIMIT, MODULE_NOTE, OPEN_TO_ALL, RECHECK, UNUSED_WRITE};
use crate::manifest::files::Files;
use crate::manifest::rule::{ModuleSource, RuleDraft};
use crate::manifest::{ManifestRule, builtin};

/// The code at the end of a warning about the cache (rules.md 6).
const CACHE_UNUSABLE: &str = "K0514";

/// How often a rule that depends on the time is asked again: on whole multiples of it every time
/// zone has its midnight (rules.md 3.5).
const RECHECK_DEFAULT: Duration = Duration::from_secs(15 * 60);

pub(super) struct Modules<'a> {
    files: &'a mut Files,
    host: &'a Host,
    surroundings: &'a Surroundings<'a>,
    /// By the place of the rule, of which one is expanded over many connectors.
    loaded: BTreeMap<(&'a Path, Mark), Option<Arc<LoadedModule>>>,
}

// === impl Modules ===

impl<'a> Modules<'a> {
    pub(super) fn new(
        files: &'a mut Files,
        host: &'a Host,
        surroundings: &'a Surroundings<'a>,
    ) -> Self {
        Self { files, host, surroundings, loaded: BTreeMap::new() }
    }

    /// Gives the module of a rule and its contract as the manifest narrows it; `None` if it was
    /// refused, which is noted.
    pub(super) fn load(
        &mut self,
        rule: &'a ManifestRule,
        findings: &mut Findings,
    ) -> Option<(Arc<LoadedModule>, Contract)> {
        let draft = &rule.draft;
        let key = (draft.origin.file.as_path(), draft.origin.mark);
        let module = match self.loaded.get(&key) {
            Some(module) => module.clone(),
            None => {
                let module = self.load_once(draft, findings);
                self.loaded.insert(key, module.clone());
                module
            }
        }?;
        let contract = contract(rule, &module, findings)?;
        Some((module, contract))
    }

    pub(super) fn load_once(
        &mut self,
        draft: &RuleDraft,
        findings: &mut Findings,
    ) -> Option<Arc<LoadedModule>> {
        let bytes = self.bytes(draft, findings)?;
        let api = match &draft.module {
            ModuleSource::Builtin(_) => None,
            ModuleSource::File { api, .. } => api.as_deref(),
        };
        let limits = limits(draft, self.surroundings.limits);
        if let Err(fault) = limits.check() {
            draft
                .spot()
                .error(
                    findings,
                    LIMIT,
                    format_args!("the limits of the rule: {fault}"),
                    draft.module_mark,
                )
                .hint("a rule that needs more does too much with one object");
            return None;
        }
        let spec =
            ModuleSpec { name: &draft.name, bytes: &bytes, config: &draft.config, limits, api };
        match self.host.load(&spec) {
            Ok(module) => {
                for warning in &module.warnings {
                    note(draft, warning, findings);
                }
                if let Some((_, mark)) = draft.recheck.filter(|_| !module.contract.volatile) {
                    draft
                        .spot()
                        .warning(findings, RECHECK, "`recheck` on a rule without time", mark)
                        .hint("the module does not ask for the instant; leave `recheck` out");
                }
                Some(Arc::new(module))
            }
            Err(error) => {
                refuse(draft, error, findings);
                None
            }
        }
    }

    pub(super) fn bytes(
        &mut self,
        draft: &RuleDraft,
        findings: &mut Findings,
    ) -> Option<Arc<[u8]>> {
        let (path, sha256) = match &draft.module {
            ModuleSource::Builtin(name) => return Some(builtin_bytes(name).into()),
            ModuleSource::File { path, sha256, .. } => (path, sha256.as_deref()),
        };
        let bytes = match self.files.module(&draft.origin.file, path) {
            Ok(bytes) => bytes,
            Err(error) => {
                refuse(draft, error, findings);
                return None;
            }
        };
        let (file, admission) = (&draft.origin.file, self.surroundings.admission);
        if let Err(error) = admission.check(self.files, file, path, &bytes, sha256) {
            refuse(draft, error, findings);
            return None;
        }
        if self.files.is_open_to_all(file, path) {
            let message = format_args!("anybody may write to the module `{path}` or its folder");
            draft
                .spot()
                .warning(findings, OPEN_TO_ALL, message, draft.module_mark)
                .hint("take the right away: `chmod o-w`");
        }
        Some(bytes)
    }
}

/// The bytes of a module in the binary; the manifest was checked for its name.
pub(super) fn builtin_bytes(name: &str) -> &'static [u8] {
    match name {
        "builtin:names" => builtin::NAMES,
        _ => builtin::DECLARATIVE,
    }
}

pub(super) fn limits(draft: &RuleDraft, default: Limits) -> Limits {
    let own = draft.limits;
    let bytes = |own: Option<u64>, default: usize| {
        own.map_or(default, |own| usize::try_from(own).unwrap_or(usize::MAX))
    };
    Limits {
        memory_bytes: bytes(own.memory_bytes, default.memory_bytes),
        time: own.time.unwrap_or(default.time),
        output_bytes: bytes(own.output_bytes, default.output_bytes),
        fuel: own.fuel.or(default.fuel),
    }
}

/// Holds what the module declares against what the manifest allows.
pub(super) fn contract(
    rule: &ManifestRule,
    module: &LoadedModule,
    findings: &mut Findings,
) -> Option<Contract> {
    let draft = &rule.draft;
    let declared = &module.contract;
    let allowed: Option<BTreeSet<AttributeName>> =
        draft.writes.as_ref().map(|writes| writes.keys().cloned().collect());
    let parameters: BTreeSet<String> = rule.parameters.keys().cloned().collect();
    let (errors, warnings) = kakehi_host::check_contract(declared, allowed.as_ref(), &parameters);
    for warning in warnings {
        draft.spot().warning(findings, UNUSED_WRITE, warning, draft.writes_mark);
    }
    let refused = !errors.is_empty();
    for error in errors {
        refuse(draft, error, findings);
    }
    let policy = |name: &AttributeName| {
        draft.writes.as_ref().and_then(|writes| writes.get(name)).copied().unwrap_or_default()
    };
    (!refused).then(|| Contract {
        reads: declared.reads.iter().cloned().collect(),
        reads_imported: declared.reads_imported.iter().cloned().collect(),
        parameters: declared.parameters.iter().cloned().collect(),
        writes: declared.writes.iter().map(|name| (name.clone(), policy(name))).collect(),
        volatile: declared.volatile,
        recheck_seconds: declared.volatile.then(|| recheck_seconds(draft)),
    })
}

fn recheck_seconds(draft: &RuleDraft) -> u32 {
    let recheck = draft.recheck.map_or(RECHECK_DEFAULT, |(recheck, _)| recheck);
    u32::try_from(recheck.as_secs()).unwrap_or(u32::MAX).max(1)
}

fn refuse(draft: &RuleDraft, error: LoadError, findings: &mut Findings) {
    let finding = draft.spot().error(findings, error.code, error.message, draft.module_mark);
    if let Some(hint) = error.hint {
        finding.hint(hint);
    }
}

fn note(draft: &RuleDraft, warning: &str, findings: &mut Findings) {
    let suffix = format!(" ({CACHE_UNUSABLE})");
    let (code, text) = match warning.strip_suffix(&suffix) {
        Some(text) => (CACHE_UNUSABLE, text),
        None => (MODULE_NOTE, warning),
    };
    draft.spot().warning(findings, code, text, draft.module_mark);
}
