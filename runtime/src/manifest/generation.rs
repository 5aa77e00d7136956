//! A generation: the manifest, the modules it names and the configuration around it flow in; an
//! immutable rule set with its loaded modules flows out, or every finding (S-05).
//!
//! Start and reload take this one path.

mod admission;
pub mod alone;
mod module;
mod path;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kakehi_engine::object::{AttributeName, ClassName, ConnectorName};
use kakehi_engine::rule::{
    Compat, Connector, ConnectorKind, Contract, Direction, Merge, ModuleIdentity, OnDelete, Rule,
    RuleSet, RuleTag, TargetClass, Thresholds,
};
use kakehi_host::{Host, Limits, LoadedModule};

pub use self::admission::Admission;
use self::module::Modules;
use super::codes::{
    BAD_PATH, CANNOT_DISABLE, CONNECTORS_DIFFER, MERGE_CLASH, NOT_TAKEN, UNKNOWN_CLASS,
};
use super::files::Files;
use super::{Manifest, ManifestConnector, ManifestRule, PURPOSE, cases};
use crate::config::finding::{Finding, Findings};
use crate::config::system::SystemKind;

/// What a run works with: rules, and the module of each by its
/// [`RuleId`](kakehi_engine::rule::RuleId).
pub struct Generation {
    pub rules: Arc<RuleSet>,
    pub modules: kakehi_host::Generation,
    /// Inbound rules that let the passwords of their objects pass (`password_sync`). Where there
    /// are none, all may pass.
    pub password_rules: BTreeSet<RuleTag>,
}

// === impl Generation ===

impl Generation {
    /// No rules at all: nothing is synchronized but passwords.
    pub fn empty() -> Self {
        let rules = RuleSet::new(vec![], vec![], Compat::default(), BTreeMap::new());
        let modules = kakehi_host::Generation::new(vec![]);
        Self { rules: Arc::new(rules), modules, password_rules: BTreeSet::new() }
    }
}

/// What the configuration says around a manifest.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Every connector that is configured.
    pub connectors: &'a [(ConnectorName, SystemKind)],
    /// The object types of every target.
    pub classes: &'a BTreeMap<ConnectorName, BTreeMap<ClassName, TargetClass>>,
    /// Targets that take no attributes but these, by object type.
    pub taken: &'a BTreeMap<ConnectorName, BTreeMap<ClassName, BTreeSet<AttributeName>>>,
    pub thresholds: &'a BTreeMap<ConnectorName, Thresholds>,
    pub admission: &'a Admission,
    /// What a rule may take where the manifest says nothing else.
    pub limits: Limits,
}

/// Makes a generation of a manifest.
///
/// Gives: the generation and the warnings. Errors: everything that is wrong, in the order of the
/// files; faults of the manifest hide those of the modules, which would be loaded for nothing.
pub fn load(
    files: &mut Files,
    surroundings: &Surroundings<'_>,
    host: &Host,
) -> Result<(Generation, Vec<Finding>), Vec<Finding>> {
    let (manifest, mut all) = super::load(files)?;
    let mut findings = Findings::new(files.main(), PURPOSE);
    let connectors = connectors(&manifest, surroundings, &mut findings);
    let mut modules = Modules::new(files, host, surroundings);
    let mut rules = vec![];
    let mut drafts = vec![];
    let mut loaded = vec![];
    let mut tested = BTreeSet::new();
    let mut left_out = BTreeMap::new();
    for rule in &manifest.rules {
        let idle = rule.idle || is_without_class(rule, surroundings, &mut findings);
        let on_delete = match idle {
            true => OnDelete::Keep,
            false => on_delete(rule, surroundings, &mut findings),
        };
        let Some((module, mut contract)) = modules.load(rule, &mut findings) else { continue };
        if rule.draft.direction == Direction::Outbound && !idle {
            match take_out(rule, surroundings, &mut contract) {
                Some(names) => left_out
                    .entry(rule.connector.clone())
                    .or_insert_with(BTreeSet::new)
                    .extend(names),
                None => paths(rule, &contract, &mut findings),
            }
        }
        let engine_rule = engine_rule(rule, on_delete, contract, &module);
        // The cases do not know of connectors: what holds on one holds on all.
        if tested.insert((&rule.draft.origin.file, rule.draft.origin.mark)) {
            cases::check(&rule.draft, &engine_rule, &module, &mut findings);
        }
        // The engine would read a target, or export to a source that nothing is delivered to.
        if idle {
            continue;
        }
        drafts.push(rule);
        rules.push(engine_rule);
        loaded.push(module);
    }
    tell_left_out(&left_out, &mut findings);
    if !findings.has_errors() {
        merge_clashes(&drafts, &rules, &mut findings);
    }
    let failed = findings.has_errors();
    all.extend(findings.into_sorted());
    all.sort_by(|a, b| a.place.cmp(&b.place));
    // One rule on ten connectors has its faults ten times.
    all.dedup();
    if failed {
        return Err(all);
    }
    let lets_passwords_pass = |(draft, _): &(&&ManifestRule, _)| {
        draft.password_sync() && draft.draft.direction == Direction::Inbound
    };
    let password_rules =
        drafts.iter().zip(&rules).filter(lets_passwords_pass).map(|(_, rule)| rule.tag.clone());
    let password_rules = password_rules.collect();
    let rules = RuleSet::new(connectors, rules, manifest.compat, manifest.grace_seconds);
    let modules = kakehi_host::Generation::new(loaded);
    Ok((Generation { rules: Arc::new(rules), modules, password_rules }, all))
}

/// Whether a configured system can be what the manifest says. A file can hold the entries of any
/// directory.
fn stands_for(configured: SystemKind, kind: SystemKind) -> bool {
    let file_of_a_directory = configured == SystemKind::Ldif && kind != SystemKind::Scim;
    file_of_a_directory || configured.is_a(kind) || kind.is_a(configured)
}

/// The connectors of the manifest must be those of the configuration.
fn connectors(
    manifest: &Manifest,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> Vec<Connector> {
    for (name, _) in surroundings.connectors {
        if !manifest.connectors.iter().any(|connector| connector.name == *name) {
            findings
                .error(CONNECTORS_DIFFER, format_args!("the connector `{name}` is not listed"))
                .hint("add it to `connectors`, as the last one if it is new");
        }
    }
    let mut connectors = vec![];
    for ManifestConnector { name, kind, mark, order, .. } in &manifest.connectors {
        let configured = surroundings.connectors.iter().find(|(known, _)| known == name);
        match configured {
            None => {
                let names = surroundings.connectors.iter().map(|(name, _)| name.as_str());
                findings
                    .error(CONNECTORS_DIFFER, format_args!("`{name}` is not configured"))
                    .at(*mark)
                    .hint_nearest(name.as_str(), names);
            }
            Some((_, configured)) if !stands_for(*configured, *kind) => {
                let message = format_args!("`{name}` is of the kind `{kind}`, not `{configured}`");
                findings
                    .error(CONNECTORS_DIFFER, message)
                    .at(*mark)
                    .hint("the configuration and the manifest must say the same");
            }
            Some(_) => {}
        }
        let target = *kind == SystemKind::Scim;
        connectors.push(Connector {
            name: name.clone(),
            kind: if target { ConnectorKind::Target } else { ConnectorKind::Source },
            order: *order,
            classes: surroundings.classes.get(name).cloned().unwrap_or_default(),
            thresholds: surroundings.thresholds.get(name).copied().unwrap_or_default(),
        });
    }
    connectors
}

/// What the rule says, or else the gentlest that its target knows.
fn on_delete(
    rule: &ManifestRule,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> OnDelete {
    let draft = &rule.draft;
    if draft.direction == Direction::Inbound {
        return OnDelete::Keep;
    }
    let classes = surroundings.classes.get(&rule.connector);
    let class = classes.and_then(|classes| classes.get(draft.cs_class.as_str()));
    let Some(class) = class else {
        let message = format_args!("`{}` has no object type `{}`", rule.connector, draft.cs_class);
        let known = classes.into_iter().flat_map(|classes| classes.keys()).map(ClassName::as_str);
        draft
            .spot()
            .error(findings, UNKNOWN_CLASS, message, draft.class_mark)
            .hint_nearest(&draft.cs_class, known.collect::<Vec<_>>());
        return OnDelete::Keep;
    };
    match (draft.on_delete, &class.disable) {
        (Some((OnDelete::Disable, mark)), None) => {
            let message =
                format_args!("objects of the type `{}` cannot be disabled", draft.cs_class);
            draft
                .spot()
                .error(findings, CANNOT_DISABLE, message, mark)
                .hint("choose `on_delete: delete` or `on_delete: keep`");
            OnDelete::Keep
        }
        (Some((on_delete, _)), _) => on_delete,
        (None, Some(_)) => OnDelete::Disable,
        (None, None) => OnDelete::Delete,
    }
}

/// Whether a target names its object types and does not name that of the rule: such a rule is
/// loaded and does nothing.
fn is_without_class(
    rule: &ManifestRule,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> bool {
    let draft = &rule.draft;
    let outbound = draft.direction == Direction::Outbound;
    let Some(taken) = surroundings.taken.get(&rule.connector).filter(|_| outbound) else {
        return false;
    };
    let without = !taken.contains_key(draft.cs_class.as_str());
    if without {
        let message = format!(
            "`types` of `{}` has no `{}`: the rule does nothing",
            rule.connector, draft.cs_class
        );
        draft
            .spot()
            .warning(findings, NOT_TAKEN, message, draft.class_mark)
            .hint("name the type there if the target has such objects");
    }
    without
}

/// Takes out of a contract what the target does not take, so that nothing is computed for it. Gives
/// the names; `None` where the target takes whatever is a path.
fn take_out(
    rule: &ManifestRule,
    surroundings: &Surroundings<'_>,
    contract: &mut Contract,
) -> Option<Vec<AttributeName>> {
    let taken = surroundings.taken.get(&rule.connector)?.get(rule.draft.cs_class.as_str())?;
    let mut left_out = vec![];
    for (attribute, policy) in &mut contract.writes {
        if !taken.contains(attribute) {
            policy.enabled = false;
            left_out.push(attribute.clone());
        }
    }
    Some(left_out)
}

fn tell_left_out(
    left_out: &BTreeMap<ConnectorName, BTreeSet<AttributeName>>,
    findings: &mut Findings,
) {
    for (connector, names) in left_out.iter().filter(|(_, names)| !names.is_empty()) {
        let shown: Vec<String> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
        let message = format!(
            "{} attributes that rules write to `{connector}` are not sent: {}{}",
            names.len(),
            shown.join(", "),
            if names.len() > shown.len() { " ..." } else { "" }
        );
        findings
            .warning(NOT_TAKEN, message)
            .hint("name them under `types` of the target where it has a place for them");
    }
}

fn paths(rule: &ManifestRule, contract: &Contract, findings: &mut Findings) {
    for attribute in contract.writes.keys() {
        if let Err(why) = path::check(attribute.as_str()) {
            let message = format_args!("`{attribute}` is no attribute path: {why}");
            rule.draft
                .spot()
                .error(findings, BAD_PATH, message, rule.draft.module_mark)
                .hint("such as `userName`, `name.familyName` or `emails[type eq \"work\"].value`");
        }
    }
}

fn engine_rule(
    rule: &ManifestRule,
    on_delete: OnDelete,
    contract: Contract,
    module: &LoadedModule,
) -> Rule {
    let draft = &rule.draft;
    let known = |name: &String| Some((name.clone(), rule.parameters.get(name)?.clone()));
    Rule {
        tag: RuleTag(format!("{}@{}", draft.tag, rule.connector).into()),
        name: draft.name.clone(),
        description: draft.description.clone(),
        direction: draft.direction,
        connector: rule.connector.clone(),
        cs_class: draft.cs_class.as_str().into(),
        mv_class: draft.mv_class.as_str().into(),
        precedence: rule.precedence,
        link: draft.link,
        scope: rule.scope.clone(),
        join: draft.join.clone(),
        on_scope_exit: draft.on_scope_exit,
        on_delete,
        parameters: contract.parameters.iter().filter_map(known).collect(),
        contract,
        module: ModuleIdentity {
            source: draft.module.to_string(),
            sha256: module.sha256.clone(),
            config_sha256: module.config_sha256.clone(),
        },
    }
}

/// Two rules that treat one attribute differently could not both have their way (11.4).
fn merge_clashes(drafts: &[&ManifestRule], rules: &[Rule], findings: &mut Findings) {
    let mut first = BTreeMap::<_, (Merge, &Rule)>::new();
    for (draft, rule) in drafts.iter().zip(rules) {
        let (connector, class) = match rule.direction {
            Direction::Inbound => (None, &rule.mv_class),
            Direction::Outbound => (Some(&rule.connector), &rule.cs_class),
        };
        for (attribute, policy) in &rule.contract.writes {
            if !policy.enabled {
                continue;
            }
            let (merge, other) =
                *first.entry((connector, class, attribute)).or_insert((policy.merge, rule));
            if merge != policy.merge {
                let message =
                    format_args!("`{attribute}` is merged otherwise than by `{}`", other.name);
                draft
                    .draft
                    .spot()
                    .error(findings, MERGE_CLASH, message, draft.draft.writes_mark)
                    .hint("give it the same `merge` under `writes` of both rules");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use expect_test::{Expect, expect};
    use kakehi_host::Options;
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// Reads `dn`, writes `displayName` (rules.md 11).
    const MODULE: &str = include_str!("../../tests/manifest/display_name.wat");

    struct World {
        folder: tempfile::TempDir,
        classes: BTreeMap<ConnectorName, BTreeMap<ClassName, TargetClass>>,
        taken: BTreeMap<ConnectorName, BTreeMap<ClassName, BTreeSet<AttributeName>>>,
        admission: Admission,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("rule.wat"), MODULE).unwrap();
            let disable = Some(("active".into(), kakehi_engine::object::Value::Boolean(false)));
            let user = TargetClass { disable, ..TargetClass::default() };
            let of_portal = [("User".into(), user), ("Group".into(), TargetClass::default())];
            let classes = [("portal".into(), of_portal.into())].into();
            Self { folder, classes, taken: BTreeMap::new(), admission: Admission::Pinned }
        }

        fn load(&self, rules: &str) -> Result<(Generation, Vec<Finding>), Vec<Finding>> {
            let path = self.folder.path().join("manifest.yml");
            let connectors =
                "[{name: a, kind: ad}, {name: b, kind: ad}, {name: portal, kind: scim}]";
            let sha256: String =
                Sha256::digest(MODULE).iter().map(|byte| format!("{byte:02x}")).collect();
            let rules = rules.replace("PINNED", &format!("{{path: rule.wat, sha256: {sha256}}}"));
            fs::write(&path, format!("version: 1\nconnectors: {connectors}\nrules:\n{rules}"))
                .unwrap();
            let surroundings = Surroundings {
                connectors: &[
                    ("a".into(), SystemKind::Ad),
                    ("b".into(), SystemKind::Ldap),
                    ("portal".into(), SystemKind::Scim),
                ],
                classes: &self.classes,
                taken: &self.taken,
                thresholds: &BTreeMap::new(),
                admission: &self.admission,
                limits: Limits::default(),
            };
            load(&mut Files::of(&path), &surroundings, &Host::new(Options::default()).unwrap())
        }

        fn findings(&self, rules: &str, expected: &Expect) {
            let findings = match self.load(rules) {
                Ok((_, findings)) => findings,
                Err(findings) => findings,
            };
            let told: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
            let told = told.replace(&format!("{}/", self.folder.path().display()), "");
            let told = told.replace(&format!("{PURPOSE}: "), "");
            expected.assert_eq(&told);
        }
    }

    const INBOUND: &str = "  - {name: in, precedence: 1, for_each: {kind: ad}, \
         direction: inbound, from: user, to: person, link: provision, module: PINNED}\n";

    #[test]
    fn s05_a_generation_holds_a_module_for_every_rule_in_order() {
        let (generation, findings) = World::new()
            .load(&format!(
                "{INBOUND}  - {{name: out, precedence: 1, connector: portal, direction: outbound, \
                 from: person, to: User, link: join, module: PINNED}}\n"
            ))
            .unwrap_or_else(|findings| panic!("{}", findings[0]));
        assert_eq!(findings, []);
        let shown: Vec<String> = generation
            .rules
            .rules
            .iter()
            .map(|rule| format!("{} {} {:?}", rule.precedence, rule.tag, rule.on_delete))
            .collect();
        assert_eq!(shown, ["1 in@a Keep", "2 in@b Keep", "1 out@portal Disable"]);
        let rule = &generation.rules.rules[0];
        assert!(
            rule.contract.reads.contains("dn") && rule.contract.writes.contains_key("displayName")
        );
        assert_eq!(generation.rules.digest.0.len(), 64);
    }

    #[test]
    fn the_digest_follows_every_rule_and_only_what_decides() {
        let world = World::new();
        let digest = |rules: &str| match world.load(rules) {
            Ok((generation, _)) => generation.rules.digest.0.clone(),
            Err(findings) => panic!("{}", findings[0]),
        };
        let plain = digest(INBOUND);
        assert_eq!(digest(INBOUND), plain);
        assert_eq!(digest(&INBOUND.replace("name: in,", "name: in, description: x,")), plain);
        for (from, to) in [
            ("precedence: 1", "precedence: 3"),
            ("link: provision", "link: sticky-join"),
            ("module", "scope: [[{attr: mail, op: ISNOTNULL}]], module"),
            ("module", "config: {a: 1}, module"),
            ("module", "writes: {displayName: {apply_once: true}}, module"),
        ] {
            assert_ne!(digest(&INBOUND.replacen(from, to, 1)), plain, "{to}");
        }
    }

    #[test]
    fn g13_a_module_is_run_only_with_its_hash() {
        let other = INBOUND.replace("PINNED", "{path: rule.wat, sha256: \"00\"}");
        let mut world = World::new();
        assert_eq!(world.load(&other).err().map(|findings| findings[0].code), Some("K0502"));
        world.admission = Admission::Open;
        assert!(world.load(&other).is_ok());
    }

    /// A module that minisign 0.11 signed; the secret key is gone.
    const SIGNED: [(&str, &str); 2] = [
        ("signed.wat", include_str!("../../tests/manifest/signed/rule.wat")),
        ("signed.wat.minisig", include_str!("../../tests/manifest/signed/rule.wat.minisig")),
    ];
    const TEAM: &str = "RWQn7spY8DlOuGHyaL5EcqNKEeVIHI9jeremDmodv+S/n5dAuNt3DatS";

    #[test]
    fn k0515_under_the_signed_policy_a_module_needs_its_pin_and_a_signature() {
        let mut world = World::new();
        world.admission =
            Admission::Signed(kakehi_host::TrustedKeys::parse(&[("team", TEAM)]).unwrap());
        let code = |rules: &str| world.load(rules).err().map(|findings| findings[0].code);
        for (name, content) in SIGNED {
            fs::write(world.folder.path().join(name), content).unwrap();
        }
        let sha256: String =
            Sha256::digest(SIGNED[0].1).iter().map(|byte| format!("{byte:02x}")).collect();
        let pinned = format!("{{path: signed.wat, sha256: {sha256}}}");
        assert_eq!(code(&INBOUND.replace("PINNED", &pinned)), None);
        assert_eq!(code(&INBOUND.replace("PINNED", "{path: signed.wat}")), Some("K0502"));
        // Pinned, but nobody signed it.
        assert_eq!(code(INBOUND), Some("K0515"));
        // What came with the program needs neither.
        assert_eq!(code(&INBOUND.replace("PINNED", "'builtin:declarative'")), None);
        fs::remove_file(world.folder.path().join("signed.wat.minisig")).unwrap();
        assert_eq!(code(&INBOUND.replace("PINNED", &pinned)), Some("K0515"));
    }

    #[test]
    fn a_module_that_anybody_may_replace_is_a_finding() {
        let world = World::new();
        let codes = || {
            let (_, findings) = world.load(INBOUND).unwrap_or_else(|found| panic!("{}", found[0]));
            findings.iter().map(|finding| finding.code).collect::<Vec<_>>()
        };
        let mode = |path: &str, mode: u32| {
            let path = world.folder.path().join(path);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode("rule.wat", 0o644);
        assert!(codes().is_empty());
        mode("rule.wat", 0o666);
        assert_eq!(codes(), ["K0348"]);
        mode("rule.wat", 0o644);
        mode("", 0o777);
        assert_eq!(codes(), ["K0348"]);
        mode("", 0o1777);
        assert!(codes().is_empty());
    }

    #[test]
    fn g09_no_rule_may_have_more_than_the_ceiling() {
        let limited = |limits: &str| {
            let rules = INBOUND.replace("module:", &format!("limits: {limits}, module:"));
            World::new().load(&rules).err().map(|findings| findings[0].code)
        };
        assert_eq!(limited("{memory: 512MiB, time: 60s, output: 64MiB, fuel: 1000000}"), None);
        for limits in ["{memory: 513MiB}", "{time: 61s}", "{output: 65MiB}", "{fuel: 0}"] {
            assert_eq!(limited(limits), Some("K0333"), "{limits}");
        }
    }

    #[test]
    fn faults_of_modules_are_told_once_and_all_together() {
        let rules = format!(
            "{INBOUND}{}{}{}",
            "  - {name: lost, precedence: 5, for_each: {kind: ad}, direction: inbound, from: user,
     to: person, link: join, module: {path: no.wasm}}\n",
            "  - {name: writes, precedence: 9, connector: a, direction: inbound, from: user,
     to: person, link: join, module: PINNED, writes: [cn, displayNam]}\n",
            "  - {name: out, precedence: 1, connector: portal, direction: outbound, from: person,
     to: Gruop, link: join, module: PINNED}\n",
        );
        World::new().findings(
            &rules,
            &expect![[r#"
            error: cannot read the module `no.wasm`: No such file or directory (os error 2) (K0501)
              at: manifest.yml:6:38, rule `lost`
            error: writes `displayName`, which the manifest does not allow (K0511)
              at: manifest.yml:8:38, rule `writes`
              hint: did you mean `displayNam`?
            warning: `writes` allows `cn`, which the module never writes (K0345)
              at: manifest.yml:8:138, rule `writes`
            warning: `writes` allows `displayNam`, which the module never writes (K0345)
              at: manifest.yml:8:138, rule `writes`
            error: `portal` has no object type `Gruop` (K0328)
              at: manifest.yml:10:10, rule `out`
              hint: did you mean `Group`?
        "#]],
        );
    }

    #[test]
    fn one_attribute_is_merged_in_one_way() {
        let clash = "  - {name: other, precedence: 7, connector: a, direction: inbound, from: user,
     to: person, link: join, module: PINNED, writes: {displayName: {merge: merge}}}\n";
        World::new().findings(
            &format!("{INBOUND}{clash}"),
            &expect![[r#"
            error: `displayName` is merged otherwise than by `in` (K0329)
              at: manifest.yml:6:138, rule `other`
              hint: give it the same `merge` under `writes` of both rules
        "#]],
        );
    }

    #[test]
    fn p15_a_flow_that_is_disabled_alone_is_as_if_it_were_not_there() {
        let off = "  - {name: other, precedence: 7, connector: a, direction: inbound, from: user,
     to: person, link: join, module: PINNED,
     writes: {displayName: {merge: merge, enabled: false}}}\n";
        World::new().findings(&format!("{INBOUND}{off}"), &expect![""]);
    }

    #[test]
    fn what_cannot_be_disabled_is_not_asked_to_be() {
        let out = "  - {name: out, precedence: 1, connector: portal, direction: outbound,
     from: person, to: Group, link: join, on_delete: disable, module: PINNED}\n";
        World::new().findings(
            &format!("{INBOUND}{out}"),
            &expect![[r#"
            error: objects of the type `Group` cannot be disabled (K0330)
              at: manifest.yml:5:12, rule `out`
              hint: choose `on_delete: delete` or `on_delete: keep`
        "#]],
        );
    }

    #[test]
    fn rules_against_the_way_of_their_connector_are_checked_and_do_nothing() {
        let rules = format!(
            "{INBOUND}{}{}",
            "  - {name: from the cloud, precedence: 7, connector: portal, direction: inbound,
     from: User, to: person, link: join, module: PINNED}\n",
            "  - {name: to a forest, precedence: 7, connector: a, direction: outbound,
     from: person, to: user, link: join, module: PINNED}\n",
        );
        let told = &expect![[r#"
            warning: an inbound rule on a target does nothing yet (K0349)
              at: manifest.yml:5:54, rule `from the cloud`
              hint: it is checked and shown; sources are read, targets are written
            warning: an outbound rule on a source does nothing yet (K0349)
              at: manifest.yml:7:51, rule `to a forest`
              hint: it is checked and shown; sources are read, targets are written
        "#]];
        World::new().findings(&rules, told);
        let (generation, _) =
            World::new().load(&rules).unwrap_or_else(|found| panic!("{}", found[0]));
        let names: Vec<&str> = generation.rules.rules.iter().map(|rule| &*rule.name).collect();
        assert_eq!(names, ["in", "in"]);
        // Checked they are.
        let broken = rules.replacen("module: PINNED}", "module: {path: no.wasm}}", 3);
        let codes = World::new().load(&broken).err().unwrap();
        assert!(codes.iter().filter(|finding| finding.code == "K0501").count() >= 3, "{codes:?}");
    }

    #[test]
    fn what_is_wrong_with_a_disabled_rule_stops_nobody() {
        let off = "  - {name: off, precedence: 9, connector: a, direction: inbound, from: user,
     to: person, link: join, enabled: false, scope: [[{attr: x, op: ISODD, value: '1'}]],
     module: PINNED}\n";
        let (_, findings) = World::new()
            .load(&format!("{INBOUND}{off}"))
            .unwrap_or_else(|found| panic!("{}", found[0]));
        let told: Vec<&str> = findings.iter().map(|finding| &*finding.message).collect();
        assert_eq!(told, ["unknown operator `ISODD`"]);
    }

    #[test]
    fn a_target_with_names_of_its_own_takes_what_they_name_and_no_more() {
        let mut world = World::new();
        let path = world.folder.path().join("manifest.yml");
        let rules = format!(
            "{INBOUND}{}{}",
            "  - {name: people, precedence: 1, connector: portal, direction: outbound,
     from: person, to: User, link: join, module: 'builtin:declarative',
     config: {flows: [{to: mail, from: mail}, {to: x 400, from: x}]}}\n",
            "  - {name: contacts, precedence: 2, connector: portal, direction: outbound,
     from: person, to: contact, link: join, module: 'builtin:declarative'}\n",
        );
        world.taken.insert("portal".into(), [("User".into(), ["mail".into()].into())].into());
        let (generation, findings) =
            world.load(&rules).unwrap_or_else(|found| panic!("{}", found[0]));
        let prefix = format!("{}: ", path.display());
        let told: Vec<String> = findings
            .iter()
            .map(|finding| format!("{} {}", finding.code, finding.message).replace(&prefix, ""))
            .collect();
        assert_eq!(
            told,
            [
                "K0967 1 attributes that rules write to `portal` are not sent: `x 400`",
                "K0967 `types` of `portal` has no `contact`: the rule does nothing",
            ]
        );
        let people = generation.rules.rules.iter().find(|rule| &*rule.name == "people").unwrap();
        let sent: Vec<&str> = people
            .contract
            .writes
            .iter()
            .filter(|(_, policy)| policy.enabled)
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(sent, ["mail"]);
        assert!(!generation.rules.rules.iter().any(|rule| &*rule.name == "contacts"));
    }

    /// The rules that ship, with the module that ships.
    #[test]
    fn g16_r39_the_default_rules_load() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/default/manifest.yml");
        let mut classes = World::new().classes;
        let of_portal = classes.pop_first().map(|(_, classes)| classes).unwrap_or_default();
        classes.insert("cloud".into(), of_portal);
        let surroundings = Surroundings {
            connectors: &[
                ("corp".into(), SystemKind::Ad),
                ("directory".into(), SystemKind::OpenLdap),
                ("cloud".into(), SystemKind::Scim),
            ],
            classes: &classes,
            taken: &BTreeMap::new(),
            thresholds: &BTreeMap::new(),
            admission: &Admission::Pinned,
            limits: Limits::default(),
        };
        let host = Host::new(Options::default()).unwrap();
        let (generation, findings) = load(&mut Files::of(&path), &surroundings, &host)
            .unwrap_or_else(|findings| panic!("{}", findings[0]));
        assert_eq!(findings, []);
        let shown: String = generation
            .rules
            .rules
            .iter()
            .map(|rule| format!("{} {}\n", rule.precedence, rule.tag))
            .collect();
        expect![[r#"
            100 In from AD - User Join@corp
            101 In from AD - InetOrgPerson Join@corp
            102 In from OpenLDAP - User Join@directory
            103 In from AD - User AccountEnabled@corp
            104 In from AD - InetOrgPerson AccountEnabled@corp
            105 In from OpenLDAP - User AccountEnabled@directory
            106 In from AD - User Common from Exchange@corp
            107 In from AD - InetOrgPerson Common from Exchange@corp
            108 In from AD - User Common@corp
            109 In from AD - InetOrgPerson Common@corp
            110 In from OpenLDAP - User Common@directory
            111 In from AD - User Exchange@corp
            112 In from AD - InetOrgPerson Exchange@corp
            113 In from AD - User Lync@corp
            114 In from AD - InetOrgPerson Lync@corp
            115 In from AD - Group Join@corp
            116 In from OpenLDAP - Group Join@directory
            117 In from OpenLDAP - UniqueGroup Join@directory
            118 In from AD - Group Exchange@corp
            119 In from AD - Group Common@corp
            120 In from OpenLDAP - Group Common@directory
            121 In from OpenLDAP - UniqueGroup Common@directory
            122 In from AD - Contact Join@corp
            123 In from AD - Contact Common@corp
            124 In from AD - Contact Lync@corp
            125 In from AD - ForeignSecurityPrincipal Join@corp
            126 Out to SCIM - User Join@cloud
            127 Out to SCIM - User Common@cloud
            128 Out to SCIM - User Exchange@cloud
            129 Out to SCIM - User Lync@cloud
            132 Out to SCIM - Group Join@cloud
            133 Out to SCIM - Group Common@cloud
        "#]]
        .assert_eq(&shown);
    }
}
