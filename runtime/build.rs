//! Compiles the rule modules that the program carries, and leaves them in `OUT_DIR` as bytes.
//!
//! What flows in: the sources under `rules/` and `guest-sdk/`. What flows out: a `.wasm` file for
//! each of [`MODULES`]. There are four routes (rules.md 13): a folder of finished modules, a
//! compiler with the WASM target, Debian's compiler that builds its own standard library, or an
//! error that names the one command which opens a route.

#![allow(
    clippy::disallowed_methods,
    reason = "a build script is told everything by its environment, before `config` is built"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// A rule module that the program carries.
struct Module {
    package: &'static str,
    /// The file that the compiler leaves.
    compiled: &'static str,
    /// The file in `OUT_DIR`, and in the folder of finished modules.
    embedded: &'static str,
}

const MODULES: [Module; 2] = [
    Module {
        package: "kakehi-declarative",
        compiled: "kakehi_declarative.wasm",
        embedded: "declarative.wasm",
    },
    Module { package: "kakehi-rule-names", compiled: "names.wasm", embedded: "names.wasm" },
];

/// What a module is made of, from the root of the workspace.
const SOURCES: [&str; 6] =
    ["Cargo.toml", "Cargo.lock", "guest-sdk", "rules/declarative", "rules/expr", "rules/names"];

/// Debian's compiler, whose package `rust-web-src` brings the sources of its standard library.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

fn main() {
    if let Err(message) = embed() {
        eprintln!("error: {message}");
        std::process::exit(1);
    }
}

fn embed() -> Result<(), String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("the crate has no workspace around it")?;
    println!("cargo::rerun-if-env-changed=KAKEHI_WASM");
    println!("cargo::rerun-if-changed=build.rs");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    let out = PathBuf::from(variable("OUT_DIR")?);
    if let Some(folder) = env::var_os("KAKEHI_WASM") {
        return copy_all(Path::new(&folder), &out, |module| module.embedded);
    }
    let built = compile(workspace, &out)?;
    copy_all(&built, &out, |module| module.compiled)
}

/// Builds all modules in one nested call. Gives the folder in which they are.
fn compile(workspace: &Path, out: &Path) -> Result<PathBuf, String> {
    let rustc = variable("RUSTC")?;
    let sysroot = sysroot(&rustc)?;
    // A folder of its own: cargo would wait for ever for the lock on the outer one. It stands
    // beside the profiles, so that they all share one build.
    let target_folder = out
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .ok_or_else(|| format!("`{}` is not inside a target folder", out.display()))?
        .join("guest");
    let mut cargo = nested_cargo(workspace)?;
    cargo.args(["build", "--locked", "--profile", "rule", "--target", TARGET, "--target-dir"]);
    cargo.arg(&target_folder);
    for module in &MODULES {
        cargo.args(["--package", module.package]);
    }
    if library(&sysroot).exists() {
        cargo.env("RUSTC", &rustc);
    } else if debian_has_sources() {
        let linker = sysroot.join("lib/rustlib").join(variable("HOST")?).join("bin/rust-lld");
        cargo.env("RUSTC", DEBIAN_RUSTC);
        // Building the standard library is not stable; compiler and sources are one release.
        cargo.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    } else {
        return Err(no_route());
    }
    let status =
        cargo.status().map_err(|error| format!("cannot start the nested cargo: {error}"))?;
    if !status.success() {
        return Err(format!(
            "cannot build the built-in rule modules: the nested cargo, whose messages stand above, \
             gave {status}"
        ));
    }
    Ok(target_folder.join(TARGET).join("rule"))
}

/// Cargo without what the outer one told this script: settings for another target would leak in.
fn nested_cargo(workspace: &Path) -> Result<Command, String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.current_dir(workspace);
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let outer = text.starts_with("CARGO_") && text != "CARGO_HOME"
            || text.starts_with("RUSTC")
            || ["CLIPPY_ARGS", "RUSTDOC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"].contains(&text);
        if outer {
            cargo.env_remove(name);
        }
    }
    // A plan is bound to these bytes, so they must not depend on the folder they were built in.
    let mut flags = vec![format!("--remap-path-prefix={}=kakehi", workspace.display())];
    if let Some(home) = env::var_os("CARGO_HOME") {
        flags.push(format!("--remap-path-prefix={}=cargo", Path::new(&home).display()));
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    Ok(cargo)
}

fn sysroot(rustc: &str) -> Result<PathBuf, String> {
    let output = Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .map_err(|error| format!("cannot start `{rustc}`: {error}"))?;
    let text = String::from_utf8(output.stdout)
        .map_err(|_| format!("`{rustc} --print sysroot` did not print text"))?;
    Ok(PathBuf::from(text.trim()))
}

/// Where a compiler keeps the standard library of the WASM target, if it has it.
fn library(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

/// Sources under the compiler's own sysroot are its own: no other release matches them.
fn debian_has_sources() -> bool {
    sysroot(DEBIAN_RUSTC)
        .is_ok_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/std").exists())
}

fn no_route() -> String {
    let downloads = env::var_os("RUSTUP_AUTO_INSTALL").is_none_or(|value| value != "0");
    let command = if downloads {
        format!("rustup target add {TARGET}")
    } else {
        "apt-get install --no-install-recommends rustc-web rust-web-src".to_owned()
    };
    format!(
        "cannot build the built-in rule modules: the compiler has no target `{TARGET}`\n  \
         hint: {command}"
    )
}

fn copy_all(from: &Path, out: &Path, name: fn(&Module) -> &'static str) -> Result<(), String> {
    for module in &MODULES {
        let source = from.join(name(module));
        fs::copy(&source, out.join(module.embedded))
            .map_err(|error| format!("cannot copy the module `{}`: {error}", source.display()))?;
    }
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("cargo did not set `{name}`"))
}
