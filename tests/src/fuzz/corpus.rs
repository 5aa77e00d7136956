//! What is mutated: small rules that work, between them all that a rule may be made of.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = include_str!("../../../guest-sdk/wit/since-v0.1.0/rules.wit");

/// Reads `dn`, writes `displayName`; its parts take what makes it odd.
fn guest(imports: &str, extra: &str, describe: &str, apply: &str) -> String {
    format!(
        r#"(module {imports}
  (memory (export "memory") 2)
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

const COPY: &str = "
    (i32.store (i32.const 300) (i32.load offset=8 (local.get $attributes)))
    (i32.store (i32.const 304) (i32.load offset=12 (local.get $attributes)))
    (i32.const 256)";

/// Answers from the bytes of its first attribute's first value: they are copied to [`BASE`], and
/// the first four of them point at the answer. Its configuration is the same in hexadecimal,
/// unless it is `{}`.
pub fn echo() -> String {
    let digit = "(func $digit (param i32) (result i32)
        (if (result i32) (i32.gt_u (local.get 0) (i32.const 57))
            (then (i32.sub (local.get 0) (i32.const 87)))
            (else (i32.sub (local.get 0) (i32.const 48)))))
        (global $at (mut i32) (i32.const 0)) (global $to (mut i32) (i32.const 65536))";
    let describe = "
        (if (i32.eq (local.get $config_len) (i32.const 2)) (then (return (i32.const 128))))
        (block $done (loop $next
            (br_if $done (i32.ge_u (global.get $at) (local.get $config_len)))
            (i32.store8 (global.get $to) (i32.or
                (i32.shl (call $digit (i32.load8_u (i32.add (local.get $config) (global.get $at))))
                    (i32.const 4))
                (call $digit (i32.load8_u offset=1
                    (i32.add (local.get $config) (global.get $at))))))
            (global.set $at (i32.add (global.get $at) (i32.const 2)))
            (global.set $to (i32.add (global.get $to) (i32.const 1)))
            (br $next)))
        (i32.load (i32.const 65536))";
    let apply = "
        (local.set $attributes (i32.load offset=8 (local.get $attributes)))
        (memory.copy (i32.const 65536) (i32.load offset=8 (local.get $attributes))
            (i32.load offset=12 (local.get $attributes)))
        (i32.load (i32.const 65536))";
    guest("", digit, describe, apply)
}

/// Where [`echo`] puts the bytes.
pub const BASE: u32 = 65536;

/// The texts.
pub fn texts() -> Vec<String> {
    let host = r#"
        (import "kakehi:rules/host@0.1.0" "log" (func $log (param i32 i32 i32)))
        (import "kakehi:rules/host@0.1.0" "now" (func $now (result i64)))"#;
    let wasi = r#"
        (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func (param i32 i32 i32 i32) (result i32)))"#;
    let logging = format!("(call $log (i32.const 1) (i32.const 16) (i32.const 2)) {COPY}");
    let volatile = "(i32.store8 (i32.const 164) (i32.const 1)) (i32.const 128)";
    let timed = format!("(i64.store (i32.const 512) (call $now)) {COPY}");
    let rich = r#"
        (type $f (func (param i32) (result i32)))
        (table $t 3 8 funcref) (elem (i32.const 0) $up $down $up)
        (global $g (mut i64) (i64.const 7)) (global $h f64 (f64.const 0.5))
        (data $passive "passive")
        (func $up (type $f) (i32.add (local.get 0) (i32.const 1)))
        (func $down (type $f) (local f64 v128)
            (local.set 1 (f64.sqrt (f64.neg (global.get $h))))
            (local.set 2 (i8x16.splat (local.get 0)))
            (global.set $g (i64.mul (global.get $g) (i64.const 3)))
            (i32.sub (local.get 0) (i32.const 1)))
        (func $s (memory.init $passive (i32.const 600) (i32.const 0) (i32.const 7))
            (drop (call_indirect $t (type $f) (i32.const 5) (i32.const 1))))
        (start $s)"#;
    let switching = format!(
        "(block $a (block $b (block $c (br_table $a $b $c
            (i32.rem_u (local.get $class_len) (i32.const 3))))
            (drop (memory.grow (i32.const 1)))))
         (loop $on (local.set $class (i32.sub (local.get $class) (i32.const 1)))
            (br_if $on (i32.gt_s (local.get $class) (i32.const 0)))) {COPY}"
    );
    let plain = "(i32.const 128)";
    vec![
        guest("", "", plain, COPY),
        guest(host, "", plain, &logging),
        guest(host, "", volatile, &timed),
        guest(wasi, "", plain, COPY),
        guest("", rich, plain, COPY),
        guest("", "", plain, &switching),
        echo(),
    ]
}

/// The texts as core modules, and as components.
pub fn binaries() -> Vec<Vec<u8>> {
    let modules: Vec<Vec<u8>> =
        texts().iter().map(|text| wat::parse_str(text).expect("a text of ours")).collect();
    // WASI needs the host's own stub to become a component.
    let components = modules.iter().filter_map(|module| component(module.clone()).ok());
    components.chain(modules.iter().cloned()).chain([typed(&modules[0])]).collect()
}

/// A module that says its types itself.
fn typed(module: &[u8]) -> Vec<u8> {
    let mut module = module.to_vec();
    embed(&mut module).expect("a module of ours takes the interface");
    module
}

fn component(mut module: Vec<u8>) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    embed(&mut module)?;
    Ok(ComponentEncoder::default().module(&module)?.encode()?)
}

fn embed(module: &mut Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("rules.wit", WIT)?;
    let world = resolve.select_world(&[package], Some("rule"))?;
    Ok(embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)?)
}
