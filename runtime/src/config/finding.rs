//! What is wrong with a configuration: every finding with its code, its place and how to mend it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::yaml::{Flaw, FlawKind, Mark, Step};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is started.
    Error,
    /// It works, but someone should look: a weakened default, a clause that is hardly meant so.
    Warning,
}

/// Where a finding is. Line and column count from 1; 0 where the whole file is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: PathBuf,
    pub line: u32,
    pub column: u32,
    /// ``rule `in-from-ad-user-join` ``, ``key `targets.cloud` ``.
    pub what: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// Stable: `K01xx` configuration, `K03xx` manifest, `K05xx` rule modules.
    pub code: &'static str,
    pub message: String,
    pub place: Option<Place>,
    pub hint: Option<String>,
}

/// The code of a secret file that others may read, or that belongs to another user.
pub const SECRET_FILE_OPEN: &str = "K0122";

/// The exit code of a program that refuses to start for these findings (style.md S-10): 77 where a
/// file mode forbids it, else 78.
pub fn exit_code(findings: &[Finding]) -> u8 {
    match findings.iter().any(|finding| finding.code == SECRET_FILE_OPEN && finding.is_error()) {
        true => 77,
        false => 78,
    }
}

/// Gathers the findings of one file.
#[derive(Debug)]
pub struct Findings {
    file: PathBuf,
    /// What cannot be done for an error: `cannot load the rules manifest`.
    purpose: &'static str,
    list: Vec<Finding>,
}

/// The codes of the flaws that every YAML file can have.
#[derive(Clone, Copy, Debug)]
pub struct FlawCodes {
    pub unreadable: &'static str,
    pub syntax: &'static str,
    pub unknown_key: &'static str,
    pub doubled_key: &'static str,
    pub missing_key: &'static str,
    pub value: &'static str,
}

// === impl Finding ===

impl Finding {
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    /// The form of style.md 6.2, without a final line feed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {} ({})", self.message, self.code)?;
        if let Some(place) = &self.place {
            write!(f, "\n  at: {place}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        match &self.what {
            Some(what) => write!(f, ", {what}"),
            None => Ok(()),
        }
    }
}

// === impl Findings ===

impl Findings {
    pub fn new(file: &Path, purpose: &'static str) -> Self {
        Self { file: file.to_owned(), purpose, list: vec![] }
    }

    pub fn has_errors(&self) -> bool {
        self.list.iter().any(Finding::is_error)
    }

    /// In the order of the file, errors and warnings mixed.
    pub fn into_sorted(mut self) -> Vec<Finding> {
        self.list.sort_by(|a, b| a.place.cmp(&b.place));
        self.list
    }

    pub fn error(&mut self, code: &'static str, message: impl fmt::Display) -> Draft<'_> {
        let message = format!("{}: {message}", self.purpose);
        self.push(Severity::Error, code, message)
    }

    pub fn warning(&mut self, code: &'static str, message: impl fmt::Display) -> Draft<'_> {
        self.push(Severity::Warning, code, message.to_string())
    }

    fn push(&mut self, severity: Severity, code: &'static str, message: String) -> Draft<'_> {
        let place = Place { file: self.file.clone(), line: 0, column: 0, what: None };
        self.list.push(Finding { severity, code, message, place: Some(place), hint: None });
        Draft(self.list.last_mut().expect("it was pushed just now"))
    }

    /// Notes what [`decode`](super::yaml::decode) found. `what` names its place to people.
    pub fn flaw(&mut self, flaw: Flaw, codes: FlawCodes, what: Option<String>) -> Draft<'_> {
        let code = match flaw.kind {
            FlawKind::UnknownKey => codes.unknown_key,
            FlawKind::DoubledKey => codes.doubled_key,
            FlawKind::MissingKey => codes.missing_key,
            FlawKind::Value => codes.value,
        };
        let draft = self.error(code, flaw.message).at(flaw.mark);
        draft.0.hint = flaw.hint;
        match what {
            Some(what) => draft.what(what),
            None => draft,
        }
    }
}

/// A finding just noted, to be completed.
pub struct Draft<'a>(&'a mut Finding);

// === impl Draft ===

impl Draft<'_> {
    pub fn at(self, mark: Mark) -> Self {
        if let Some(place) = &mut self.0.place {
            (place.line, place.column) = (mark.line, mark.column);
        }
        self
    }

    /// In another file than the one the findings are of.
    pub fn file(self, file: &Path) -> Self {
        if let Some(place) = &mut self.0.place {
            place.file = file.to_owned();
        }
        self
    }

    pub fn what(self, what: impl Into<String>) -> Self {
        if let Some(place) = &mut self.0.place {
            place.what = Some(what.into());
        }
        self
    }

    pub fn hint(self, hint: impl Into<String>) {
        self.0.hint = Some(hint.into());
    }

    /// Offers the nearest known name, or names all of them.
    pub fn hint_nearest<'a>(
        self,
        written: &str,
        known: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
    ) {
        let known = known.into_iter();
        self.0.hint = match super::nearest::nearest(written, known.clone()) {
            Some(name) => Some(format!("did you mean `{name}`?")),
            None => {
                let names: Vec<String> = known.map(|name| format!("`{name}`")).collect();
                (!names.is_empty()).then(|| format!("known are {}", names.join(", ")))
            }
        };
    }
}

/// A path as it is written in messages: `targets.cloud.urls[1]`.
pub fn key_path(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_a_finding_is_written_in_the_house_form() {
        let mut findings =
            Findings::new(Path::new("/etc/kakehi/manifest.yml"), "cannot load the rules manifest");
        findings
            .error("K0312", "unknown operator `EQUALS`")
            .at(Mark { line: 41, column: 17 })
            .what("rule `in-from-ad-user-join`")
            .hint_nearest("EQUALS", ["NOTEQUAL", "EQUAL"]);
        findings.warning("K0150", "`x` is weak");
        let shown: Vec<String> =
            findings.into_sorted().iter().map(|finding| finding.to_string()).collect();
        assert_eq!(
            shown.join("\n"),
            "warning: `x` is weak (K0150)\n  at: /etc/kakehi/manifest.yml\n\
             error: cannot load the rules manifest: unknown operator `EQUALS` (K0312)\n  \
             at: /etc/kakehi/manifest.yml:41:17, rule `in-from-ad-user-join`\n  \
             hint: did you mean `EQUAL`?"
        );
    }
}
