//! Rule sets of Entra Connect and AADSync: exported files flow in, a manifest, its fragments and a
//! report flow out; and back from there to the XML of the original.
//!
//! No I/O: the caller hands in files and writes what comes out.
//!
//! Reading order: `model` (a rule as it was exported), `read` (the three formats), `convert` (what
//! becomes of a rule, and what is worth telling), `fragment` and `manifest` (YAML), `report`,
//! `notes` (what the way back needs), `back` and `write` (to XML again).
//!
//! Source: provisioning.md 8 to 11.12; C4, C6, C7.

mod back;
mod connectors;
mod convert;
mod fault;
mod fragment;
mod manifest;
mod model;
mod notes;
mod places;
mod read;
mod report;
mod text;
mod write;
mod yaml;

pub use crate::back::{Written, back};
pub use crate::connectors::{Argument, Parameter};
pub use crate::convert::{Counts, Finding, Topic};
pub use crate::fault::Fault;
pub use crate::model::{Direction, Flow, FlowSource, LinkType, MergeType, Origin, Rule};
pub use crate::read::{Export, File, read};
pub use crate::write::xml as rule_xml;

/// A file to be written: its path below the folder, with `/`, and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub path: String,
    pub text: String,
}

/// What an import comes to.
#[derive(Debug)]
pub struct Imported {
    pub files: Vec<Output>,
    pub counts: Counts,
    pub findings: Vec<Finding>,
    /// Name, kind and identifier of each connector, in their order.
    pub connectors: Vec<(String, String, String)>,
}

/// Makes a manifest of exported files.
///
/// Takes: the files, and what the caller said of connectors and parameters. Errors: everything that
/// is wrong with the files and the arguments; then nothing is of use.
pub fn import(
    files: &[File],
    arguments: &[Argument],
    parameters: &[Parameter],
) -> Result<Imported, Vec<Fault>> {
    let export = read(files)?;
    let mut findings = vec![];
    let connectors = connectors::resolve(&export, arguments, parameters, &mut findings)?;
    let converted = convert::convert(&export, &connectors, &mut findings);
    let mut files = vec![Output {
        path: "manifest.yml".into(),
        text: manifest::text(&export, &connectors, &converted, &mut findings),
    }];
    if let Some(text) = places::text(&connectors, &converted, &mut findings) {
        files.push(Output { path: "config-targets.yml".into(), text });
    }
    let counts = convert::count(&export, &converted, &findings);
    for rule in &converted {
        files.push(Output { path: rule.path.clone(), text: rule.text.clone() });
    }
    files.push(Output {
        path: "import-report.md".into(),
        text: report::text(&export, &connectors, &counts, &findings),
    });
    files.push(Output { path: "import.json".into(), text: notes::text(&connectors, &converted) });
    let connectors = connectors
        .all()
        .map(|connector| (connector.name.clone(), connector.kind.clone(), connector.id.clone()))
        .collect();
    Ok(Imported { files, counts, findings, connectors })
}
