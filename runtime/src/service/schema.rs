//! What the configured sources hold, before there are any rules: a configuration flows in, schemas
//! flow out.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::source::{LdapKind, Source};
use crate::edge::SourceSchema;
use crate::service::failure::{Failure, Kind};
use crate::service::world;

/// A source, as far as its configuration tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub name: String,
    /// Whether it is OpenLDAP; `None` where that is for the server to say.
    pub openldap: Option<bool>,
    /// The DNS name that its first base stands for: `DC=a,DC=example` for `a.example`.
    pub domain: Option<String>,
}

/// The configured sources, in order of name.
pub fn sources(config: &Path) -> Result<Vec<Known>, Failure> {
    let (config, _) = crate::config::load(config).map_err(Failure::of_findings)?;
    let known = config.sources.iter().map(|(name, source)| match source {
        Source::Ldap(ldap) => Known {
            name: name.to_string(),
            openldap: match ldap.kind {
                LdapKind::Auto => None,
                kind => Some(kind == LdapKind::OpenLdap),
            },
            domain: ldap.bases.first().and_then(|base| domain(base)),
        },
        Source::Ldif(_) => Known { name: name.to_string(), openldap: None, domain: None },
    });
    Ok(known.collect())
}

/// Asks a source what it may hold. Changes nothing.
pub fn read(config: &Path, name: &str) -> Result<SourceSchema, Failure> {
    let (config, _) = crate::config::load(config).map_err(Failure::of_findings)?;
    let Some((name, source)) = config.sources.iter().find(|(known, _)| known.as_str() == name)
    else {
        let known: Vec<&str> = config.sources.keys().map(|name| name.as_str()).collect();
        let message = format!("there is no source `{name}`");
        return Err(Failure::new(Kind::Usage, "K0976", message)
            .hint(format!("the configuration has `{}`", known.join("`, `"))));
    };
    let mut source = world::directory(&config, name, source, BTreeSet::new(), BTreeSet::new());
    super::once::runtime()?.block_on(async { Ok(source.schema().await?) })
}

fn domain(base: &str) -> Option<String> {
    let labels = base.split(',').filter_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("dc").then(|| value.trim().to_lowercase())
    });
    let labels: Vec<String> = labels.collect();
    (!labels.is_empty()).then(|| labels.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_has_the_name_of_its_domain() {
        for (base, expected) in [
            ("DC=corp,DC=example", Some("corp.example")),
            ("ou=people, dc=a , dc=Example", Some("a.example")),
            ("o=company", None),
            ("", None),
        ] {
            assert_eq!(domain(base).as_deref(), expected, "{base}");
        }
    }
}
