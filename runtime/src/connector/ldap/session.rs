//! What is learned of a server once per connection: its kind, its naming contexts, the types of the
//! attributes we read.

use std::collections::BTreeMap;

use kakehi_engine::object::dn_key;
use ldap3::Scope;

use super::connect::Connection;
use super::control::SYNC_REQUEST;
use super::decode::ENTRY_UUID;
use super::fault::{Failure, of_search};
use super::message::{DONE, ENTRY, Message};
use super::options::{LdapOptions, ServerKind};
use super::schema::Schema;
use super::search::{Request, Search};
use crate::connector::attribute::{canonicalize, is_password};
use crate::connector::wanted::Wanted;

/// Matches the rootDSE and every entry.
const ANY: &str = "(objectClass=*)";
/// Matches subschema entries, which a search for [`ANY`] does not show everywhere (RFC 4512 4.4).
const SUBSCHEMA: &str = "(objectClass=subschema)";

/// Asks for entries without attributes (RFC 4511 4.5.1.8).
const NO_ATTRIBUTES: &str = "1.1";

pub struct Session {
    pub connection: Connection,
    /// Never [`ServerKind::Auto`].
    pub kind: ServerKind,
    pub wanted: Wanted,
    /// Names of the attributes to ask for.
    pub requested: Vec<String>,
    /// How the server calls itself, for people.
    pub vendor: String,
    naming_contexts: Vec<String>,
}

/// Attributes of one entry that are text: names in lower case.
pub type Texts = BTreeMap<String, Vec<String>>;

impl Session {
    pub async fn open(options: &LdapOptions) -> Result<Self, Failure> {
        let mut connection = Connection::open(options).await?;
        let place = connection.url.to_string();
        let (root, schema) = learn(&mut connection).await.map_err(|failure| failure.at(&place))?;
        let all = |name: &str| root.get(name).cloned().unwrap_or_default();
        let naming_contexts = all("namingcontexts");
        let mut session = Self {
            wanted: Wanted::new(&options.attributes, &options.links, &options.classes, |name| {
                schema.syntax(name)
            }),
            requested: requested(options),
            vendor: vendor(&root),
            kind: options.kind,
            connection,
            naming_contexts,
        };
        if session.kind == ServerKind::Auto {
            let offered = all("supportedcontrol").iter().any(|oid| oid == SYNC_REQUEST);
            session.kind = match options.bases.first() {
                Some(base) if offered && !session.context_csn(base).await?.is_empty() => {
                    ServerKind::OpenLdap
                }
                _ => ServerKind::Generic,
            };
        }
        Ok(session)
    }

    /// The change numbers of the suffix that holds `base`, in order; none if they cannot be read.
    pub async fn context_csn(&mut self, base: &str) -> Result<Vec<String>, Failure> {
        let suffix = self.suffix(base).to_owned();
        let found = lookup(&mut self.connection, &suffix, ANY, &["contextCSN"]).await?;
        let mut csns = found.and_then(|mut entry| entry.remove("contextcsn")).unwrap_or_default();
        csns.sort();
        Ok(csns)
    }

    /// See [`is_alive`].
    pub async fn is_alive(&mut self) -> bool {
        is_alive(&mut self.connection).await
    }

    /// Whether the base and the id of its entry can be read.
    pub async fn can_read(&mut self, base: &str) -> Result<bool, Failure> {
        let entry = lookup(&mut self.connection, base, ANY, &[ENTRY_UUID]).await?;
        Ok(entry.is_some_and(|entry| entry.contains_key("entryuuid")))
    }

    /// The values of attributes of the subschema, by name in lower case; `None` if the server shows
    /// no schema.
    pub async fn subschema(&mut self, attributes: &[&str]) -> Result<Option<Texts>, Failure> {
        let root = lookup(&mut self.connection, "", ANY, &["subschemaSubentry"]).await?;
        let place = root.and_then(|mut root| root.remove("subschemasubentry"));
        match place.and_then(|values| values.into_iter().next()) {
            Some(place) => lookup(&mut self.connection, &place, SUBSCHEMA, attributes).await,
            None => Ok(None),
        }
    }

    /// The longest naming context above `base`, else the base itself.
    fn suffix<'s>(&'s self, base: &'s str) -> &'s str {
        suffix(&self.naming_contexts, base)
    }
}

/// Asks the server for the least that it can say.
pub async fn is_alive(connection: &mut Connection) -> bool {
    lookup(connection, "", ANY, &[NO_ATTRIBUTES]).await.is_ok()
}

fn suffix<'s>(naming_contexts: &'s [String], base: &'s str) -> &'s str {
    let key = dn_key(base);
    let above = |context: &&String| {
        let context = dn_key(context);
        key == context || key.ends_with(&format!(",{context}"))
    };
    naming_contexts.iter().filter(above).max_by_key(|context| context.len()).map_or(base, |c| c)
}

/// The rootDSE, and the schema that it names.
async fn learn(connection: &mut Connection) -> Result<(Texts, Schema), Failure> {
    let asked = ["namingContexts", "supportedControl", "subschemaSubentry", "vendorName"];
    let asked = [&asked[..], &["vendorVersion", "objectClass"]].concat();
    let root = lookup(connection, "", ANY, &asked).await?.unwrap_or_default();
    let mut schema = Schema::default();
    if let Some(place) = root.get("subschemasubentry").and_then(|values| values.first()) {
        let found = lookup(connection, place, SUBSCHEMA, &["attributeTypes"]).await?;
        let types = found.and_then(|mut entry| entry.remove("attributetypes")).unwrap_or_default();
        schema = Schema::parse(types.iter().map(String::as_str));
    }
    Ok((root, schema))
}

/// Reads one entry; `None` if it is not there or not ours to see.
async fn lookup(
    connection: &mut Connection,
    base: &str,
    filter: &str,
    attributes: &[&str],
) -> Result<Option<Texts>, Failure> {
    let attributes: Vec<String> = attributes.iter().map(|name| (*name).to_owned()).collect();
    let scope = Scope::Base;
    let request = Request { base, scope, filter, attributes: &attributes, controls: vec![] };
    let mut search = Search::start(connection, request).await?;
    let mut found = None;
    loop {
        let frame = search.next().await?;
        let message = Message::parse(&frame.bytes)?;
        match message.tag {
            ENTRY => {
                let entry: &mut Texts = found.get_or_insert_default();
                for attribute in message.entry()?.attributes() {
                    let (name, values) = attribute?;
                    let texts =
                        values.filter_map(|value| String::from_utf8(value.ok()?.into()).ok());
                    entry.insert(name.to_ascii_lowercase(), texts.collect());
                }
            }
            DONE => {
                return match message.outcome()? {
                    outcome if outcome.code == 0 => Ok(found),
                    // noSuchObject, insufficientAccessRights
                    outcome if matches!(outcome.code, 32 | 50) => Ok(None),
                    outcome => Err(of_search(&outcome)),
                };
            }
            _ => {}
        }
    }
}

/// What rules read, and what identifies an object and its class; never a password (L-08).
fn requested(options: &LdapOptions) -> Vec<String> {
    let mut canonical = String::new();
    let read = options.attributes.iter().map(|name| name.as_str().to_owned()).filter(|name| {
        canonicalize(name, &mut canonical);
        !is_password(&canonical) && canonical != "objectclass" && canonical != "entryuuid"
    });
    let mut names: Vec<String> = read.collect();
    names.extend(["objectClass".to_owned(), ENTRY_UUID.to_owned()]);
    names
}

fn vendor(root: &Texts) -> String {
    let first = |name: &str| root.get(name).and_then(|values| values.first()).map(String::as_str);
    let classes = root.get("objectclass").map(Vec::as_slice).unwrap_or_default();
    match (first("vendorname"), first("vendorversion")) {
        (Some(name), Some(version)) => format!("{name} {version}"),
        (Some(name), None) => name.to_owned(),
        _ if classes.iter().any(|class| class == "OpenLDAProotDSE") => "OpenLDAP".to_owned(),
        _ => "unknown server".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_is_the_longest_naming_context_above_the_base() {
        let contexts = ["dc=x".to_owned(), "ou=a,dc=x".to_owned(), "dc=y".to_owned()];
        for (base, expected) in [
            ("dc=x", "dc=x"),
            ("OU=people, OU=A, DC=X", "ou=a,dc=x"),
            ("ou=ba,dc=x", "dc=x"),
            ("dc=z", "dc=z"),
            ("cdc=x", "cdc=x"),
        ] {
            assert_eq!(suffix(&contexts, base), expected, "{base}");
        }
    }
}
