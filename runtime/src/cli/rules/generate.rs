//! `kakehi rules generate`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::{Error, Outcome};
use crate::generate::{self, Directory, File, GenerateError, Kind, Matching, Wish};
use crate::service::SourceSchema;
use crate::service::failure::{self, Failure};
use crate::service::schema::{self, Known};

/// The connector of a schema that has no name of its own.
const NAMELESS: &str = "directory";

#[derive(clap::Args)]
pub struct Generate {
    /// What a directory holds, from `kakehi rules schema`; with NAME= of this connector alone
    #[arg(long = "schema", value_name = "[NAME=]FILE")]
    schemas: Vec<String>,
    /// Ask the configured sources what they hold, where no file says it
    #[arg(long)]
    online: bool,
    /// How accounts of one person find each other: objectSid (with msExchMasterAccountSid), mail,
    /// samAccountName, or custom=ATTRIBUTE
    #[arg(long = "match", value_name = "HOW", default_value = "objectSid", value_parser = matching)]
    matching: Matching,
    /// Which rules a directory needs: ad, openldap or ldap; by default what its schema looks like
    #[arg(long = "kind", value_name = "[NAME=]KIND")]
    kinds: Vec<String>,
    /// A connector, in the order in which they were added; by default those that have a schema
    #[arg(long = "connector", value_name = "NAME")]
    connectors: Vec<String>,
    /// The connector that is delivered to
    #[arg(long, value_name = "NAME", default_value = "cloud")]
    target: String,
    /// The DNS name of an Active Directory domain; by default that of its base
    #[arg(long = "domain", value_name = "NAME=FQDN")]
    domains: Vec<String>,
    /// Make contacts users that cannot sign in
    #[arg(long)]
    contacts_as_users: bool,
    /// The folder of the rules; it must be empty, or not exist yet
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

fn matching(text: &str) -> Result<Matching, String> {
    let plain = |name: &str| {
        let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        letters && name.starts_with(|c: char| c.is_ascii_alphabetic())
    };
    match text.split_once('=') {
        None if text == "objectSid" => Ok(Matching::ObjectSid),
        None if text == "mail" => Ok(Matching::Mail),
        None if text == "samAccountName" => Ok(Matching::SamAccountName),
        Some(("custom", name)) if plain(name) => Ok(Matching::Custom(name.to_owned())),
        Some(("custom", name)) => Err(format!("`{name}` is no name of an attribute")),
        _ => Err("say objectSid, mail, samAccountName or custom=ATTRIBUTE".to_owned()),
    }
}

impl Generate {
    pub fn execute(self, config: &Path) -> Outcome {
        let known = if self.online { schema::sources(config)? } else { vec![] };
        let mut directories = vec![];
        for name in self.names(&known)? {
            directories.push(self.directory(name, &known, config)?);
        }
        let wish = Wish {
            directories,
            target: self.target.clone(),
            matching: self.matching.clone(),
            contacts_as_users: self.contacts_as_users,
        };
        let files = generate::generate(&wish).map_err(Failure::from)?;
        generate::write(&self.output, &files).map_err(Failure::from)?;
        self.report(&wish, &files).map_err(Error::Output)?;
        Ok(0)
    }

    /// The connectors, in their order.
    fn names(&self, known: &[Known]) -> Result<Vec<String>, Failure> {
        let named: Vec<&str> = self.schemas.iter().filter_map(|text| split(text).0).collect();
        let names: Vec<String> = if !self.connectors.is_empty() {
            self.connectors.clone()
        } else if !named.is_empty() {
            named.iter().map(|name| (*name).to_owned()).collect()
        } else if self.online {
            known.iter().map(|known| known.name.clone()).collect()
        } else {
            vec![NAMELESS.to_owned()]
        };
        let pairs =
            [("--schema", &self.schemas), ("--kind", &self.kinds), ("--domain", &self.domains)];
        for (option, texts) in pairs {
            let names_of = texts.iter().filter_map(|text| split(text).0);
            if let Some(stranger) =
                names_of.into_iter().find(|name| !names.iter().any(|n| n == name))
            {
                let message = format!("`{option}` names `{stranger}`, which is no connector");
                let hint = format!("the connectors are `{}`", names.join("`, `"));
                return Err(Failure::new(failure::Kind::Usage, "K0976", message).hint(hint));
            }
        }
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            let message = format!("`{name}` cannot be the name of a connector");
            return Err(Failure::new(failure::Kind::Usage, "K0979", message)
                .hint("take letters, digits, `-`, `_` and `.`"));
        }
        Ok(names)
    }

    fn directory(
        &self,
        name: String,
        known: &[Known],
        config: &Path,
    ) -> Result<Directory, Failure> {
        let known = known.iter().find(|known| known.name == name);
        let schema = match (of(&self.schemas, &name), known) {
            (Some(path), _) => read(Path::new(path))?,
            (None, Some(known)) => schema::read(config, &known.name)?,
            (None, None) => {
                let message = format!("nothing says what `{name}` holds");
                return Err(Failure::new(failure::Kind::Usage, "K0972", message).hint(format!(
                    "say `--schema {name}=FILE`, or `--online` for a source of the configuration"
                )));
            }
        };
        let kind = match of(&self.kinds, &name) {
            Some(word) => {
                Kind::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| {
                    Failure::new(failure::Kind::Usage, "K0978", format!("unknown kind `{word}`"))
                        .hint("the kinds are `ad`, `openldap` and `ldap`")
                })?
            }
            None => match (Kind::of(&schema), known.and_then(|known| known.openldap)) {
                (Kind::Ad, _) => Kind::Ad,
                (_, Some(true)) => Kind::OpenLdap,
                (_, Some(false)) => Kind::Ldap,
                (kind, None) => kind,
            },
        };
        let domain = of(&self.domains, &name).map(str::to_owned);
        let domain = domain.or_else(|| known.and_then(|known| known.domain.clone()));
        let domain = domain.unwrap_or_else(|| format!("{name}.example"));
        Ok(Directory { name, kind, schema, domain })
    }

    fn report(&self, wish: &Wish, files: &[File]) -> std::io::Result<()> {
        let mut out = anstream::stdout().lock();
        let folder = self.output.display();
        let rules = files.iter().filter(|file| !file.path.contains('/')).count() - 1;
        writeln!(out, "{rules} files of rules in {folder}, for")?;
        for directory in &wish.directories {
            let domain = match directory.kind {
                Kind::Ad => format!(", domain {}", directory.domain),
                Kind::OpenLdap | Kind::Ldap => String::new(),
            };
            writeln!(out, "  {} ({}{domain})", directory.name, directory.kind.word())?;
        }
        writeln!(out, "next:")?;
        writeln!(out, "  1. look at `connectors` of {folder}/manifest.yml")?;
        writeln!(out, "  2. kakehi rules test {folder}")?;
        writeln!(out, "  3. name {folder}/manifest.yml in config.yml, then: kakehi plan")
    }
}

/// `NAME=VALUE`, or a value for all.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((name, value)) => (Some(name), value),
        None => (None, text),
    }
}

/// The value for one connector, else that for all.
fn of<'a>(texts: &'a [String], name: &str) -> Option<&'a str> {
    let value = |wanted: Option<&str>| {
        texts.iter().map(|text| split(text)).find(|(name, _)| *name == wanted).map(|(_, v)| v)
    };
    value(Some(name)).or_else(|| value(None))
}

/// Names stand in YAML without quotes, and in names of files.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(plain)
}

fn read(path: &Path) -> Result<SourceSchema, Failure> {
    let refused = |why: String| {
        let message = format!("cannot read the schema `{}`: {why}", path.display());
        Failure::new(failure::Kind::Usage, "K0970", message)
            .hint("`kakehi rules schema SOURCE` writes one: `{\"classes\": {\"user\": [\"cn\"]}}`")
    };
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| refused(error.to_string()))
}

impl From<GenerateError> for Failure {
    fn from(error: GenerateError) -> Self {
        let message = format!("cannot generate rules: {error}");
        let usage = |code| Self::new(failure::Kind::Usage, code, message.clone());
        match error {
            GenerateError::NotEmpty(_) => {
                usage("K0971").hint("name a folder that does not exist yet")
            }
            GenerateError::NoMatch { near: Some(near), .. } => {
                usage("K0973").hint(format!("did you mean `{near}`?"))
            }
            GenerateError::NoMatch { near: None, .. } => {
                usage("K0973").hint("choose another `--match`, such as `mail`")
            }
            GenerateError::NoAnchor { wanted, .. } => usage("K0974").hint(format!(
                "let the schema have `{}`, if the directory has it",
                wanted.join("` or `")
            )),
            GenerateError::NoClass { wanted, .. } => usage("K0975").hint(format!(
                "they are about `{}`; is it the schema of another `--kind`?",
                wanted.join("`, `")
            )),
            GenerateError::Doubled(_) => {
                usage("K0976").hint("sources and the target have names of their own")
            }
            GenerateError::Io { ref source, .. } => {
                let kind = match source.kind() {
                    std::io::ErrorKind::PermissionDenied => failure::Kind::Permission,
                    _ => failure::Kind::Usage,
                };
                Self::new(kind, "K0977", message).hint("name a folder that can be written")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r18_the_ways_to_match_are_read() {
        for (text, expected) in [
            ("objectSid", Some(Matching::ObjectSid)),
            ("mail", Some(Matching::Mail)),
            ("samAccountName", Some(Matching::SamAccountName)),
            ("custom=employeeID", Some(Matching::Custom("employeeID".to_owned()))),
            ("custom=", None),
            ("custom=a b", None),
            ("custom=a}", None),
            ("custom", None),
            ("mail=x", None),
            ("sid", None),
        ] {
            assert_eq!(matching(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_value_may_be_for_one_connector_or_for_all() {
        let texts = ["a=one".to_owned(), "all".to_owned()];
        assert_eq!((of(&texts, "a"), of(&texts, "b")), (Some("one"), Some("all")));
        assert_eq!(of(&texts[..1], "b"), None);
    }
}
