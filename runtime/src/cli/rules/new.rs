//! `kakehi rules new`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::{Error, Outcome};
use crate::scaffold::{self, LANGUAGES, Language, ScaffoldError};
use crate::service::failure::{Failure, Kind};

#[derive(clap::Args)]
pub struct New {
    /// The language to write it in
    #[arg(long, value_name = "LANGUAGE", value_parser = known_language())]
    lang: &'static Language,
    /// The folder of the rule; it must be empty, or not exist yet
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The name of the rule; that of the folder where it is absent
    #[arg(long)]
    name: Option<String>,
}

impl New {
    pub fn execute(self) -> Outcome {
        let folder = &self.folder;
        let name = match (self.name, folder.file_name()) {
            (Some(name), _) => name,
            (None, Some(name)) => name.to_string_lossy().into_owned(),
            (None, None) => {
                let message = format!("`{}` has no name of its own", folder.display());
                let failure = Failure::new(Kind::Usage, "K0930", message);
                return Err(failure.hint("say `--name NAME`").into());
            }
        };
        let files = scaffold::write(self.lang, &name, folder).map_err(Failure::from)?;
        let mut out = anstream::stdout().lock();
        report(&mut out, self.lang, &name, folder, &files).map_err(Error::Output)?;
        Ok(0)
    }
}

fn known_language() -> impl TypedValueParser<Value = &'static Language> {
    PossibleValuesParser::new(LANGUAGES.iter().map(|language| language.word)).try_map(|word| {
        scaffold::language(&word).ok_or_else(|| format!("`{word}` is no language of a rule"))
    })
}

/// Says what was written, and the next three commands.
fn report(
    out: &mut impl Write,
    language: &Language,
    name: &str,
    folder: &Path,
    files: &[&str],
) -> std::io::Result<()> {
    let folder = folder.display();
    writeln!(out, "rule `{name}` in {}: {folder}", language.title)?;
    for file in files {
        writeln!(out, "  {file}")?;
    }
    writeln!(out, "next:")?;
    match language.build {
        Some(build) => writeln!(out, "  1. (cd {folder} && {build})")?,
        None => writeln!(out, "  1. nothing to build: the text is the module")?,
    }
    writeln!(out, "  2. kakehi rules test {folder}")?;
    writeln!(out, "  3. add `{folder}/rule.yml` to `include` of the manifest: kakehi rules lock")?;
    if let Some(install) = language.install {
        writeln!(out, "the tools, once: {install}")?;
    }
    Ok(())
}

impl From<ScaffoldError> for Failure {
    fn from(error: ScaffoldError) -> Self {
        let message = format!("cannot make the rule: {error}");
        match error {
            ScaffoldError::NotEmpty(_) => Self::new(Kind::Usage, "K0931", message)
                .hint("name a folder that does not exist yet"),
            ScaffoldError::Name(..) => {
                Self::new(Kind::Usage, "K0932", message).hint("say one such as `--name user-names`")
            }
            ScaffoldError::Io { ref source, .. } => {
                let kind = match source.kind() {
                    std::io::ErrorKind::PermissionDenied => Kind::Permission,
                    _ => Kind::Usage,
                };
                Self::new(kind, "K0933", message).hint("name a folder that can be written")
            }
        }
    }
}
