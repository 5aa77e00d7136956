//! `cargo demo`: from a fresh clone to the product's own demonstration.
//! In: nothing. Out: the process becomes `kakehi demo`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::{wasm_path, workspace};

/// Builds the product and becomes `kakehi demo`; returns only if that could not be done.
pub fn run() -> Result<()> {
    println!("[1/3] the way to build WebAssembly");
    println!("      {}", wasm_path::ensure()?);
    println!("[2/3] building kakehi (the first time takes minutes)");
    build()?;
    println!("[3/3] kakehi demo");
    let product = workspace::binaries()?.join("kakehi");
    let error = Command::new(&product).arg("demo").exec();
    Err(Failure::new(format!("cannot start `{}`: {error}", product.display())))
}

/// `--workspace` lets cargo choose the same features of every dependency as `cargo verify`, so that
/// the dependencies are built once for both.
fn build() -> Result<()> {
    let status = workspace::cargo()
        .args(["build", "--workspace", "--bin", "kakehi"])
        .status()
        .map_err(|error| Failure::new(format!("cannot start cargo: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::new("kakehi was not built")) }
}
