//! Loading: bytes and configuration in, a [`LoadedModule`] with its contract out (rules.md 5.2,
//! steps 2 to 7). Start and reload take this one path.

pub(crate) mod anatomy;
mod cache;
pub(crate) mod compile;
pub(crate) mod file;
pub(crate) mod inspect;
pub(crate) mod pack;
pub(crate) mod signature;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use kakehi_engine::flow::Trap;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::abi::RuleModule;
use crate::contract::DeclaredContract;
use crate::engine::{Engines, Options};
use crate::error::{HostError, LoadError};
use crate::fault::Fault;
use crate::instance::Instance;
use crate::limits::Limits;
use crate::log::InstanceLog;
use crate::text::{one_line, size};
use cache::Cache;
use file::{check_size, sha256};
use inspect::{Form, inspect};

/// Longest configuration of a rule as JSON: thousands of flows.
pub const CONFIG_BYTES_MAX: usize = 1024 * 1024;

/// A module as the manifest names it.
#[derive(Clone, Copy, Debug)]
pub struct ModuleSpec<'a> {
    /// For log lines while it loads: the rule's name.
    pub name: &'a str,
    /// A component, a core module, or WAT text.
    pub bytes: &'a [u8],
    /// JSON, `{}` if the manifest has none.
    pub config: &'a str,
    pub limits: Limits,
    /// `module.api`: the interface version of a core module that does not say it itself.
    pub api: Option<&'a str>,
}

/// Everything that modules need to run. Modules keep what they need of it alive.
pub struct Host {
    shared: Arc<Shared>,
    compiled: Mutex<BTreeMap<CodeKey, Weak<Code>>>,
}

pub(crate) struct Shared {
    engines: Engines,
    pub(crate) options: Options,
}

/// What compiled code depends on: module, `module.api`, whether it counts fuel.
type CodeKey = (String, Option<String>, bool);

/// Code of one module, shared by all rules that use it.
struct Code {
    engine: Engine,
    module: Box<dyn RuleModule>,
    interface: &'static str,
    warnings: Vec<String>,
    module_bytes: usize,
    code_bytes: usize,
    /// `None`: it was not compiled but taken from the cache.
    compile_time: Option<Duration>,
}

/// A module with one configuration, ready to run.
pub struct LoadedModule {
    /// Of the bytes, lower-case hexadecimal.
    pub sha256: String,
    /// Of the configuration, lower-case hexadecimal.
    pub config_sha256: String,
    /// The interface version that the module was built for: `0.1`.
    pub interface: String,
    pub contract: DeclaredContract,
    /// What an administrator should know, each with its code if it has one.
    pub warnings: Vec<String>,
    code: Arc<Code>,
    config: String,
    limits: Limits,
    shared: Arc<Shared>,
}

// === impl Host ===

impl Host {
    pub fn new(options: Options) -> Result<Self, HostError> {
        let shared = Shared { engines: Engines::new()?, options };
        Ok(Self { shared: Arc::new(shared), compiled: Mutex::default() })
    }

    /// Makes a module ready to run and asks it for its contract, which the caller then holds
    /// against the manifest with [`check_contract`](crate::check_contract).
    ///
    /// A module that is already loaded with another configuration is not compiled again. Errors:
    /// K0501 too large; K0503 to K0507 no usable module; K0508, K0509 `describe` refused or failed.
    pub fn load(&self, spec: &ModuleSpec<'_>) -> Result<LoadedModule, LoadError> {
        check_size(spec.bytes)
            .map_err(|why| LoadError::new("K0501", format!("cannot use the module: {why}")))?;
        if spec.config.len() > CONFIG_BYTES_MAX {
            let message = format!("the configuration has more than {}", size(CONFIG_BYTES_MAX));
            return Err(LoadError::new("K0509", message));
        }
        spec.limits.check().map_err(|fault| {
            LoadError::new("K0509", format!("its limits are of no use: {fault}"))
        })?;
        let sha256 = sha256(spec.bytes);
        let code = self.code(spec, &sha256)?;
        let log = InstanceLog::new(spec.name.into(), self.shared.options.log.clone());
        let (engine, module) = (&code.engine, code.module.as_ref());
        let time = self.shared.options.describe_time;
        let described = Instance::start(engine, module, spec.limits, time, log, spec.config);
        let contract = match described {
            Ok((_, Ok(contract))) => contract.into(),
            Ok((_, Err(words))) => {
                let message = format!("the module refuses its configuration; it says: `{words}`");
                return Err(LoadError::new("K0508", message));
            }
            Err(Fault { trap, message }) => {
                let message = format!("`describe` failed: {message} ({})", trap.as_str());
                return Err(LoadError::new("K0509", message));
            }
        };
        Ok(LoadedModule {
            sha256,
            config_sha256: file::sha256(spec.config.as_bytes()),
            interface: code.interface.into(),
            contract,
            warnings: code.warnings.clone(),
            code,
            config: spec.config.into(),
            limits: spec.limits,
            shared: self.shared.clone(),
        })
    }

    fn code(&self, spec: &ModuleSpec<'_>, sha256: &str) -> Result<Arc<Code>, LoadError> {
        let metered = spec.limits.fuel.is_some();
        let key = (sha256.to_owned(), spec.api.map(str::to_owned), metered);
        // Not locked while compiling: that takes seconds for some languages.
        let known = self.known_code().get(&key).and_then(Weak::upgrade);
        if let Some(code) = known {
            return Ok(code);
        }
        let code = Arc::new(guarded(|| self.make_code(spec, sha256, metered))?);
        let mut compiled = self.known_code();
        compiled.retain(|_, code| code.strong_count() > 0);
        compiled.insert(key, Arc::downgrade(&code));
        Ok(code)
    }

    fn known_code(&self) -> std::sync::MutexGuard<'_, BTreeMap<CodeKey, Weak<Code>>> {
        // The map is whole after every statement, so a panic elsewhere did not spoil it.
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_code(
        &self,
        spec: &ModuleSpec<'_>,
        sha256: &str,
        metered: bool,
    ) -> Result<Code, LoadError> {
        let engine = self.shared.engines.get(metered);
        let module = pack::to_binary(spec.bytes)?;
        let inspected = inspect(&module, spec.api)?;
        let mut warnings = vec![];
        if matches!(inspected.form, Form::Core { stubbed: true, .. }) {
            warnings.push(format!("imports `{}`: it gets a powerless stub", pack::PREVIEW1));
        }
        let mut compile_time = None;
        let compile = || {
            let began = Instant::now();
            let component = pack::to_component(module, &inspected)?;
            let time_max = self.shared.options.compile_time;
            let compiled = compile::compile(engine, component.into_owned(), time_max)?;
            compile_time = Some(began.elapsed());
            Ok(compiled)
        };
        let component = self.cached(engine, sha256, compile, &mut warnings)?;
        let module = inspected
            .version
            .adapt(engine, &component)
            .map_err(|error| pack::not_a_rule(&one_line(&format!("{error:#}"))))?;
        let image = component.image_range();
        Ok(Code {
            engine: engine.clone(),
            module,
            interface: inspected.version.as_str(),
            warnings,
            module_bytes: spec.bytes.len(),
            code_bytes: image.end.addr() - image.start.addr(),
            compile_time,
        })
    }

    /// Takes compiled code from the cache, or compiles and keeps it. A cache that cannot be used is
    /// worth a warning, no more.
    fn cached(
        &self,
        engine: &Engine,
        sha256: &str,
        compile: impl FnOnce() -> Result<Component, LoadError>,
        warnings: &mut Vec<String>,
    ) -> Result<Component, LoadError> {
        let mut warn = |message| warnings.push(LoadError::new("K0514", message).to_string());
        let cache = match self.shared.options.cache.as_deref().map(Cache::open) {
            Some(Ok(cache)) => cache,
            Some(Err(why)) => {
                warn(why);
                return compile();
            }
            None => return compile(),
        };
        if let Some(component) = cache.load(engine, sha256) {
            return Ok(component);
        }
        let component = compile()?;
        if let Err(why) = cache.save(engine, sha256, &component) {
            warn(why);
        }
        Ok(component)
    }
}

/// Runs what reads a module that nobody trusts. Its readers are not ours: where one panics, the
/// module is refused, and the process goes on.
fn guarded<T>(read: impl FnOnce() -> Result<T, LoadError>) -> Result<T, LoadError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let why = compile::words(&*panic);
        Err(LoadError::new("K0503", format!("cannot read the module: its reader failed: {why}")))
    })
}

// === impl LoadedModule ===

impl LoadedModule {
    /// A fresh instance that described itself as it did when it was loaded.
    ///
    /// Errors: [`Trap::Start`] or [`Trap::ContractChanged`]; either concerns every object that
    /// waits.
    pub(crate) fn start(&self, rule: Arc<str>) -> Result<Instance, Fault> {
        let log = InstanceLog::new(rule, self.options().log.clone());
        let Code { engine, module, .. } = &*self.code;
        let time = self.options().describe_time;
        let (instance, contract) =
            Instance::start(engine, module.as_ref(), self.limits, time, log, &self.config)
                .map_err(Fault::at_start)?;
        let changed = |message| Fault { trap: Trap::ContractChanged, message };
        match contract.map(DeclaredContract::from) {
            Ok(contract) if self.contract.agrees_with(&contract) => Ok(instance),
            Ok(_) => Err(changed("describes itself otherwise than when it was loaded".into())),
            Err(words) => {
                Err(changed(format!("refuses the configuration it was loaded with: `{words}`")))
            }
        }
    }

    /// How long packing and compiling took; `None` if the cache had the code.
    pub fn compile_time(&self) -> Option<Duration> {
        self.code.compile_time
    }

    /// Whether the code was not compiled by this process.
    pub fn from_cache(&self) -> bool {
        self.code.compile_time.is_none()
    }

    /// Size of the module as it was given.
    pub fn module_bytes(&self) -> usize {
        self.code.module_bytes
    }

    /// Size of the machine code with its tables.
    pub fn code_bytes(&self) -> usize {
        self.code.code_bytes
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::fixture::{Guest, HOST, ask, host, load, loaded, spec};

    fn check(wat: &str, expected: &Expect) {
        check_with(&spec(wat.as_bytes()), expected);
    }

    fn check_with(spec: &ModuleSpec<'_>, expected: &Expect) {
        expected.assert_eq(&loaded(&host(), spec));
    }

    /// The plain guest, with one piece of its text replaced.
    fn edited(from: &str, to: &str) -> String {
        let wat = Guest::default().wat();
        assert!(wat.contains(from));
        wat.replace(from, to)
    }

    /// A component that imports an empty instance under this name, and exports nothing.
    fn component_importing(name: &str) -> Vec<u8> {
        // A type section with an empty instance type, then an import section that uses it.
        let mut bytes = b"\0asm\x0d\0\x01\0\x07\x03\x01\x42\0\x0a".to_vec();
        let length = u8::try_from(name.len()).unwrap();
        bytes.extend([length + 5, 1, 0, length]);
        bytes.extend(name.as_bytes());
        bytes.extend([5, 0]);
        bytes
    }

    #[test]
    fn g03_a_component_and_its_core_module_behave_alike() {
        let wat = Guest::default().wat();
        let module = pack::to_binary(wat.as_bytes()).unwrap();
        let inspected = inspect(&module, None).unwrap();
        let component = pack::to_component(module, &inspected).unwrap();
        let loaded = host().load(&spec(&component)).unwrap();
        assert_eq!(loaded.contract, load(&wat).unwrap().contract);
        assert_eq!(ask(loaded, &["user"]), ask(load(&wat).unwrap(), &["user"]));
    }

    #[test]
    fn k0507_what_the_compiler_cannot_do_is_refused() {
        let labels = "0 ".repeat(70_000);
        let extra = format!("(func (param i32) (br_table {labels} (local.get 0)))");
        check(
            &Guest { extra: &extra, ..Guest::default() }.wat(),
            &expect![[r#"
            cannot compile the module: failed to compile: wasm[0]::function[0]: WebAssembly
            translation error: Unsupported feature: `br_table` has 69999 targets, which
            exceeds the implementation limit of 65520 (K0507)
        "#]],
        );
    }

    #[test]
    fn a_good_module_says_what_it_reads_and_writes() {
        let module = load(&Guest::default().wat()).unwrap();
        assert_eq!(module.interface, "0.1");
        assert_eq!(module.sha256, sha256(Guest::default().wat().as_bytes()));
        assert_eq!(module.config_sha256, sha256(b"{}"));
        assert_eq!(module.contract.reads, ["dn".into()]);
        assert_eq!(module.contract.writes, ["displayName".into()]);
        assert!(module.warnings.is_empty());
    }

    #[test]
    fn k0503_what_is_not_webassembly_is_refused() {
        check(
            "",
            &expect![[r#"
            not WebAssembly: expected at least one module field at 1:1 (K0503)
        "#]],
        );
        check(
            "not a module",
            &expect![[r#"
            not WebAssembly: expected `(` at 1:1 (K0503)
        "#]],
        );
        check_with(
            &spec(b"\0asm\x01\0\0\0\xff"),
            &expect![[r#"
            not a valid WebAssembly module: malformed section id (at offset 0x8) (K0503)
        "#]],
        );
        check_with(
            &spec(b"\x7f\xff\xfe"),
            &expect![[r#"
            not WebAssembly: input bytes aren't valid utf-8 (K0503)
        "#]],
        );
        check(
            r#"(module (func (result i32)))"#,
            &expect![[r#"
            not a valid WebAssembly module: type mismatch: expected i32 but nothing on stack
            (at offset 0x18) (K0503)
        "#]],
        );
        let host = host();
        let engine = host.shared.engines.get(false);
        let precompiled = engine.precompile_module(b"\0asm\x01\0\0\0").unwrap();
        check_with(
            &spec(&precompiled),
            &expect![[r#"
                it is precompiled machine code, which is not accepted (K0503)
                hint: name the WebAssembly module itself; it is compiled when it loads
            "#]],
        );
    }

    #[test]
    fn k0504_foreign_imports_are_refused_by_name() {
        let importing = |imports| Guest { imports, ..Guest::default() }.wat();
        check(
            &importing(r#"(import "env" "system" (func (param i32) (result i32)))"#),
            &expect![[r#"
                imports `env::system`, which rules cannot have (K0504)
            "#]],
        );
        check(
            &importing(r#"(import "wasi_snapshot_preview1" "path_open" (func (param i32)))"#),
            &expect![[r#"
                imports `wasi_snapshot_preview1::path_open`, which rules cannot have (K0504)
                hint: build with `--stub-wasi` or for wasm32-unknown-unknown
            "#]],
        );
        check_with(
            &spec(&component_importing("wasi:cli/environment@0.2.0")),
            &expect![[r#"
                imports `wasi:cli/environment@0.2.0`, which rules cannot have (K0504)
                hint: build with `--stub-wasi` or for wasm32-unknown-unknown
            "#]],
        );
    }

    #[test]
    fn k0505_the_version_must_be_found_and_known() {
        let unmarked = edited(r#"(func (export "kakehi_rules_0_1"))"#, "");
        check(
            &unmarked,
            &expect![[r#"
                does not say which version of `kakehi:rules` it was built for (K0505)
                hint: export a function `kakehi_rules_0_1`, or set `module.api` in the manifest
            "#]],
        );
        check_with(
            &ModuleSpec { api: Some("0.1"), ..spec(unmarked.as_bytes()) },
            &expect![[r#"
                interface 0.1
            "#]],
        );
        check_with(
            &ModuleSpec { api: Some("0.3"), ..spec(unmarked.as_bytes()) },
            &expect![[r#"
                needs `kakehi:rules` 0.3, this program knows 0.1 (K0505)
                hint: update Kakehi, or build the module with an SDK of a known version
            "#]],
        );
        check(
            &edited("kakehi_rules_0_1", "kakehi_rules_1_0"),
            &expect![[r#"
                needs `kakehi:rules` 1.0, this program knows 0.1 (K0505)
                hint: update Kakehi, or build the module with an SDK of a known version
            "#]],
        );
        let importing = |version: &str, name: &str| {
            let imports =
                format!(r#"(import "kakehi:rules/host@{version}" "{name}" (func (result i64)))"#);
            Guest { imports: &imports, ..Guest::default() }.wat()
        };
        check(
            &importing("0.1.1", "now"),
            &expect![[r#"
            interface 0.1
        "#]],
        );
        check(
            &importing("0.1.1", "clock"),
            &expect![[r#"
                needs `clock` of `kakehi:rules/host@0.1.1`, which this program does not have
                (K0505)
                hint: update Kakehi, or build the module without it
            "#]],
        );
        check(
            &importing("0.2\\1b[0m", "now"),
            &expect![[r#"
            needs `kakehi:rules` 0.2\u{1b}[0m, this program knows 0.1 (K0505)
            hint: update Kakehi, or build the module with an SDK of a known version
        "#]],
        );
        check(
            &importing("0.2.0", "now"),
            &expect![[r#"
                needs `kakehi:rules` 0.2.0, this program knows 0.1 (K0505)
                hint: update Kakehi, or build the module with an SDK of a known version
            "#]],
        );
    }

    #[test]
    fn k0506_the_exports_of_a_rule_must_be_there() {
        check(
            &edited(r#"(memory (export "memory") 1)"#, "(memory 1)"),
            &expect![[r#"
                is not a rule: module does not export a memory named `memory` (K0506)
                hint: a rule exports `memory`, `cabi_realloc`, `describe` and `apply`
            "#]],
        );
        check(
            &edited(r#"(export "cabi_realloc")"#, ""),
            &expect![[r#"
                is not a rule: module does not export a function named `cabi_realloc` (K0506)
                hint: a rule exports `memory`, `cabi_realloc`, `describe` and `apply`
            "#]],
        );
        check(
            &edited(r#"(export "apply")"#, r#"(export "applies")"#),
            &expect![[r#"
                is not a rule: failed to find export of function `apply` (K0506)
                hint: a rule exports `memory`, `cabi_realloc`, `describe` and `apply`
            "#]],
        );
        check(
            &edited("(param $config i32)", "(param $config i64)"),
            &expect![[r#"
                is not a rule: type mismatch for function `describe`: expected `[I32, I32] ->
                [I32]` but found `[I64, I32] -> [I32]` (K0506)
                hint: a rule exports `memory`, `cabi_realloc`, `describe` and `apply`
            "#]],
        );
        check_with(
            &spec(&component_importing("kakehi:rules/types@0.1.0")),
            &expect![[r#"
                is not a rule: no export `apply` found (K0506)
                hint: a rule exports `memory`, `cabi_realloc`, `describe` and `apply`
            "#]],
        );
    }

    #[test]
    fn k0508_a_refused_configuration_is_told_in_the_modules_words() {
        // An error of two bytes, "dn".
        let describe = "(i32.store8 (i32.const 128) (i32.const 1))
            (i32.store (i32.const 132) (i32.const 16)) (i32.store (i32.const 136) (i32.const 2))
            (i32.const 128)";
        check(
            &Guest { describe, ..Guest::default() }.wat(),
            &expect![[r#"
                the module refuses its configuration; it says: `dn` (K0508)
            "#]],
        );
    }

    #[test]
    fn k0509_a_describe_that_fails_says_how() {
        let describing = |describe| Guest { imports: HOST, describe, ..Guest::default() }.wat();
        check(
            &describing("(unreachable)"),
            &expect![[r#"
            `describe` failed: trapped: wasm `unreachable` instruction executed (trap)
            (K0509)
        "#]],
        );
        check(
            &describing("(drop (call $now)) (i32.const 128)"),
            &expect![[r#"
            `describe` failed: called `now` while it described itself (now) (K0509)
        "#]],
        );
        check(
            &describing("(i32.const -8)"),
            &expect![[r#"
            `describe` failed: broke the calling convention: pointer out of bounds of memory
            (abi) (K0509)
        "#]],
        );
        let extra = "(func $start (unreachable)) (start $start)";
        check(
            &Guest { extra, ..Guest::default() }.wat(),
            &expect![[r#"
            `describe` failed: trapped: wasm `unreachable` instruction executed (trap)
            (K0509)
        "#]],
        );
        let wat = edited(r#"(export "memory") 1)"#, r#"(export "memory") 2000)"#);
        check(
            &wat,
            &expect![[r#"
            `describe` failed: asked for more than 64 MiB of memory (memory) (K0509)
        "#]],
        );
    }

    #[test]
    fn a_configuration_may_have_1_mib_and_no_more() {
        let wat = Guest::default().wat();
        let config = " ".repeat(CONFIG_BYTES_MAX + 1);
        let with = |config| host().load(&ModuleSpec { config, ..spec(wat.as_bytes()) });
        assert!(with(&config[1..]).is_ok());
        assert_eq!(with(&config).err().map(|error| error.code), Some("K0509"));
    }

    #[test]
    fn an_instance_that_no_longer_starts_stops_the_rest_of_the_batch() {
        let mut module = load(&Guest::default().wat()).unwrap();
        module.limits.memory_bytes = 0;
        for outcome in ask(module, &["user", "user"]) {
            let kakehi_engine::flow::RuleOutcome::Trapped { trap, message } = outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!(trap, Trap::Start);
            expect!["cannot start an instance: asked for more than 0 bytes of memory"]
                .assert_eq(&message);
        }
    }

    #[test]
    fn rules_that_share_a_module_share_its_code() {
        let (host, wat) = (host(), Guest::default().wat());
        let one = host.load(&spec(wat.as_bytes())).unwrap();
        let other = host.load(&ModuleSpec { config: "[]", ..spec(wat.as_bytes()) }).unwrap();
        assert!(Arc::ptr_eq(&one.code, &other.code));
        assert_ne!(one.config_sha256, other.config_sha256);
        drop((one, other));
        assert!(host.known_code().values().all(|code| code.upgrade().is_none()));
    }
}
