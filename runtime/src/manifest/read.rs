//! The files of a manifest: the main file and what it includes flow in, everything typed flows out.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::cases::{self, Case};
use super::codes::{FLAWS, INCLUDE, VERSION};
use super::files::Files;
use super::raw::{FragmentRaw, ManifestRaw, RuleRaw};
use crate::config::finding::{Findings, key_path};
use crate::config::yaml::{self, At, Mark, Node, Shape, Step};

/// The only version of the format so far.
const VERSION_KNOWN: u32 = 1;
/// Files of one manifest: a rule each for the largest imported configuration, several times over.
const INCLUDES_MAX: usize = 1_000;

/// A rule and the file it stands in.
#[derive(Debug)]
pub(super) struct Located {
    pub file: PathBuf,
    pub mark: Mark,
    pub raw: RuleRaw,
    pub cases: Arc<[Case]>,
}

/// Reads a manifest and its fragments. Notes every flaw of every file.
///
/// Gives: the main file, and all rules in order: those of the fragments in the order of `include`,
/// then its own. `None` where the main file cannot be made out.
pub(super) fn read(
    files: &mut Files,
    findings: &mut Findings,
) -> Option<(ManifestRaw, Vec<Located>)> {
    let path = &files.main().to_owned();
    let mut manifest: ManifestRaw = file(path, files, findings)?;
    if manifest.version.value != VERSION_KNOWN {
        findings
            .error(VERSION, format_args!("version `{}` is not known", manifest.version.value))
            .at(manifest.version.mark)
            .hint(format!("this program knows version {VERSION_KNOWN}"));
        return None;
    }
    let own = std::mem::take(&mut manifest.rules);
    let mut rules = fragments(path, &manifest.include, files, findings);
    rules.extend(located(path, own, files, findings));
    Some((manifest, rules))
}

fn fragments(
    path: &Path,
    include: &[At<String>],
    files: &mut Files,
    findings: &mut Findings,
) -> Vec<Located> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut rules = vec![];
    for (index, name) in include.iter().enumerate() {
        let inside = Path::new(&name.value)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            findings
                .error(INCLUDE, format_args!("`{}` is not inside the folder", name.value))
                .at(name.mark)
                .hint("name a file in the manifest's folder or below it");
        } else if include[..index].iter().any(|earlier| earlier.value == name.value) {
            findings
                .error(INCLUDE, format_args!("`{}` is included twice", name.value))
                .at(name.mark);
        } else if index == INCLUDES_MAX {
            findings
                .error(INCLUDE, format_args!("more than {INCLUDES_MAX} files are included"))
                .at(name.mark);
            break;
        } else {
            let fragment = folder.join(&name.value);
            if let Some(FragmentRaw { rules: own }) = file(&fragment, files, findings) {
                rules.extend(located(&fragment, own, files, findings));
            }
        }
    }
    rules
}

fn located(
    file: &Path,
    rules: Vec<RuleRaw>,
    files: &mut Files,
    findings: &mut Findings,
) -> impl Iterator<Item = Located> {
    rules.into_iter().map(move |raw| {
        let cases = cases::of(&raw, file, files, findings).into();
        Located { file: file.to_owned(), mark: raw.name.mark, raw, cases }
    })
}

fn file<T: DeserializeOwned>(path: &Path, files: &mut Files, findings: &mut Findings) -> Option<T> {
    let text = match files.text(path) {
        Ok(text) => text,
        Err(reason) => {
            findings
                .error(FLAWS.unreadable, format_args!("cannot read the file: {reason}"))
                .file(path);
            return None;
        }
    };
    let mut node = match yaml::parse(&text) {
        Ok(node) => node,
        Err(error) => {
            findings
                .error(FLAWS.syntax, format_args!("no valid YAML: {error}"))
                .at(error.mark.unwrap_or(Mark::START))
                .file(path);
            return None;
        }
    };
    // What is withdrawn for a flaw cannot name its rule afterwards.
    let whole = node.clone();
    let (value, flaws) = yaml::decode(&mut node);
    for flaw in flaws {
        let what = rule_name(&whole, &flaw.path)
            .or_else(|| (!flaw.path.is_empty()).then(|| format!("key `{}`", key_path(&flaw.path))));
        findings.flaw(flaw, FLAWS, what).file(path);
    }
    value
}

/// Reads a file of rules alone, or a manifest with everything it includes.
pub(super) fn alone(files: &mut Files, findings: &mut Findings) -> Option<Vec<Located>> {
    let path = &files.main().to_owned();
    let node = files.text(path).ok().and_then(|text| yaml::parse(&text).ok());
    if node.is_some_and(|node| node.get("version").is_some()) {
        return read(files, findings).map(|(_, rules)| rules);
    }
    let FragmentRaw { rules } = file(path, files, findings)?;
    Some(located(path, rules, files, findings).collect())
}

/// What a path below `rules` is about, in the words of the file.
fn rule_name(root: &Node, path: &[Step]) -> Option<String> {
    let [Step::Key(key), Step::Index(index), ..] = path else { return None };
    if key != "rules" {
        return None;
    }
    let rule = root.at(&[Step::Key(key.clone()), Step::Index(*index)])?;
    match &rule.get("name")?.shape {
        Shape::Text(name) => Some(format!("rule `{name}`")),
        _ => None,
    }
}
