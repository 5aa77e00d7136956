//! Which rules are meant: what was typed flows in, a file or a name flows out.

use std::path::{Path, PathBuf};

use super::Refusal;
use crate::config::finding::Finding;
use crate::config::nearest::nearest;
use crate::manifest::generation::alone::Book;

/// The file of rules that `kakehi rules new` writes, and a manifest.
const IN_FOLDER: [&str; 2] = ["rule.yml", "manifest.yml"];

/// What an argument means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every rule of the installation.
    All,
    /// One rule of the installation.
    Rule(String),
    /// Every rule of a file, without an installation.
    File(PathBuf),
}

// === impl Selection ===

impl Selection {
    /// Takes `[RULE | FILE | DIR]`: a path is what lies there, or is written like one.
    ///
    /// Errors: there is no such file, or no rules in such a folder.
    pub fn of(argument: Option<&str>) -> Result<Self, Refusal> {
        let Some(argument) = argument else { return Ok(Self::All) };
        let path = Path::new(argument);
        let written_as_path = argument.contains('/')
            || [".yml", ".yaml", ".json"].iter().any(|end| argument.ends_with(end));
        if path.is_dir() {
            let found = IN_FOLDER.iter().map(|name| path.join(name)).find(|path| path.is_file());
            return found.map(Self::File).ok_or_else(|| Refusal {
                usage: true,
                code: "K0922",
                message: format!("there are no rules in the folder `{argument}`"),
                hint: format!("it should hold `{}` or `{}`", IN_FOLDER[0], IN_FOLDER[1]),
            });
        }
        match (path.exists(), written_as_path) {
            (true, _) => Ok(Self::File(path.to_owned())),
            (false, false) => Ok(Self::Rule(argument.to_owned())),
            (false, true) => Err(Refusal {
                usage: true,
                code: "K0922",
                message: format!("there is no file `{argument}`"),
                hint: "name a rule of the installation, a file of rules, or its folder".into(),
            }),
        }
    }

    /// The rules that are meant, with the findings of their files.
    ///
    /// `manifest`: that of the installation, where one is needed.
    pub fn open(&self, manifest: &Path) -> Result<(Book, Vec<Finding>), Vec<Finding>> {
        match self {
            Self::File(path) => Book::alone(path),
            Self::All | Self::Rule(_) => Book::of_manifest(manifest),
        }
    }

    /// The indexes of the rules that are meant; disabled ones are among those of a file, for their
    /// author may be at work on them, and in no installation.
    ///
    /// Errors: no rule has this name.
    pub fn pick(&self, book: &Book) -> Result<Vec<usize>, Refusal> {
        let all = book.sheets.iter().enumerate();
        let Self::Rule(name) = self else { return Ok(all.map(|(index, _)| index).collect()) };
        let named = all.filter(|(_, sheet)| sheet.name() == name).map(|(index, _)| index);
        let named: Vec<usize> = named.collect();
        match named.is_empty() {
            true => Err(no_rule(name, book.sheets.iter().map(|sheet| sheet.name()))),
            false => Ok(named),
        }
    }
}

/// No rule has this name: which was meant?
pub fn no_rule<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Refusal {
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`kakehi rules list` names them; disabled rules are in no installation".into(),
    };
    Refusal { usage: true, code: "K0920", message: format!("there is no rule `{name}`"), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_lies_there_or_is_written_like_one() {
        let folder = tempfile::tempdir().unwrap();
        let inside = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(inside("names"), "rules: []").unwrap();
        std::fs::create_dir(inside("hr")).unwrap();
        std::fs::create_dir(inside("empty")).unwrap();
        std::fs::write(inside("hr/rule.yml"), "rules: []").unwrap();
        let of = |argument: &str| Selection::of(Some(argument));
        assert_eq!(Selection::of(None), Ok(Selection::All));
        assert_eq!(of("in-from-hr"), Ok(Selection::Rule("in-from-hr".into())));
        assert_eq!(of(&inside("names")), Ok(Selection::File(inside("names").into())));
        assert_eq!(of(&inside("hr")), Ok(Selection::File(inside("hr/rule.yml").into())));
        for missing in [inside("empty"), inside("no.yml"), "no.yml".into()] {
            assert_eq!(of(&missing).map_err(|refusal| refusal.code), Err("K0922"), "{missing}");
        }
    }
}
