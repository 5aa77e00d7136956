//! From the bytes of a file to a component: WAT text is assembled, a core module is wrapped in the
//! world it was built for, with the powerless `wasi_snapshot_preview1` if its language insists on
//! one.

use std::borrow::Cow;

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use super::inspect::{Form, Inspected};
use crate::error::LoadError;
use crate::text::one_line;

/// The name under which languages that target WASI import it.
pub(crate) const PREVIEW1: &str = "wasi_snapshot_preview1";

/// What stands behind [`PREVIEW1`].
pub(crate) const PREVIEW1_STUB: &str = include_str!("preview1_stub.wat");

/// The binary form of a module. Errors: K0503 for text that is not WAT, and for machine code.
pub(crate) fn to_binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(LoadError::new(
            "K0503",
            "it is precompiled machine code, which is not accepted",
        )
        .with_hint("name the WebAssembly module itself; it is compiled when it loads"));
    }
    wat::parse_bytes(bytes).map_err(|error| {
        // The first two lines say what and where; the others quote the text.
        let why = error.to_string().lines().take(2).collect::<Vec<_>>().join("\n");
        let why = one_line(&why).replace("--> <anon>:", "at ");
        LoadError::new("K0503", format!("not WebAssembly: {why}"))
    })
}

/// The component of a module. Errors: K0506 if exports are missing or of another type.
pub(crate) fn to_component<'a>(
    module: Cow<'a, [u8]>,
    inspected: &Inspected,
) -> Result<Cow<'a, [u8]>, LoadError> {
    let Form::Core { typed, stubbed } = inspected.form else {
        return Ok(module);
    };
    let encode = || {
        let mut module = module.into_owned();
        if !typed {
            let mut resolve = Resolve::default();
            let package = resolve.push_source("rules.wit", inspected.version.wit())?;
            let world = resolve.select_world(&[package], Some("rule"))?;
            let encoding = StringEncoding::UTF8;
            wit_component::embed_component_metadata(&mut module, &resolve, world, encoding)?;
        }
        let mut encoder = ComponentEncoder::default().validate(true).module(&module)?;
        if stubbed {
            encoder = encoder.adapter(PREVIEW1, &stub())?;
        }
        encoder.encode()
    };
    match encode() {
        Ok(component) => Ok(component.into()),
        Err(error) => Err(not_a_rule(&one_line(&error.root_cause().to_string()))),
    }
}

/// The module does not have the exports of a rule.
pub(crate) fn not_a_rule(why: &str) -> LoadError {
    LoadError::new("K0506", format!("is not a rule: {why}"))
        .with_hint("a rule exports `memory`, `cabi_realloc`, `describe` and `apply`")
}

/// The functions that the stub has.
pub(crate) fn stub_functions() -> Vec<String> {
    let stub = stub();
    let types = wasmparser::Validator::new()
        .validate_all(&stub)
        .expect("the stub is part of this program and tested");
    let exports = types.as_ref().core_exports().into_iter().flatten();
    exports.map(|(name, _)| name.to_owned()).collect()
}

fn stub() -> Vec<u8> {
    wat::parse_str(PREVIEW1_STUB).expect("the stub is part of this program and tested")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::fixture::{Guest, ask, load};

    #[test]
    fn wasi_of_language_runtimes_ends_in_a_powerless_stub() {
        let imports = r#"
            (import "wasi_snapshot_preview1" "clock_time_get"
                (func $clock (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get"
                (func $random (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
        // `displayName` is two random bytes and the length that `fd_write` reports; the clock
        // advances.
        let apply = "
            (if (i32.eq (local.get $class_len) (i32.const 5)) (then (call $exit (i32.const 0))))
            (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 520)))
            (if (i64.ne (i64.load (i32.const 520)) (i64.const 1000)) (then (unreachable)))
            (drop (call $random (i32.const 528) (i32.const 2)))
            (i32.store (i32.const 536) (i32.const 16)) (i32.store (i32.const 540) (i32.const 64))
            (drop (call $write (i32.const 1) (i32.const 536) (i32.const 1) (i32.const 530)))
            (i32.store8 (i32.const 512) (i32.const 0))
            (i32.store (i32.const 520) (i32.const 528)) (i32.store (i32.const 524) (i32.const 3))
            (i32.store (i32.const 300) (i32.const 512)) (i32.store (i32.const 304) (i32.const 1))
            (i32.const 256)";
        let module = load(&Guest { imports, apply, ..Guest::default() }.wat()).unwrap();
        expect!["imports `wasi_snapshot_preview1`: it gets a powerless stub"]
            .assert_eq(&module.warnings.join("\n"));
        let outcomes = ask(module, &["user", "abuse", "user"]);
        expect![[r#"
            [
                Flows(
                    [
                        Flow {
                            attribute: "displayName",
                            contribution: Values(
                                [
                                    Text(
                                        "ZZ@",
                                    ),
                                ],
                            ),
                        },
                    ],
                ),
                Trapped {
                    trap: Trap,
                    message: "trapped: wasm `unreachable` instruction executed",
                },
                Flows(
                    [
                        Flow {
                            attribute: "displayName",
                            contribution: Values(
                                [
                                    Text(
                                        "ZZ@",
                                    ),
                                ],
                            ),
                        },
                    ],
                ),
            ]"#]]
        .assert_eq(&format!("{outcomes:#?}"));
    }
}
