//! For tests: guests in WAT, rules and objects.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::flow::{RuleInput, RuleOutcome, Rules as _};
use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::rule::{
    Contract, Direction, LinkType, ModuleIdentity, OnDelete, OnScopeExit, Rule, RuleId, RuleTag,
    WritePolicy,
};
use kakehi_engine::scope::Scope;
use kakehi_engine::time::Timestamp;

use crate::{Generation, Host, Limits, LoadError, LoadedModule, ModuleSpec, Options};

/// The instant of every run here.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_790_000_000);

/// Returns the contract: reads `dn`, writes `displayName`, not volatile.
const DESCRIBE: &str = "(i32.const 128)";

/// Sets `displayName` to the values of the first attribute, as they came.
pub(crate) const COPY: &str = "
    (i32.store (i32.const 300) (i32.load offset=8 (local.get $attributes)))
    (i32.store (i32.const 304) (i32.load offset=12 (local.get $attributes)))
    (i32.const 256)";

/// The imports of a guest that logs and asks for the instant.
pub(crate) const HOST: &str = r#"
    (import "kakehi:rules/host@0.1.0" "log" (func $log (param i32 i32 i32)))
    (import "kakehi:rules/host@0.1.0" "now" (func $now (result i64)))"#;

/// A guest as WAT text, with everything that a rule needs and room for one thing that is odd about
/// it.
///
/// Memory: 16 `dn`, 32 `displayName`, 64 the list of both, 128 the contract, 256 the verdict, 288
/// its only flow, 4096 the arena, which grows.
pub(crate) struct Guest<'a> {
    pub(crate) imports: &'a str,
    /// More functions, globals, data.
    pub(crate) extra: &'a str,
    pub(crate) describe: &'a str,
    pub(crate) apply: &'a str,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Self { imports: "", extra: "", describe: DESCRIBE, apply: COPY }
    }
}

impl Guest<'_> {
    pub(crate) fn wat(&self) -> String {
        let Self { imports, extra, describe, apply } = self;
        format!(
            r#"(module {imports}
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 4096))
  (data (i32.const 16) "dn") (data (i32.const 32) "displayName")
  (data (i32.const 64) "\10\00\00\00\02\00\00\00\20\00\00\00\0b\00\00\00")
  (data (i32.const 132) "\40\00\00\00\01\00\00\00")
  (data (i32.const 156) "\48\00\00\00\01\00\00\00")
  (data (i32.const 260) "\20\01\00\00\01\00\00\00")
  (data (i32.const 288) "\20\00\00\00\0b\00\00\00")
  {extra}
  (func (export "kakehi_rules_0_1"))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $p i32)
    (local.set $p (i32.and (i32.add (global.get $top) (i32.sub (local.get 2) (i32.const 1)))
                           (i32.sub (i32.const 0) (local.get 2))))
    (global.set $top (i32.add (local.get $p) (local.get 3)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits (i32.ne (i32.const -1) (memory.grow (i32.add (i32.const 1)
        (i32.div_u (i32.sub (global.get $top) (i32.mul (memory.size) (i32.const 65536)))
                   (i32.const 65536))))))
      (unreachable))
    (local.get $p))
  (func (export "describe") (param $config i32) (param $config_len i32) (result i32) {describe})
  (func (export "apply") (param $class i32) (param $class_len i32)
    (param $attributes i32) (param $attributes_len i32)
    (param $imported i32) (param $imported_len i32)
    (param $parameters i32) (param $parameters_len i32) (result i32) {apply})
  (func (export "cabi_post_describe") (param i32) (global.set $top (i32.const 4096)))
  (func (export "cabi_post_apply") (param i32) (global.set $top (i32.const 4096))))"#
        )
    }
}

/// One worker, no cache.
pub(crate) fn options() -> Options {
    Options { workers: 1, ..Options::default() }
}

pub(crate) fn host() -> Host {
    Host::new(options()).unwrap()
}

pub(crate) fn spec(bytes: &[u8]) -> ModuleSpec<'_> {
    // Time enough for the busiest machine: only guests that never end run into it.
    let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
    ModuleSpec { name: "rule", bytes, config: "{}", limits, api: None }
}

pub(crate) fn load(wat: &str) -> Result<LoadedModule, LoadError> {
    host().load(&spec(wat.as_bytes()))
}

/// What came of loading, as a user would read it.
pub(crate) fn loaded(host: &Host, spec: &ModuleSpec<'_>) -> String {
    let found = match host.load(spec) {
        Ok(module) => format!("interface {}", module.interface),
        Err(error) => match &error.hint {
            Some(hint) => format!("{error}\nhint: {hint}"),
            None => error.to_string(),
        },
    };
    folded(&found)
}

/// The text with its lines broken at blanks, so that what is expected fits on a page.
pub(crate) fn folded(text: &str) -> String {
    let mut folded = String::new();
    for line in text.lines() {
        let mut width = 0;
        for word in line.split(' ') {
            if width > 0 {
                let fits = width + 1 + word.len() <= 80;
                folded.push(if fits { ' ' } else { '\n' });
                width = if fits { width + 1 } else { 0 };
            }
            folded.push_str(word);
            width += word.len();
        }
        folded.push('\n');
    }
    folded
}

/// A rule that may write these attributes.
pub(crate) fn rule(direction: Direction, writes: &[(&str, bool)]) -> Rule {
    let writes = writes
        .iter()
        .map(|(name, enabled)| {
            ((*name).into(), WritePolicy { enabled: *enabled, ..WritePolicy::default() })
        })
        .collect();
    Rule {
        tag: RuleTag("rule@forest-a".into()),
        name: "rule".into(),
        description: String::new(),
        direction,
        connector: "forest-a".into(),
        cs_class: "user".into(),
        mv_class: "person".into(),
        precedence: 100,
        link: LinkType::Join,
        scope: Scope::default(),
        join: vec![],
        on_scope_exit: OnScopeExit::Release,
        on_delete: OnDelete::Disable,
        contract: Contract { writes, ..Contract::default() },
        parameters: [].into(),
        module: ModuleIdentity {
            source: String::new(),
            sha256: String::new(),
            config_sha256: String::new(),
        },
    }
}

/// An object of a class, whose only attribute is `dn`.
pub(crate) fn object<'a>(
    class: &'a str,
    dn: &'a AttributeName,
    values: &'a [Value],
) -> RuleInput<'a> {
    RuleInput {
        class,
        attributes: vec![(dn, Cow::Borrowed(values))],
        imported: vec![],
        parameters: vec![],
    }
}

/// Asks a module about one object per class; the `dn` of each is the class with its position.
pub(crate) fn ask(module: impl Into<Arc<LoadedModule>>, classes: &[&str]) -> Vec<RuleOutcome> {
    let dn = AttributeName::from("dn");
    let values: Vec<_> = classes
        .iter()
        .enumerate()
        .map(|(index, class)| [Value::text(format!("{class} {index}"))])
        .collect();
    let inputs: Vec<_> =
        classes.iter().zip(&values).map(|(class, values)| object(class, &dn, values)).collect();
    let rule = rule(Direction::Inbound, &[("displayName", true)]);
    Generation::new(vec![module.into()]).at(NOW).apply(RuleId(0), &rule, &inputs)
}
