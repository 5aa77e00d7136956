//! The tools of the languages: where `cargo verify` puts them, or where the user has them.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{root, target};

/// What `cargo verify` installs with pip, and with npm.
pub const PYTHON_LIST: &str = "tests/requirements/guest-tools.txt";
pub const NODE_LIST: &str = "tests/requirements/guest-tools/package-lock.json";

/// The target of rules in Rust.
const RUST_TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler, which can build its own standard library (rules.md 13).
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A language cannot be built here.
#[derive(Debug)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not installed; `cargo verify` installs it", self.0)
    }
}

/// A shell in `folder`, with the tools of the language on its path.
pub fn shell(language: &str, folder: &Path) -> Result<Command, Missing> {
    let needed: &[&str] = match language {
        "c" | "zig" => &["python-zig"],
        "assemblyscript" => &["npx", "asc"],
        "javascript" => &["npx", "componentize-qjs"],
        "typescript" => &["npx", "componentize-qjs", "tsc"],
        "python" => &["componentize-py"],
        "go" => &["go"],
        _ => &[],
    };
    let paths = paths();
    if let Some(tool) = needed.iter().find(|tool| !paths.iter().any(|at| at.join(tool).is_file())) {
        return Err(Missing(format!("`{tool}`")));
    }
    let mut shell = Command::new("sh");
    shell.current_dir(folder).env("PATH", std::env::join_paths(paths).expect("plain paths"));
    // What is installed is what is used.
    shell.env("GOTOOLCHAIN", "local").env("GOFLAGS", "").env_remove("GOROOT");
    if language == "rust" {
        rust(&mut shell)?;
    }
    Ok(shell)
}

/// Tools that were installed for the tests come first.
fn paths() -> Vec<PathBuf> {
    let own = ["venv/guest-tools/bin", "guest-tools/node_modules/.bin"];
    let users = std::env::var_os("PATH").unwrap_or_default();
    own.iter().map(|folder| target().join(folder)).chain(std::env::split_paths(&users)).collect()
}

/// Modules of npm that were installed for the tests.
pub fn node_modules() -> PathBuf {
    target().join("guest-tools/node_modules")
}

/// Cargo as the product's build script calls it, so that both share one standard library.
fn rust(shell: &mut Command) -> Result<(), Missing> {
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let outer = text.starts_with("CARGO_") && text != "CARGO_HOME"
            || text.starts_with("RUSTC")
            || ["CLIPPY_ARGS", "RUSTDOC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"].contains(&text);
        if outer {
            shell.env_remove(name);
        }
    }
    // Whatever a rule in Rust is made of, the workspace is too.
    shell.env("CARGO_NET_OFFLINE", "true");
    shell.env("CARGO_ENCODED_RUSTFLAGS", remapped().join("\u{1f}"));
    let sysroot = sysroot("rustc").ok_or_else(|| Missing("`rustc`".into()))?;
    if sysroot.join("lib/rustlib").join(RUST_TARGET).join("lib").is_dir() {
        return Ok(());
    }
    let sources = self::sysroot(DEBIAN_RUSTC)
        .is_some_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/std").is_dir());
    let linker = std::fs::read_dir(sysroot.join("lib/rustlib"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|host| host.path().join("bin/rust-lld"))
        .find(|linker| linker.is_file());
    let (true, Some(linker)) = (sources, linker) else {
        return Err(Missing(format!("the target {RUST_TARGET}")));
    };
    shell.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
    shell.env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
    shell.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    Ok(())
}

fn remapped() -> Vec<String> {
    let mut flags = vec![format!("--remap-path-prefix={}=kakehi", root().display())];
    if let Some(home) = cargo_home() {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    flags
}

fn cargo_home() -> Option<PathBuf> {
    let by_default = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(by_default)
}

/// Asked in the root: there `rust-toolchain.toml` decides.
fn sysroot(rustc: &str) -> Option<PathBuf> {
    let output =
        Command::new(rustc).current_dir(root()).args(["--print", "sysroot"]).output().ok()?;
    let path: OsString = String::from_utf8(output.stdout).ok()?.trim_end().into();
    output.status.success().then(|| path.into())
}
