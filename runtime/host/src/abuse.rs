//! Guests that mean harm (rules.md 12): each gets its golden line, the objects beside its victim
//! never notice, and whoever loads or runs it is back in time.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use kakehi_engine::flow::{Contribution, Flow, RuleOutcome};
use kakehi_engine::object::Value;

use crate::fixture::{COPY, Guest, HOST, ask, host, load, loaded, options, spec};
use crate::module::inspect::inspect;
use crate::module::pack::to_component;
use crate::{Host, Limits, ModuleSpec, Options};

/// Little time, but enough for the neighbours of a guest that never ends.
const IMPATIENT: Limits = Limits {
    memory_bytes: 64 * 1024 * 1024,
    time: Duration::from_millis(500),
    output_bytes: 8 * 1024 * 1024,
    fuel: None,
};

/// How late a busy machine may be.
const PATIENCE: Duration = Duration::from_secs(20);

const FOREVER: &str = "(loop $again (br $again))";

/// Does something to objects of class `abuse` and copies `dn` of all others.
fn abusing(imports: &str, extra: &str, abuse: &str) -> String {
    let apply = format!("(if (i32.eq (local.get $class_len) (i32.const 5)) (then {abuse})) {COPY}");
    Guest { imports, extra, apply: &apply, ..Guest::default() }.wat()
}

/// A guest that behaves otherwise from the moment on when it is given the class `abuse`: before
/// each allocation runs `realloc`, before each clean-up `post`, both knowing `$armed`.
fn turning(realloc: &str, post: &str) -> String {
    let arm = "(if (i32.eq (local.get 3) (i32.const 5)) (then (global.set $armed (i32.const 1))))";
    Guest { imports: HOST, extra: "(global $armed (mut i32) (i32.const 0))", ..Guest::default() }
        .wat()
        .replace(
            "(result i32) (local $p i32)\n",
            &format!("(result i32) (local $p i32) {arm} (if (global.get $armed) (then {realloc}))"),
        )
        .replace(
            r#""cabi_post_apply") (param i32)"#,
            &format!(r#""cabi_post_apply") (param i32) (if (global.get $armed) (then {post}))"#),
        )
}

fn copied(dn: &str) -> RuleOutcome {
    let contribution = Contribution::Values(vec![Value::text(dn)]);
    RuleOutcome::Flows(vec![Flow { attribute: "displayName".into(), contribution }])
}

/// What becomes of the abused object; its neighbours must have kept their answers.
fn outcome(wat: &str) -> String {
    let module = host().load(&ModuleSpec { limits: IMPATIENT, ..spec(wat.as_bytes()) }).unwrap();
    let began = Instant::now();
    let mut outcomes = ask(module, &["user", "abuse", "user"]);
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(outcomes.pop(), Some(copied("user 2")));
    let abused = outcomes.pop();
    assert_eq!(outcomes, [copied("user 0")]);
    match abused {
        Some(RuleOutcome::Trapped { trap, message }) => format!("{}: {message}", trap.as_str()),
        answer => {
            assert_eq!(answer, Some(copied("abuse 1")));
            "no harm done".into()
        }
    }
}

fn check(guests: &[(&str, String)], expected: &Expect) {
    let mut found = String::new();
    for (name, wat) in guests {
        writeln!(found, "{name}\n    {}", outcome(wat)).unwrap();
    }
    expected.assert_eq(&found);
}

#[test]
fn g09_what_never_ends_is_stopped_wherever_it_runs() {
    let fill = "(memory.fill (i32.const 65536) (i32.const 1) (i32.const 60000000))".repeat(2_000);
    check(
        &[
            ("in `apply`", abusing("", "", FOREVER)),
            ("in `cabi_realloc`", turning(FOREVER, "")),
            ("in `cabi_post_apply`", turning("", FOREVER)),
            (
                "calling itself without an end",
                abusing(
                    "",
                    "(func $on (param i32) (return_call $on (local.get 0)))",
                    "(call $on (i32.const 0))",
                ),
            ),
            (
                "filling 120 GB without a loop",
                abusing("", "", &format!("(drop (memory.grow (i32.const 950))) {fill}")),
            ),
            (
                "logging 60 KB at a time",
                abusing(
                    HOST,
                    "",
                    "(loop $again (call $log (i32.const 0) (i32.const 0)
                    (i32.const 60000)) (br $again))",
                ),
            ),
        ],
        &expect![[r#"
            in `apply`
                deadline: stopped after 500 ms
            in `cabi_realloc`
                deadline: stopped after 500 ms
            in `cabi_post_apply`
                deadline: stopped after 500 ms
            calling itself without an end
                deadline: stopped after 500 ms
            filling 120 GB without a loop
                deadline: stopped after 500 ms
            logging 60 KB at a time
                deadline: stopped after 500 ms
        "#]],
    );
}

#[test]
fn g09_memory_tables_and_stack_end_at_their_limits() {
    let table = "(table $t 1 funcref)";
    let grow = "(loop $more (br_if $more (i32.ne (i32.const -1)
        (table.grow $t (ref.null func) (i32.const 1000)))))";
    let indirect = "(type $f (func (param i32) (result i32))) (table $t 1 1 funcref)
        (elem (i32.const 0) $down)
        (func $down (type $f) (i32.add (i32.const 1)
            (call_indirect $t (type $f) (local.get 0) (i32.const 0))))";
    check(
        &[
            ("a table without an end", abusing("", table, &format!("{grow} (unreachable)"))),
            ("a call of itself", abusing("", indirect, "(drop (call $down (i32.const 0)))")),
            (
                "memory while it allocates",
                turning(
                    "(drop (memory.grow (i32.const 60000)))
                (unreachable)",
                    "",
                ),
            ),
        ],
        &expect![[r#"
            a table without an end
                memory: asked for more than 100000 table elements
            a call of itself
                stack: used more than 512 KiB of stack
            memory while it allocates
                memory: asked for more than 64 MiB of memory
        "#]],
    );
}

#[test]
fn g09_one_more_table_element_than_allowed_is_refused() {
    let grown = |elements: u32| {
        // Traps if the table did not grow.
        let abuse = format!(
            "(if (i32.eq (i32.const -1) (table.grow $t (ref.null func) (i32.const {elements})))
                (then (unreachable)))"
        );
        outcome(&abusing("", "(table $t 1 funcref)", &abuse))
    };
    assert_eq!(grown(99_999), "no harm done");
    assert_eq!(grown(100_000), "memory: asked for more than 100000 table elements");
}

#[test]
fn g09_an_allocator_that_lies_harms_its_own_object_only() {
    let aligned =
        |lie: &str| format!("(if (i32.gt_u (local.get 2) (i32.const 1)) (then (return {lie})))");
    check(
        &[
            ("not aligned", turning(&aligned("(i32.const 8193)"), "")),
            ("outside memory", turning(&aligned("(i32.const -64)"), "")),
            ("across the end", turning(&aligned("(i32.const 65528)"), "")),
            ("the same place twice", turning("(return (i32.const 8192))", "")),
            ("its own code's data", turning(&aligned("(i32.const 256)"), "")),
            ("traps", turning("(unreachable)", "")),
            ("logs", turning("(call $log (i32.const 0) (i32.const 16) (i32.const 2))", "")),
            ("asks for the instant", turning("(drop (call $now))", "")),
            ("traps when it cleans up", turning("", "(unreachable)")),
            (
                "logs when it cleans up",
                turning("", "(call $log (i32.const 0) (i32.const 16) (i32.const 2))"),
            ),
        ],
        &expect![[r#"
            not aligned
                abi: broke the calling convention: realloc return: result not aligned
            outside memory
                abi: broke the calling convention: realloc return: beyond end of memory
            across the end
                abi: broke the calling convention: realloc return: beyond end of memory
            the same place twice
                abi: broke the calling convention: unexpected discriminant: 97
            its own code's data
                abi: broke the calling convention: list pointer is not aligned
            traps
                trap: trapped: wasm `unreachable` instruction executed
            logs
                abi: broke the calling convention: cannot leave component instance
            asks for the instant
                abi: broke the calling convention: cannot leave component instance
            traps when it cleans up
                trap: trapped: wasm `unreachable` instruction executed
            logs when it cleans up
                abi: broke the calling convention: cannot leave component instance
        "#]],
    );
}

#[test]
fn g09_calls_of_the_host_are_held_to_the_same_limits() {
    let log = |level: &str, at: &str, length: &str| {
        abusing(
            HOST,
            "",
            &format!(
                "(drop (memory.grow (i32.const 150)))
            (i32.store8 (i32.const 512) (i32.const 255))
            (call $log (i32.const {level}) (i32.const {at}) (i32.const {length}))"
            ),
        )
    };
    check(
        &[
            ("a level that does not exist", log("4", "16", "2")),
            ("outside memory", log("0", "-8", "2")),
            ("length of 4 GB", log("0", "16", "-1")),
            ("bad UTF-8", log("0", "512", "1")),
            ("8 MiB", log("0", "1024", "8388608")),
            ("8 MiB and a byte", log("0", "1024", "8388609")),
        ],
        &expect![[r#"
            a level that does not exist
                abi: broke the calling convention: unexpected discriminant: 4
            outside memory
                abi: broke the calling convention: string pointer/length out of bounds of memory
            length of 4 GB
                abi: broke the calling convention: string pointer/length out of bounds of memory
            bad UTF-8
                abi: broke the calling convention: invalid utf-8 sequence of 1 bytes from index 0
            8 MiB
                no harm done
            8 MiB and a byte
                output: answered with more than 8 MiB
        "#]],
    );
}

#[test]
fn g09_lists_that_cannot_be_are_not_made() {
    // 256 is the verdict, 288 its flow, 512 a value.
    let values = |at: &str, count: &str, tag: &str| {
        abusing(
            "",
            "",
            &format!(
                "(i32.store8 (i32.const 512) (i32.const {tag}))
            (i32.store (i32.const 300) (i32.const {at}))
            (i32.store (i32.const 304) (i32.const {count})) (return (i32.const 256))"
            ),
        )
    };
    let bytes = abusing(
        "",
        "",
        "(i32.store8 (i32.const 512) (i32.const 1)) (i32.store (i32.const 524) (i32.const -1))
         (i32.store (i32.const 300) (i32.const 512)) (i32.store (i32.const 304) (i32.const 1))
         (return (i32.const 256))",
    );
    check(
        &[
            ("so many values that their size overflows", values("512", "0x10000001", "0")),
            ("2^32 - 1 values", values("512", "-1", "0")),
            ("values not aligned", values("516", "1", "0")),
            ("a value of no type", values("512", "1", "5")),
            (
                "a contribution of no kind",
                abusing(
                    "",
                    "",
                    "(i32.store8 (i32.const 296) (i32.const 4)) (return (i32.const 256))",
                ),
            ),
            ("bytes of 4 GB", bytes),
        ],
        &expect![[r#"
            so many values that their size overflows
                abi: broke the calling convention: list pointer/length out of bounds of memory
            2^32 - 1 values
                abi: broke the calling convention: list pointer/length out of bounds of memory
            values not aligned
                abi: broke the calling convention: list pointer is not aligned
            a value of no type
                abi: broke the calling convention: unexpected discriminant: 5
            a contribution of no kind
                abi: broke the calling convention: unexpected discriminant: 4
            bytes of 4 GB
                abi: broke the calling convention: list pointer/length out of bounds of memory
        "#]],
    );
}

/// What comes of loading bytes whose version is known from the manifest, and how soon.
fn refused(bytes: &[u8]) -> String {
    let options = Options { describe_time: Duration::from_millis(200), ..options() };
    let began = Instant::now();
    let found =
        loaded(&Host::new(options).unwrap(), &ModuleSpec { api: Some("0.1"), ..spec(bytes) });
    assert!(began.elapsed() < PATIENCE);
    found
}

fn check_refused(guests: &[(&str, Vec<u8>)], expected: &Expect) {
    let mut found = String::new();
    for (name, bytes) in guests {
        writeln!(found, "* {name}\n{}", refused(bytes).trim_end()).unwrap();
    }
    expected.assert_eq(&found);
}

fn with(extra: &str) -> Vec<u8> {
    Guest { imports: HOST, extra, ..Guest::default() }.wat().into_bytes()
}

#[test]
fn g09_a_module_that_never_starts_is_given_up() {
    let describing = |describe| Guest { describe, ..Guest::default() }.wat().into_bytes();
    check_refused(
        &[
            ("loops in its start function", with("(func $s (loop $on (br $on))) (start $s)")),
            ("loops in `describe`", describing("(loop $on (br $on)) (i32.const 128)")),
            (
                "logs in its start function",
                with("(func $s (call $log (i32.const 0) (i32.const 16) (i32.const 2))) (start $s)"),
            ),
            (
                "grows in its start function",
                with(
                    "(func $s (if (i32.eq (i32.const -1) (memory.grow (i32.const 1024)))
                    (then (unreachable)))) (start $s)",
                ),
            ),
            (
                "recurses in its start function",
                with("(func $s (call $s) (drop (i32.load (i32.const 0)))) (start $s)"),
            ),
            ("wants a table of 100,001", with("(table 100001 funcref)")),
            (
                "fills beyond its table",
                with("(table $t 1 funcref) (elem (table $t) (i32.const 1) func $f) (func $f)"),
            ),
            ("has data beyond its memory", with(r#"(data (i32.const 65535) "ab")"#)),
        ],
        &expect![[r#"
            * loops in its start function
            `describe` failed: stopped after 200 ms (deadline) (K0509)
            * loops in `describe`
            `describe` failed: stopped after 200 ms (deadline) (K0509)
            * logs in its start function
            `describe` failed: trapped: uninitialized element (trap) (K0509)
            * grows in its start function
            `describe` failed: asked for more than 64 MiB of memory (memory) (K0509)
            * recurses in its start function
            `describe` failed: used more than 512 KiB of stack (stack) (K0509)
            * wants a table of 100,001
            `describe` failed: asked for more than 100000 table elements (memory) (K0509)
            * fills beyond its table
            `describe` failed: trapped: undefined element: out of bounds table access (trap)
            (K0509)
            * has data beyond its memory
            `describe` failed: trapped: out of bounds memory access (trap) (K0509)
        "#]],
    );
}

#[test]
fn g09_proposals_that_no_rule_needs_are_off() {
    let memory = |memory| {
        let wat = Guest::default().wat();
        wat.replace(r#"(memory (export "memory") 1)"#, memory).into_bytes()
    };
    check_refused(
        &[
            ("a second memory", with("(memory 1)")),
            ("a memory of 64 bits", memory("(memory (export \"memory\") i64 1)")),
            ("a table of 64 bits", with("(table i64 1 funcref)")),
            ("a shared memory", memory("(memory (export \"memory\") 1 1 shared)")),
            ("structures", with("(type (struct))")),
            ("exceptions", with("(tag (param i32))")),
            ("references to the host's objects", with("(table 1 externref)")),
            ("pages of one byte", memory("(memory (export \"memory\") 1 (pagesize 1))")),
            ("stack switching", with("(type $f (func)) (type (cont $f))")),
        ],
        &expect![[r#"
            * a second memory
            not a valid WebAssembly module: multiple memories (at offset 0x80) (K0503)
            * a memory of 64 bits
            not a valid WebAssembly module: memory64 must be enabled for 64-bit memories (at
            offset 0x38) (K0503)
            * a table of 64 bits
            not a valid WebAssembly module: memory64 must be enabled for 64-bit tables (at
            offset 0x81) (K0503)
            * a shared memory
            not a valid WebAssembly module: threads must be enabled for shared memories (at
            offset 0x38) (K0503)
            * structures
            not a valid WebAssembly module: struct indexed types not supported without the
            gc feature (at offset 0xb) (K0503)
            * exceptions
            not a valid WebAssembly module: exceptions proposal not enabled (at offset 0x85)
            (K0503)
            * references to the host's objects
            not a valid WebAssembly module: gc types are disallowed but found type which
            requires gc (at offset 0x81) (K0503)
            * pages of one byte
            not a valid WebAssembly module: the custom page sizes proposal must be enabled
            to customize a memory's page size (at offset 0x38) (K0503)
            * stack switching
            not a valid WebAssembly module: cannot define continuation types when stack
            switching is disabled (at offset 0xe) (K0503)
        "#]],
    );
}

#[test]
fn a_rule_gives_the_same_bits_for_not_a_number() {
    // Of two such values with different bits, by way of an operation that may choose.
    let apply = "(i64.store (i32.const 520) (i64.reinterpret_f64 (f64.sqrt
            (f64.reinterpret_i64 (i64.const 0xfff8000000000123)))))
        (i32.store8 (i32.const 512) (i32.const 2))
        (i32.store (i32.const 300) (i32.const 512)) (i32.store (i32.const 304) (i32.const 1))
        (i32.const 256)";
    let outcomes = ask(load(&Guest { apply, ..Guest::default() }.wat()).unwrap(), &["user"]);
    let canonical = Value::Integer(0x7ff8_0000_0000_0000);
    let contribution = Contribution::Values(vec![canonical]);
    let flow = Flow { attribute: "displayName".into(), contribution };
    assert_eq!(outcomes, [RuleOutcome::Flows(vec![flow])]);
}

#[test]
fn g09_a_module_cut_anywhere_is_refused() {
    let host = host();
    let module = wat::parse_str(Guest { imports: HOST, ..Guest::default() }.wat()).unwrap();
    // Behind the data stand names, which are not needed.
    let data = wasmparser::Parser::new(0).parse_all(&module).find_map(|payload| match payload {
        Ok(wasmparser::Payload::DataSection(section)) => Some(section.range().end),
        _ => None,
    });
    let mut whole = 0;
    for length in 0..data.unwrap() {
        match host.load(&spec(&module[..length])) {
            Err(error) => {
                assert!(["K0503", "K0505", "K0506"].contains(&error.code), "{length}: {error}");
            }
            Ok(_) => whole += 1,
        }
    }
    // The cut between its code and its data: a module that reads and writes nothing.
    assert_eq!(whole, 1);
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut length = content.len();
    let mut bytes = vec![id];
    while length > 0x7f {
        bytes.push(u8::try_from(length & 0x7f | 0x80).expect("eight bits"));
        length >>= 7;
    }
    bytes.push(u8::try_from(length).expect("seven bits"));
    bytes.extend(content);
    bytes
}

/// The sections of so many instances of a module or component of this index, each without
/// arguments.
fn instances(id: u8, index: u8, times: u8) -> Vec<u8> {
    section(id, &[&[times][..], &[0, index, 0].repeat(times.into())].concat())
}

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A component of so many levels, each with so many instances of the one below; the lowest has a
/// core instance.
fn nested(levels: u32, times: u8) -> Vec<u8> {
    let mut component = [COMPONENT, &section(1, MODULE), &instances(2, 0, 1)].concat();
    for _ in 0..levels {
        component = [COMPONENT, &section(4, &component), &instances(5, 0, times)].concat();
    }
    component
}

#[test]
fn g09_components_in_components_are_counted_before_they_are_compiled() {
    check_refused(
        &[
            ("two levels", nested(2, 2)),
            ("nine levels of two", nested(9, 2)),
            ("forty levels of two", nested(40, 2)),
            ("two levels of a hundred", nested(2, 100)),
        ],
        &expect![[r#"
            * two levels
            is not a rule: no export `apply` found (K0506)
            hint: a rule exports `memory`, `cabi_realloc`, `describe` and `apply`
            * nine levels of two
            cannot compile the module: it has more than 1000 instances, those of components
            in components included (K0507)
            * forty levels of two
            cannot compile the module: it has more than 1000 instances, those of components
            in components included (K0507)
            * two levels of a hundred
            cannot compile the module: it has more than 1000 instances, those of components
            in components included (K0507)
        "#]],
    );
}

/// The plain guest as a component, with something more in it: it has one module and one instance.
fn component_with(more: &[u8]) -> Vec<u8> {
    let module = wat::parse_str(Guest::default().wat()).unwrap();
    let inspected = inspect(&module, None).unwrap();
    let component = to_component(module.into(), &inspected).unwrap();
    [&component[..], more].concat()
}

#[test]
fn g09_a_component_may_have_100_instances_and_16_memories() {
    let plain = |times| [section(1, MODULE), instances(2, 1, times)].concat();
    let memory = [MODULE, &section(5, &[1, 0, 0])].concat();
    let memories = |times| [section(1, &memory), instances(2, 1, times)].concat();
    let inner = [section(4, &nested(1, 3)), instances(5, 0, 2)].concat();
    check_refused(
        &[
            ("100 instances", component_with(&plain(99))),
            ("101 instances", component_with(&plain(100))),
            ("16 memories", component_with(&memories(15))),
            ("17 memories", component_with(&memories(16))),
            ("components of its own", component_with(&inner)),
        ],
        &expect![[r#"
            * 100 instances
            interface 0.1
            * 101 instances
            `describe` failed: resource limit exceeded: instance count too high at 101
            (memory) (K0509)
            * 16 memories
            interface 0.1
            * 17 memories
            `describe` failed: resource limit exceeded: memory count too high at 17 (memory)
            (K0509)
            * components of its own
            interface 0.1
        "#]],
    );
}

/// A module that keeps the compiler busy: so many loops in each other, each with a variable that it
/// changes.
fn bomb(loops: usize) -> Vec<u8> {
    let changes: String = (0..loops)
        .map(|n| format!("(local.set {n} (i64.add (local.get {n}) (local.get {})))", n * 7 % loops))
        .collect();
    let locals = "i64 ".repeat(loops);
    with(&format!(
        "(func (local {locals}) {} {changes} {})",
        "(loop ".repeat(loops),
        ")".repeat(loops)
    ))
}

#[test]
fn g09_a_compiler_that_does_not_end_is_not_waited_for() {
    let options = Options { compile_time: Duration::from_millis(50), ..options() };
    let began = Instant::now();
    let found = loaded(&Host::new(options).unwrap(), &spec(&bomb(1_000)));
    assert!(began.elapsed() < PATIENCE);
    expect![[r#"
        cannot compile the module: the compiler did not end within 50ms (K0507)
        hint: split its largest function; few loops and variables compile fast
    "#]]
    .assert_eq(&found);
    // Others are compiled meanwhile.
    assert!(host().load(&spec(Guest::default().wat().as_bytes())).is_ok());
}
