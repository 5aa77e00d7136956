//! One rule of the manifest: what was typed flows in, a rule that is not yet bound to a connector
//! flows out.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::object::AttributeName;
use kakehi_engine::rule::{
    Direction, JoinClause, JoinGroup, LinkType, Merge, OnDelete, OnScopeExit, WritePolicy,
};

use super::cases::Case;
use super::codes::{CONFIG_FORM, DOUBLED, EMPTY_GROUP, UNKNOWN_MODULE};
use super::raw::{
    DirectionRaw, LinkRaw, MergeRaw, ModuleRaw, OnDeleteRaw, OnScopeExitRaw, RuleLimitsRaw, RuleRaw,
};
use super::read::Located;
use super::scope::{self, ScopeDraft};
use crate::config::finding::{Draft, Findings};
use crate::config::yaml::{At, Mark};

/// The modules in the binary, by the name in the manifest.
pub const BUILTINS: [&str; 2] = ["builtin:declarative", "builtin:names"];

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModuleSource {
    /// One of [`BUILTINS`].
    Builtin(String),
    /// A file inside the manifest's folder.
    File { path: String, sha256: Option<String>, api: Option<String> },
}

/// What a rule may take where it differs from the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleLimits {
    pub memory_bytes: Option<u64>,
    pub time: Option<Duration>,
    pub output_bytes: Option<u64>,
    pub fuel: Option<u64>,
}

/// A line of a file that a rule stands in, for findings that are made later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub file: PathBuf,
    pub mark: Mark,
}

/// What all connectors share of a rule.
#[derive(Clone, Debug)]
pub(super) struct RuleDraft {
    pub origin: Origin,
    pub module_mark: Mark,
    pub writes_mark: Mark,
    pub class_mark: Mark,
    pub name: String,
    pub tag: String,
    pub description: String,
    pub direction: Direction,
    pub cs_class: String,
    pub mv_class: String,
    pub link: LinkType,
    pub scope: ScopeDraft,
    pub join: Vec<JoinGroup>,
    pub on_scope_exit: OnScopeExit,
    pub on_delete: Option<(OnDelete, Mark)>,
    pub module: ModuleSource,
    pub config: String,
    pub writes: Option<BTreeMap<AttributeName, WritePolicy>>,
    pub limits: RuleLimits,
    pub recheck: Option<(Duration, Mark)>,
    pub password_sync: bool,
    pub enabled: bool,
    /// What it must answer, in order.
    pub cases: Arc<[Case]>,
}

/// A rule as the place of findings.
pub(super) struct Spot<'a> {
    pub file: &'a Path,
    pub name: &'a str,
    /// What is wrong with a disabled rule keeps nobody from working: it is told as a warning.
    pub enabled: bool,
}

// === impl ModuleSource ===

impl fmt::Display for ModuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => f.write_str(name),
            Self::File { path, .. } => f.write_str(path),
        }
    }
}

// === impl Spot ===

impl Spot<'_> {
    pub fn error<'f>(
        &self,
        findings: &'f mut Findings,
        code: &'static str,
        message: impl fmt::Display,
        mark: Mark,
    ) -> Draft<'f> {
        if !self.enabled {
            return self.warning(findings, code, message, mark);
        }
        findings.error(code, message).at(mark).file(self.file).what(format!("rule `{}`", self.name))
    }

    pub fn warning<'f>(
        &self,
        findings: &'f mut Findings,
        code: &'static str,
        message: impl fmt::Display,
        mark: Mark,
    ) -> Draft<'f> {
        findings
            .warning(code, message)
            .at(mark)
            .file(self.file)
            .what(format!("rule `{}`", self.name))
    }
}

// === impl RuleDraft ===

impl RuleDraft {
    pub fn spot(&self) -> Spot<'_> {
        Spot { file: &self.origin.file, name: &self.name, enabled: self.enabled }
    }

    /// Takes a rule as typed. Notes what is wrong with it alone; the result is only of use without
    /// errors.
    pub fn new(located: &Located, findings: &mut Findings) -> Self {
        let Located { file, mark, raw, cases } = located;
        let spot = Spot { file, name: &raw.name.value, enabled: raw.enabled };
        let name_mark = raw.name.mark;
        let (cs, mv) = match raw.direction {
            DirectionRaw::Inbound => (&raw.from, &raw.to),
            DirectionRaw::Outbound => (&raw.to, &raw.from),
        };
        Self {
            origin: Origin { file: file.clone(), mark: *mark },
            module_mark: raw.module.mark,
            writes_mark: raw.writes.as_ref().map_or(name_mark, |writes| writes.mark),
            class_mark: cs.mark,
            name: raw.name.value.clone(),
            tag: raw.tag.as_ref().unwrap_or(&raw.name).value.clone(),
            description: raw.description.clone(),
            direction: direction(raw.direction),
            cs_class: cs.value.clone(),
            mv_class: mv.value.clone(),
            link: match raw.link {
                LinkRaw::Join => LinkType::Join,
                LinkRaw::StickyJoin => LinkType::StickyJoin,
                LinkRaw::Provision => LinkType::Provision,
            },
            scope: scope::draft(raw, &spot, findings),
            join: join(raw, &spot, findings),
            on_scope_exit: match raw.on_scope_exit {
                OnScopeExitRaw::Release => OnScopeExit::Release,
                OnScopeExitRaw::Clear => OnScopeExit::Clear,
            },
            on_delete: raw.on_delete.map(|on_delete| (self::on_delete(on_delete), name_mark)),
            module: module(&raw.module, &spot, findings),
            config: config(raw, &spot, findings),
            writes: writes(raw, &spot, findings),
            limits: limits(&raw.limits),
            recheck: raw.recheck.as_ref().map(|at| (at.value.0, at.mark)),
            password_sync: raw.password_sync,
            enabled: raw.enabled,
            cases: Arc::clone(cases),
        }
    }
}

// === impl RuleDraft: what the whole manifest says ===

impl RuleDraft {
    /// Lets expressions compare texts without regard to case, unless the rule says how itself.
    pub fn compare_as_text(&mut self) {
        let declarative = ModuleSource::Builtin(BUILTINS[0].to_owned());
        let config = serde_json::from_str(&self.config);
        if let (true, Ok(serde_json::Value::Object(mut config))) =
            (self.module == declarative, config)
        {
            config.entry("compare").or_insert_with(|| "text".into());
            self.config = serde_json::Value::Object(config).to_string();
        }
    }
}

pub(super) fn direction(raw: DirectionRaw) -> Direction {
    match raw {
        DirectionRaw::Inbound => Direction::Inbound,
        DirectionRaw::Outbound => Direction::Outbound,
    }
}

fn on_delete(raw: OnDeleteRaw) -> OnDelete {
    match raw {
        OnDeleteRaw::Disable => OnDelete::Disable,
        OnDeleteRaw::Delete => OnDelete::Delete,
        OnDeleteRaw::Keep => OnDelete::Keep,
    }
}

fn join(raw: &RuleRaw, spot: &Spot<'_>, findings: &mut Findings) -> Vec<JoinGroup> {
    let mut groups = vec![];
    for group in &raw.join {
        if group.value.is_empty() {
            spot.error(findings, EMPTY_GROUP, "a group of `join` has no pair", group.mark)
                .hint("leave `join` out where nothing is to be matched");
        }
        let clause = |raw: &super::raw::JoinRaw| JoinClause {
            cs: raw.cs.as_str().into(),
            mv: raw.mv.as_str().into(),
            case_sensitive: raw.case_sensitive,
        };
        groups.push(group.value.iter().map(clause).collect());
    }
    groups
}

fn module(raw: &At<ModuleRaw>, spot: &Spot<'_>, findings: &mut Findings) -> ModuleSource {
    match &raw.value {
        ModuleRaw::Builtin(name) => {
            if !BUILTINS.contains(&name.as_str()) {
                let message = format_args!("unknown module `{name}`");
                let draft = spot.error(findings, UNKNOWN_MODULE, message, raw.mark);
                match name.starts_with("builtin:") {
                    true => draft.hint_nearest(name, BUILTINS),
                    false => draft.hint("a file is named by `module: {path: ..., sha256: ...}`"),
                }
            }
            ModuleSource::Builtin(name.clone())
        }
        ModuleRaw::File(file) => ModuleSource::File {
            path: file.path.value.clone(),
            sha256: file.sha256.as_ref().map(|sha256| sha256.value.clone()),
            api: file.api.clone(),
        },
    }
}

fn config(raw: &RuleRaw, spot: &Spot<'_>, findings: &mut Findings) -> String {
    match &raw.config {
        None => "{}".to_owned(),
        Some(At { value, mark }) => {
            if !value.is_object() {
                spot.error(findings, CONFIG_FORM, "`config` is no mapping", *mark)
                    .hint("write keys and values; the module says which");
            }
            value.to_string()
        }
    }
}

fn writes(
    raw: &RuleRaw,
    spot: &Spot<'_>,
    findings: &mut Findings,
) -> Option<BTreeMap<AttributeName, WritePolicy>> {
    let mut writes = BTreeMap::new();
    for (name, write) in &raw.writes.as_ref()?.value.0 {
        let policy = WritePolicy {
            merge: match write.merge {
                MergeRaw::Update => Merge::Update,
                MergeRaw::Merge => Merge::Merge,
                MergeRaw::MergeCaseInsensitive => Merge::MergeCaseInsensitive,
            },
            apply_once: write.apply_once,
            enabled: write.enabled.unwrap_or(true),
        };
        if writes.insert(AttributeName::from(name.value.as_str()), policy).is_some() {
            let message = format_args!("`writes` names `{}` twice", name.value);
            spot.error(findings, DOUBLED, message, name.mark);
        }
    }
    Some(writes)
}

fn limits(raw: &RuleLimitsRaw) -> RuleLimits {
    RuleLimits {
        memory_bytes: raw.memory.as_ref().map(|size| size.value.0),
        time: raw.time.as_ref().map(|time| time.value.0),
        output_bytes: raw.output.as_ref().map(|size| size.value.0),
        fuel: raw.fuel,
    }
}
