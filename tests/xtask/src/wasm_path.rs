//! The way to build WebAssembly. In: the machine as it is. Out: a word on which way is there, after
//! installing Debian's packages if that is what it takes. Source: rules.md 13.
//!
//! The build script of the product chooses its way by the same signs; this room only sees to it
//! that one is there. It never calls rustup: where downloads are allowed, `rust-toolchain.toml` has
//! already made rustup fetch the target.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::packages;

const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler, and the sources from which it builds its own standard library.
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_STD: &str = "/usr/lib/rustlib/src/rust/library/std";

/// Sees to it that modules can be built; gives the way in words.
///
/// Errors: no way is there and none can be installed; the hint names the command that would.
pub fn ensure() -> Result<String> {
    if let Some(module) = std::env::var_os("KAKEHI_WASM") {
        return Ok(format!("not needed: `KAKEHI_WASM` names {}", Path::new(&module).display()));
    }
    if sysroot().is_some_and(|sysroot| has_target(&sysroot)) {
        return Ok(format!("the target {TARGET} of the usual compiler"));
    }
    if !debian_has_sources() {
        packages::install(&DEBIAN_PACKAGES, &format!("rustup target add {TARGET}"))?;
    }
    if !debian_has_sources() {
        return Err(Failure::new(format!("`{DEBIAN_STD}` is not there after installing it")));
    }
    Ok(format!("Debian's compiler, with {TARGET} built from source"))
}

/// The root of the compiler that cargo uses; `None` if it cannot be asked.
fn sysroot() -> Option<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim_end()))
}

fn has_target(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir()
}

fn debian_has_sources() -> bool {
    Path::new(DEBIAN_STD).is_dir() && Path::new(DEBIAN_RUSTC).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sysroot_has_the_target_when_its_library_folder_is_there() {
        let sysroot = std::env::temp_dir().join(format!("kakehi-sysroot-{}", std::process::id()));
        let library = sysroot.join("lib/rustlib").join(TARGET).join("lib");
        assert!(!has_target(&sysroot));
        std::fs::create_dir_all(&library).unwrap();
        assert!(has_target(&sysroot));
        std::fs::remove_dir_all(&sysroot).unwrap();
    }
}
