//! `bench rules`: what the wall around rules costs. In: how many objects. Out: time per object of
//! one mapping by several ways in one run on one thread, as ratios to a plain function of this
//! program; what an instance and a module cost; goals met or missed; JSON.

#[cfg(feature = "engines")]
mod engines;
/// What is built as a module too; here it is only checked.
#[cfg(test)]
mod guest;
mod native;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kakehi_engine::flow::{RuleInput, RuleOutcome, Rules as _};
use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::rule::{
    Contract, Direction, LinkType, ModuleIdentity, OnDelete, OnScopeExit, Rule, RuleId, RuleTag,
    WritePolicy,
};
use kakehi_engine::scope::Scope;
use kakehi_engine::time::Timestamp;
use kakehi_host::{Generation, Host, Limits, LoadedModule, ModuleSpec, Options};
use serde::Serialize;

use super::measure::anonymous_bytes;
use super::{BenchError, Result};
use crate::guests::{Guest, build, language, target};

/// What one of the ways may cost, times the plain function.
const HOST_TO_NATIVE_MAX: f64 = 7.0;

/// Instances that are alive at once to see what one takes.
const LIVE_INSTANCES: usize = 200;

/// Attributes that the mapping does not look at, of those that it can be told to read.
const MORE: usize = 14;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_790_000_000);

/// What `bench rules` is to do.
#[derive(Debug, PartialEq)]
pub struct Wanted {
    pub objects: usize,
    pub rounds: usize,
    /// Only this way, beside the plain function: for profiles.
    pub way: Option<String>,
}

type Map<'a> = dyn Fn(&[RuleInput<'_>]) -> Result<Vec<RuleOutcome>> + 'a;

/// One way to map an object.
struct Way<'a> {
    name: &'static str,
    attributes: usize,
    map: Box<Map<'a>>,
}

/// The best time of a way: the other rounds were disturbed.
#[derive(Debug, Serialize)]
struct Row {
    who: &'static str,
    attributes: usize,
    ns_per_object: f64,
    to_native: f64,
}

#[derive(Debug, Serialize)]
struct Goal {
    what: String,
    found: f64,
    at_most: f64,
    met: bool,
}

/// What a module and its instances cost.
#[derive(Debug, Serialize)]
struct ModuleCost {
    module_bytes: usize,
    code_bytes: usize,
    compile_us: f64,
    load_from_cache_us: f64,
    instance_start_us: f64,
    /// Resident, beside the code.
    instance_bytes: u64,
}

pub fn run(wanted: &Wanted) -> Result<()> {
    let bytes = guest_module()?;
    let folder = tempfile::tempdir().map_err(|error| BenchError::io("make a folder", error))?;
    let (module, cost) = module_cost(&bytes, folder.path())?;
    let wide = Arc::new(load(&host(folder.path())?, &bytes, r#"{"read": "more"}"#)?);
    let rows = throughput(wanted, &module, &wide)?;
    let goals = goals(&rows);
    print!("{}", table(wanted, &rows, &cost, &goals));
    let document = serde_json::json!({
        "objects": wanted.objects, "rounds": wanted.rounds,
        "optimised": !cfg!(debug_assertions),
        "ways": rows, "module": cost, "goals": goals,
    });
    let file = target().join("bench").join("rules.json");
    fs::create_dir_all(target().join("bench"))
        .and_then(|()| fs::write(&file, format!("{document:#}\n")))
        .map_err(|error| BenchError::io("save the figures", error))?;
    eprintln!("figures: {}", file.display());
    Ok(())
}

/// The mapping as a module, built as an author builds one.
fn guest_module() -> Result<Vec<u8>> {
    let language = language("rust");
    let manifest = include_str!("../../guests/rust/Cargo.toml");
    let mut files = build::sdk(language);
    files.push(("Cargo.toml".into(), manifest.into()));
    files.push(("src/lib.rs".into(), include_str!("rules/guest.rs").into()));
    let built = Guest { language, name: "bench-mapping", files }.build();
    Ok(built.map_err(|missing| BenchError::answer("the guest's build", missing))?.bytes)
}

fn host(cache: &Path) -> Result<Host> {
    let options = Options { workers: 1, cache: Some(cache.into()), ..Options::default() };
    Host::new(options).map_err(|error| BenchError::answer("the host", error))
}

fn load(host: &Host, bytes: &[u8], config: &str) -> Result<LoadedModule> {
    let spec = ModuleSpec { name: "mapping", bytes, config, limits: Limits::default(), api: None };
    host.load(&spec).map_err(|error| BenchError::answer("the host", error))
}

/// Compiles once, then measures what is left to do with code from the cache.
fn module_cost(bytes: &[u8], cache: &Path) -> Result<(Arc<LoadedModule>, ModuleCost)> {
    let compiled = load(&host(cache)?, bytes, "{}")?;
    let compile_time = compiled.compile_time().unwrap_or_default();
    drop(compiled);
    let host = host(cache)?;
    let began = Instant::now();
    let module = Arc::new(load(&host, bytes, "{}")?);
    let load_time = began.elapsed();
    let rule = rule(&module);
    let objects = objects(1, 0);
    let input = objects[0].input();
    let mut starts = vec![];
    let before = anonymous_bytes(std::process::id());
    let mut alive = vec![];
    for _ in 0..LIVE_INSTANCES {
        let mut trial = module.trial(&rule);
        black_box(trial.ask(&rule, &input, None));
        starts.extend(trial.start_time());
        alive.push(trial);
    }
    let grown = anonymous_bytes(std::process::id()).saturating_sub(before);
    starts.sort_unstable();
    let us = |time: Duration| time.as_nanos() as f64 / 1e3;
    let cost = ModuleCost {
        module_bytes: module.module_bytes(),
        code_bytes: module.code_bytes(),
        compile_us: us(compile_time),
        load_from_cache_us: us(load_time),
        instance_start_us: starts.get(starts.len() / 2).copied().map_or(0.0, us),
        instance_bytes: grown / LIVE_INSTANCES as u64,
    };
    Ok((module, cost))
}

/// Every way with both sizes of objects, round by round, so that a disturbance meets them all.
fn throughput(
    wanted: &Wanted,
    narrow: &Arc<LoadedModule>,
    wide: &Arc<LoadedModule>,
) -> Result<Vec<Row>> {
    let few = objects(wanted.objects, 0);
    let many = objects(wanted.objects, MORE);
    let few: Vec<_> = few.iter().map(Object::input).collect();
    let many: Vec<_> = many.iter().map(Object::input).collect();
    let mut ways = vec![Way {
        name: "native",
        attributes: 6,
        map: Box::new(|inputs| Ok(inputs.iter().map(native::map).collect())),
    }];
    for (attributes, module) in [(6, narrow), (6 + MORE, wide)] {
        let rule = rule(module);
        let generation = Generation::new(vec![module.clone()]);
        let map =
            move |inputs: &[RuleInput<'_>]| Ok(generation.at(NOW).apply(RuleId(0), &rule, inputs));
        ways.push(Way { name: "host", attributes, map: Box::new(map) });
    }
    #[cfg(feature = "engines")]
    for attributes in [6, 6 + MORE] {
        let lua = engines::LuaRule::new()?;
        let map =
            move |inputs: &[RuleInput<'_>]| inputs.iter().map(|input| lua.map(input)).collect();
        ways.push(Way { name: "Lua", attributes, map: Box::new(map) });
        let rhai = engines::RhaiRule::new()?;
        let map =
            move |inputs: &[RuleInput<'_>]| inputs.iter().map(|input| rhai.map(input)).collect();
        ways.push(Way { name: "rhai", attributes, map: Box::new(map) });
    }
    ways.retain(|way| {
        way.name == "native" || wanted.way.as_ref().is_none_or(|only| way.name == only)
    });
    let mut best = vec![Duration::MAX; ways.len()];
    let truth: Vec<_> = few.iter().map(native::map).collect();
    for _ in 0..wanted.rounds {
        for (way, best) in ways.iter().zip(&mut best) {
            let inputs = if way.attributes == 6 { &few } else { &many };
            let began = Instant::now();
            let outcomes = black_box((way.map)(inputs)?);
            *best = began.elapsed().min(*best);
            if outcomes != truth {
                let what = format!("{} of {} attributes maps otherwise", way.name, way.attributes);
                return Err(BenchError::Counts(vec![what]));
            }
        }
    }
    let ns = |time: &Duration| time.as_nanos() as f64 / wanted.objects as f64;
    let native = best.first().map_or(1.0, ns);
    let row = |(way, best): (&Way<'_>, &Duration)| Row {
        who: way.name,
        attributes: way.attributes,
        ns_per_object: ns(best),
        to_native: ns(best) / native,
    };
    Ok(ways.iter().zip(&best).map(row).collect())
}

fn goals(rows: &[Row]) -> Vec<Goal> {
    let of = |who: &str, attributes| {
        let row = rows.iter().find(|row| row.who == who && row.attributes == attributes);
        row.map(|row| row.ns_per_object)
    };
    let mut goals = vec![];
    let mut goal = |what: String, found: Option<f64>, peer: Option<f64>, at_most| {
        if let (Some(found), Some(peer)) = (found, peer) {
            let found = found / peer;
            goals.push(Goal { what, found, at_most, met: found <= at_most });
        }
    };
    let host = of("host", 6);
    goal("host, 6 attributes, times native".into(), host, of("native", 6), HOST_TO_NATIVE_MAX);
    for attributes in [6, 6 + MORE] {
        for engine in ["Lua", "rhai"] {
            let what = format!("host, {attributes} attributes, times {engine}");
            goal(what, of("host", attributes), of(engine, attributes), 1.0);
        }
    }
    goals
}

fn table(wanted: &Wanted, rows: &[Row], cost: &ModuleCost, goals: &[Goal]) -> String {
    let mut text = String::new();
    let build = if cfg!(debug_assertions) { "development" } else { "release" };
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        text.write_fmt(arguments).expect("a String takes all that is written to it");
        text.push('\n');
    };
    line(format_args!(
        "{} objects, best of {} rounds, one thread, {build} build",
        wanted.objects, wanted.rounds
    ));
    line(format_args!("{:<8} {:>10} {:>12} {:>10}", "way", "attributes", "ns/object", "x native"));
    for Row { who, attributes, ns_per_object, to_native } in rows {
        line(format_args!("{who:<8} {attributes:>10} {ns_per_object:>12.0} {to_native:>10.2}"));
    }
    if !cfg!(feature = "engines") {
        line(format_args!("skipped: Lua, rhai: built without `--features kakehi-tests/engines`"));
    }
    line(format_args!(
        "module: {} bytes, code {} bytes, compiled in {:.0} us, loaded from the cache in {:.0} us",
        cost.module_bytes, cost.code_bytes, cost.compile_us, cost.load_from_cache_us
    ));
    line(format_args!(
        "instance: starts in {:.1} us, {} bytes resident",
        cost.instance_start_us, cost.instance_bytes
    ));
    for Goal { what, found, at_most, met } in goals {
        let verdict = if *met { "met" } else { "missed" };
        line(format_args!("goal {verdict}: {what}: {found:.2}, at most {at_most}"));
    }
    text
}

/// One user, with what belongs to it.
struct Object(BTreeMap<AttributeName, Vec<Value>>);

// === impl Object ===

impl Object {
    fn input(&self) -> RuleInput<'_> {
        RuleInput {
            class: "user",
            attributes: self
                .0
                .iter()
                .map(|(name, values)| (name, values.as_slice().into()))
                .collect(),
            imported: vec![],
            parameters: vec![("Domain.FQDN", "corp.example")],
        }
    }
}

fn objects(count: usize, more: usize) -> Vec<Object> {
    let object = |number: usize| {
        let mut id = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\0\0\0\0";
        id[12..].copy_from_slice(&(number as u32).to_be_bytes());
        let mut all = BTreeMap::from([
            ("givenName".into(), vec![Value::text(format!("Taro {number}"))]),
            ("mail".into(), vec![Value::text(format!("Taro.YAMADA.{number}@Corp.Example"))]),
            ("objectGUID".into(), vec![Value::Binary(id.to_vec())]),
            ("sAMAccountName".into(), vec![Value::text(format!("T.YAMADA{number}"))]),
            ("sn".into(), vec![Value::text("Yamada")]),
            ("userAccountControl".into(), vec![Value::Integer(512 + (number as i64 % 2) * 2)]),
        ]);
        for extra in 0..more {
            let value = Value::text(format!("value {extra} of the user {number}"));
            all.insert(format!("zz{extra:02}").into(), vec![value]);
        }
        Object(all)
    };
    (0..count).map(object).collect()
}

/// A rule that may write what the module's contract says.
fn rule(module: &LoadedModule) -> Rule {
    let writes = module.contract.writes.iter();
    Rule {
        tag: RuleTag("mapping@bench".into()),
        name: "mapping".into(),
        description: String::new(),
        direction: Direction::Inbound,
        connector: "bench".into(),
        cs_class: "user".into(),
        mv_class: "person".into(),
        precedence: 100,
        link: LinkType::Join,
        scope: Scope::default(),
        join: vec![],
        on_scope_exit: OnScopeExit::Release,
        on_delete: OnDelete::Disable,
        contract: Contract {
            reads: module.contract.reads.iter().cloned().collect::<BTreeSet<_>>(),
            writes: writes.map(|name| (name.clone(), WritePolicy::default())).collect(),
            ..Contract::default()
        },
        parameters: BTreeMap::new(),
        module: ModuleIdentity {
            source: String::new(),
            sha256: String::new(),
            config_sha256: String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use kakehi_engine::flow::Contribution;
    use kakehi_guest::{Entry, Rule as _, Verdict};

    use super::*;

    /// The module and the plain function are two texts of one mapping.
    #[test]
    fn the_module_maps_as_the_plain_function_does() {
        for object in objects(4, 2) {
            let mut entry = Entry::of_class("user").with_param("Domain.FQDN", "corp.example");
            for (name, values) in &object.0 {
                entry = match &values[0] {
                    Value::Text(text) => entry.with(name.as_str(), text.as_str()),
                    Value::Integer(number) => entry.with(name.as_str(), *number),
                    Value::Binary(bytes) => entry.with(name.as_str(), bytes.clone()),
                    other => panic!("{other:?}"),
                };
            }
            let Verdict::Flow(flows) = guest::Mapping::apply(&entry) else { panic!("no flows") };
            let RuleOutcome::Flows(expected) = native::map(&object.input()) else {
                panic!("no flows")
            };
            assert_eq!(flows.len(), expected.len());
            for (flow, expected) in flows.iter().zip(&expected) {
                assert_eq!(flow.attribute, expected.attribute.as_str());
                let kakehi_guest::Contribution::Values(values) = &flow.contribution else {
                    panic!("{flow:?}")
                };
                let Contribution::Values(expected) = &expected.contribution else {
                    panic!("{expected:?}")
                };
                let found = match &values[0] {
                    kakehi_guest::Value::Text(text) => Value::text(text.as_str()),
                    kakehi_guest::Value::Boolean(flag) => Value::Boolean(*flag),
                    other => panic!("{other:?}"),
                };
                assert_eq!([found].as_slice(), expected.as_slice());
            }
        }
    }

    #[test]
    fn a_goal_is_a_ratio_within_the_run() {
        let row =
            |who, attributes, ns_per_object| Row { who, attributes, ns_per_object, to_native: 1.0 };
        let goals = goals(&[row("native", 6, 100.0), row("host", 6, 650.0), row("Lua", 6, 600.0)]);
        let found: Vec<_> = goals.iter().map(|goal| (goal.found, goal.met)).collect();
        assert_eq!(found, [(6.5, true), (650.0 / 600.0, false)]);
    }
}
